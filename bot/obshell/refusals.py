"""Which error an agent's refusal is.

Decided on `errCode`. The text decides only where it is the sole witness: for the cause of a header that could
not be decrypted, for the generic 500 of an agent that is no cluster agent (recording `single-agent`), for an
unknown task type, for the proof that a DAG does not exist, and for agents before 4.3.1.0, which send no
`errCode`. We never send `Accept-Language`: the text is English.
"""

import re
from http import HTTPStatus

from bot.obshell.errors import (
    AgentRefusal,
    Call,
    DatabaseDown,
    Gone,
    NotCluster,
    NotOffered,
    Reason,
    Refused,
    Rejected,
    UnknownTaskType,
)
from bot.obshell.shapes import ErrorBody

REASONS = {
    "Security.Authentication.IncorrectOceanbasePassword": Reason.PASSWORD,
    "Security.Authentication.IncorrectAgentPassword": Reason.PASSWORD,
    "Security.Authentication.WithAgentPassword": Reason.HEADER_KIND,
    "Security.Authentication.WithOceanBasePassword": Reason.HEADER_KIND,
    "Security.Authentication.AgentPasswordNotInitialized": Reason.NO_AGENT_PASSWORD,
    "Security.Authentication.Expired": Reason.EXPIRED,
    "Security.Authentication.Header.UriMismatch": Reason.URI,
    "Security.Authentication.Timestamp.Invalid": Reason.HEADER,
    "Request.Header.NotFound": Reason.HEADER,
    "Security.Authentication.SessionInvalid": Reason.SESSION,
    "Security.Authentication.SessionExpired": Reason.SESSION,
    "Security.Authentication.Unauthorized": Reason.INFRASTRUCTURE,
    "Security.Authentication.IncorrectToken": Reason.INFRASTRUCTURE,
    "Common.Unauthorized": Reason.INFRASTRUCTURE,
}
"""`Unauthorized` comes with correct credentials, too: a FOLLOWER whose MASTER is dead (`follower-agent`)."""
DECRYPT_FAILED = "Security.Authentication.Header.DecryptFailed"
SECURITY = "Security."
WRONG_KEY = "crypto/rsa"

FOLLOWER = frozenset(
    {"Request.Forward.Header.NotExist", "Request.Forward.MasterAgent.NotFound", "Agent.NoMaster"}
)
"""Only a FOLLOWER forwards requests, and a FOLLOWER's cluster does not run yet."""
DATABASE = ("Agent.OceanBase.", "OB.Server.Process.", "MySQL.Error")
UNEXPECTED = "Common.Unexpected"
NO_ROUTE, NOT_A_ROUTE = frozenset({"Common.NotFound", 1000, 1003}), "404 not found"
NO_ANSWER = "ocsagent cannot build response body"
ABSENT = "record not found"
UNREGISTERED = re.compile(r"\btask type \S+ not register")

OLD_DECRYPT_FAILED, OLD_BAD_REQUEST, OLD_UNEXPECTED, OLD_TASK_NOT_FOUND = 1, 1000, 1002, 2300
OLD_VERIFICATION_FAILED = 10008
OLD_CAUSES = (
    ("header not found", Reason.HEADER),
    ("decrypt", Reason.KEY),
    ("expired", Reason.EXPIRED),
    ("uri", Reason.URI),
    ("to verify", Reason.HEADER_KIND),
    ("not initialized", Reason.NO_AGENT_PASSWORD),
)
CAUSELESS = frozenset({"", "verification failed", "err.unauthorized"})
"""All that agents before 4.2.6.0 say of any rejection (4.2.3.0 the last of them): read in their source."""
OLD_NOT_CLUSTER = "only cluster agent"
OLD_DATABASE = (
    "oceanbase db is nil",
    "oceanbase db is useless",
    "current database is not ocs",
    "observer process not exist",
)
"""Read in the source of agents before 4.3.1.0, where they travel in an "Unexpected error", and in a "Task not
found" when a DAG was asked for."""


def refusal(call: Call, error: ErrorBody, status: int, *, hidden: str = "") -> AgentRefusal:
    """Return the error of a refusal; `hidden` is a secret that the agent's text must not carry on."""
    told = error.message or ""
    text = told.replace(hidden, "***") if hidden else told
    code = error.err_code or (str(error.code) if error.code else None)
    if reason := rejection(error, status):
        return Rejected(call, text, reason=reason, status=status, code=code)
    return _kind(error, status)(call, text, status=status, code=code)


def rejection(error: ErrorBody, status: int) -> Reason | None:
    """Return what the agent did not accept of our credentials, or None if it is about other things."""
    if not error.err_code:
        return _old_rejection(error, status)
    if error.err_code == DECRYPT_FAILED:
        return Reason.KEY if WRONG_KEY in (error.message or "") else Reason.HEADER
    if error.err_code.startswith(SECURITY) or status == HTTPStatus.UNAUTHORIZED:
        return REASONS.get(error.err_code, Reason.OTHER)
    return REASONS.get(error.err_code)


def _old_rejection(error: ErrorBody, status: int) -> Reason | None:
    """Read the rejection of an agent before 4.3.1.0, which has one code for all of them.

    A cause we do not know counts as a wrong password: to stop wrongly costs a notice, to go on wrongly costs
    a failed login at the database with each poll.
    """
    if error.code == OLD_DECRYPT_FAILED:
        return Reason.KEY
    if status != HTTPStatus.UNAUTHORIZED and error.code != OLD_VERIFICATION_FAILED:
        return None
    if error.code != OLD_VERIFICATION_FAILED:
        return Reason.OTHER
    text = (error.message or "").lower()
    if text in CAUSELESS:
        return Reason.UNSAID
    return next((reason for word, reason in OLD_CAUSES if word in text), Reason.PASSWORD)


def _kind(error: ErrorBody, status: int) -> type[AgentRefusal]:
    """Return the class of a refusal that is not about credentials."""
    code, text = error.err_code or "", error.message or ""
    if code.startswith(DATABASE) or _says_old_database(error):
        return DatabaseDown
    if code in FOLLOWER or _says_not_cluster(error, status):
        return NotCluster
    if _is(error, "Task.NotFound", OLD_TASK_NOT_FOUND) and status == HTTPStatus.NOT_FOUND:
        return Gone if text.endswith(ABSENT) else Refused
    if text.endswith(NOT_A_ROUTE) and (error.err_code or error.code) in NO_ROUTE:
        return NotOffered
    if _is(error, UNEXPECTED, OLD_UNEXPECTED) and UNREGISTERED.search(text):
        return UnknownTaskType
    return Refused


def _says_not_cluster(error: ErrorBody, status: int) -> bool:
    text = error.message or ""
    if error.err_code:
        return error.err_code == UNEXPECTED and text.endswith(NO_ANSWER)
    old = status == HTTPStatus.BAD_REQUEST and error.code == OLD_BAD_REQUEST
    return old and OLD_NOT_CLUSTER in text.lower()


def _says_old_database(error: ErrorBody) -> bool:
    if error.err_code or error.code not in {OLD_UNEXPECTED, OLD_TASK_NOT_FOUND}:
        return False
    text = (error.message or "").lower()
    return any(cause in text for cause in OLD_DATABASE)


def _is(error: ErrorBody, code: str, old_code: int) -> bool:
    """Tell whether the refusal has this code, in the spelling of new agents or of old ones."""
    return error.err_code == code if error.err_code else error.code == old_code
