"""What can go wrong between obdag and an agent: every failure of `AgentClient` is one of these.

AgentError
├── Unreachable         no answer: refused, unknown host, timeout, connection cut
│   └── TlsFailed       no answer because TLS could not be agreed (certificate, client certificate, no TLS)
├── Protocol            an answer, but not one of an OBShell agent (a web page, a redirect, not JSON, a field
│   │                   missing or of the wrong type)
│   └── TooBig          more than we are ready to read
└── AgentRefusal        an agent's own "no"
    ├── Rejected        the header or password was not accepted; `reason` says which part
    ├── NotCluster      the agent is not a member of a running cluster (any more): ask its identity again
    ├── DatabaseDown    the agent lives, but cannot read the cluster's DAGs; ask for no DAG by id meanwhile
    ├── Gone            the agent proves that it does not know this DAG
    ├── UnknownTaskType a DAG of another agent version; the same request without details works
    ├── NotOffered      the agent is too old for this question
    └── Refused         anything else

`str()` is one line: agent, request, HTTP status and the agent's code, then what happened. Passwords, header
values and keys are in none of them.
"""

from enum import StrEnum
from typing import NamedTuple

MESSAGE_LENGTH = 300


class Call(NamedTuple):
    """Whom we asked for what: `http://10.0.0.1:2886`, `GET /api/v1/info`."""

    agent: str
    request: str


class Reason(StrEnum):
    """Which part of our credentials an agent did not accept."""

    PASSWORD = "password"  # noqa: S105 - a kind of failure
    HEADER_KIND = "header_kind"
    NO_AGENT_PASSWORD = "no_agent_password"  # noqa: S105 - a kind of failure
    EXPIRED = "expired"
    KEY = "key"
    HEADER = "header"
    URI = "uri"
    SESSION = "session"
    INFRASTRUCTURE = "infrastructure"
    UNSAID = "unsaid"
    OTHER = "other"


BLAMES_PASSWORD = frozenset({Reason.PASSWORD, Reason.HEADER_KIND, Reason.NO_AGENT_PASSWORD, Reason.UNSAID})
"""Reasons that only an operator can remove; an unsaid one is believed once our key is known to be right.
The agent tries each wrong root password at the database, where it counts as a failed login: stop asking
after one."""


class AgentError(Exception):
    """A failed call; `status` is the HTTP status and `code` the agent's `errCode`, both None without one."""

    def __init__(
        self, call: Call, message: str, *, status: int | None = None, code: str | None = None
    ) -> None:
        self.agent, self.request = call
        self.status, self.code = status, code
        self.message = one_line(message)
        answer = " ".join(str(part) for part in (status, code) if part)
        super().__init__(": ".join(part for part in (self.agent, self.request, answer, self.message) if part))


class Unreachable(AgentError):
    """There is no answer."""


class TlsFailed(Unreachable):
    """TLS could not be agreed."""


class Protocol(AgentError):
    """The answer is not one of an OBShell agent."""


class TooBig(Protocol):
    """The answer is larger than we are ready to read."""


class AgentRefusal(AgentError):
    """The agent answered with an error of its own; `message` is its text, possibly translated."""


class Rejected(AgentRefusal):
    """Our header was not accepted."""

    def __init__(
        self, call: Call, message: str, *, reason: Reason, status: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(call, message, status=status, code=code)
        self.reason = reason

    @property
    def blames_password(self) -> bool:
        """Whether polling must stop until the operator changes the credentials."""
        return self.reason in BLAMES_PASSWORD


class NotCluster(AgentRefusal):
    """The agent is not a member of a running cluster."""


class DatabaseDown(AgentRefusal):
    """The agent cannot read the cluster's database."""


class Gone(AgentRefusal):
    """The agent proves that it does not know the DAG."""


class UnknownTaskType(AgentRefusal):
    """A DAG holds a task type that this agent's version does not have."""


class NotOffered(AgentRefusal):
    """The agent does not know the question: it is of an older version."""


class Refused(AgentRefusal):
    """Any other refusal; `code` says which."""


def one_line(text: str) -> str:
    """Return foreign text as one short printable line."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= MESSAGE_LENGTH else clean[: MESSAGE_LENGTH - 1] + "…"
