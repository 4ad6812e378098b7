"""How agents before 4.3.1.0 say no: no `errCode`, few numbers, other words, read in their source.

Before 4.2.6.0 every refusal is the same: nothing tells a wrong key from a wrong password.
"""

import msgspec

from bot.sandbox.agents.faults import NO_ANSWER, Fault
from bot.sandbox.agents.release import Feature, Release

BAD_REQUEST, ILLEGAL_ARGUMENT, UNEXPECTED, KNOWN = 1000, 1001, 1002, 1010
VERIFICATION_FAILED, TASK_NOT_FOUND, TASK_NOT_CREATED = 10008, 2300, 2301
NOT_A_CLUSTER_AGENT = {
    "/api/v1/task/dag/ob/unfinish": "only cluster agent can get cluster unfinished dags",
    "/api/v1/task/dags/ob": "only cluster agent can get all cluster dags",
}
"""Where a newer agent does not answer at all."""
CAUSES = {
    "Request.Header.NotFound": "header not found",
    "Security.Authentication.Header.DecryptFailed": "header decrypt failed",
    "Security.Authentication.Header.UriMismatch": "uri mismatch",
    "Security.Authentication.Expired": "auth expired",
    "Security.Authentication.IncorrectOceanbasePassword": "access denied",
    "Security.Authentication.IncorrectAgentPassword": "access denied: agent password is incorrect",
    "Security.Authentication.WithAgentPassword": "agent password has been set, use agent password to verify",
    "Security.Authentication.WithOceanBasePassword": (
        "agent password is not initialized, use oceanbase password to verify"
    ),
    "Security.Authentication.AgentPasswordNotInitialized": "agent password is not initialized",
}
TEXTS = {
    "The current database is useless": "oceanbase db is useless",
    "Agent is not holding OceanBase": "oceanbase db is nil",
    "The current database is not OCS": "current database is not ocs",
    "Observer process does not exist": "observer process not exist",
}
AUTHENTICATION = ("Security.", "Request.", "Common.Unauthorized")
REFUSED_OPERATORS = ("Task.Dag.Operator.", "Task.Node.Operator.", "Task.Expired")


class OldError(msgspec.Struct, frozen=True):
    """An error object of such an agent, with its HTTP status."""

    status: int
    code: int
    message: str


def old_error(fault: Fault, path: str, release: Release) -> OldError:
    """Return a refusal as an agent of that release tells it."""
    if fault.error_code.startswith(AUTHENTICATION):
        return OldError(401, VERIFICATION_FAILED, _verification(fault, release))
    if fault.message.endswith(NO_ANSWER) and path in NOT_A_CLUSTER_AGENT:
        return OldError(400, BAD_REQUEST, f"Bad request: {NOT_A_CLUSTER_AGENT[path]}")
    if fault.error_code == "Common.NotFound":
        return OldError(400, BAD_REQUEST, "Bad request: 404 not found")
    if fault.message.startswith("Task not found: "):
        return OldError(404, TASK_NOT_FOUND, _old_text(fault.message))
    if fault.message.startswith("Create task "):
        return OldError(500, TASK_NOT_CREATED, f"Create task failed: {fault.message}")
    return _other(fault)


def _verification(fault: Fault, release: Release) -> str:
    if not release.has(Feature.FORWARDING):
        return "err.unauthorized"
    if not release.has(Feature.AGENT_PASSWORD):
        return "Verification failed"
    return f"Verification failed: {CAUSES.get(fault.error_code, _cause(fault.message))}"


def _cause(message: str) -> str:
    return message.removeprefix("Unauthorized: ").lower()


def _other(fault: Fault) -> OldError:
    if fault.error_code in {"Task.GenericID.Invalid", "Common.BindJsonFailed"}:
        _, _, cause = fault.message.partition(": ")
        return OldError(400, ILLEGAL_ARGUMENT, f"Illegal argument: {cause}")
    if fault.error_code.startswith(REFUSED_OPERATORS):
        return OldError(500, KNOWN, f"Known error: {fault.message[:1].lower()}{fault.message[1:]}")
    if fault.error_code == "Agent.Identify.Unknown":
        _, _, identity = fault.message.partition(": ")
        return OldError(400, BAD_REQUEST, f"Bad request: unknown agent identity: {identity}")
    text = _old_text(fault.message.removeprefix("Unexpected error: "))
    return OldError(500, UNEXPECTED, f"Unexpected error: {text}")


def _old_text(message: str) -> str:
    for new, old in TEXTS.items():
        message = message.replace(new, old)
    return message
