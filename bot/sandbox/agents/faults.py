"""How a simulated agent says no: the refusals of a real one, with their exact words and numbers.

`errCode`, the deprecated `code` and the HTTP status were recorded from a real agent 4.5.0.0.
"""

from typing import Any

OMITTED: Any = object()
"""No `data` member at all, which differs from one that is null."""

NO_ANSWER = "ocsagent cannot build response body"

UNAUTHORIZED = 10008
UNDECIPHERABLE = 1


class Fault(Exception):
    """An error answer; `data` may stand beside the error, `code` 0 is left out."""

    def __init__(
        self, status: int, error_code: str, message: str, *, code: int = 0, data: Any = OMITTED
    ) -> None:
        super().__init__(message)
        self.status, self.error_code, self.message = status, error_code, message
        self.code, self.data = code, data

    def prefixed(self, prefix: str) -> "Fault":
        """Return the same fault as an outer layer of the agent words it."""
        return Fault(self.status, self.error_code, f"{prefix}: {self.message}", code=self.code)

    def beside(self, data: Any) -> "Fault":
        """Return the same fault with data next to the error."""
        return Fault(self.status, self.error_code, self.message, code=self.code, data=data)


class UndecipheredFault(Fault):
    """A fault before the request could be read: no trace id, and a charset in the content type."""


class Panic(Exception):
    """The handler died; the answer is one made when the process started."""

    def __init__(self, *, in_body: bool = False) -> None:
        super().__init__("panic")
        self.in_body = in_body


class Storm(Exception):
    """Agents call each other without end; `fault` is what the first of them would have said."""

    def __init__(self, fault: Fault) -> None:
        super().__init__("storm")
        self.fault = fault


class Moved(Exception):
    """A known route with a slash too many."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


def not_found(what: str = "record not found") -> Fault:
    """Say that there is no such DAG, node or sub-task; only `record not found` proves absence."""
    return Fault(404, "Task.NotFound", f"Task not found: {what}")


def no_answer() -> Fault:
    """Say what comes of a handler that returns nothing, as cluster lists do outside of a cluster."""
    return Fault(500, "Common.Unexpected", f"Unexpected error: {NO_ANSWER}")


def identity_unknown(identity: str) -> Fault:
    """Say that nothing is known to do for an agent of that identity."""
    return Fault(500, "Agent.Identify.Unknown", f"Agent identify is unknown: {identity}")


def not_holding() -> Fault:
    """Say that the agent never reached a database since it was started."""
    return Fault(500, "Agent.OceanBase.NotHold", "Agent is not holding OceanBase")


def denied(kind: str, message: str) -> Fault:
    """Refuse who asks."""
    return Fault(401, f"Security.Authentication.{kind}", message, code=UNAUTHORIZED)


def undecipherable(cause: str) -> Fault:
    """Refuse a header that this agent's key does not open, or that holds no header object."""
    return UndecipheredFault(
        401,
        "Security.Authentication.Header.DecryptFailed",
        f"Decrypt http header failed: {cause}",
        code=UNDECIPHERABLE,
    )


def operator_refused(kind: str, message: str) -> Fault:
    """Refuse an operator: the DAG is not in the state that it needs, or its author forbids it."""
    return Fault(400, f"Task.{kind}", message)
