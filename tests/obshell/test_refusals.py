import pytest

from bot.obshell.errors import (
    AgentError,
    AgentRefusal,
    Call,
    DatabaseDown,
    Gone,
    NotCluster,
    NotOffered,
    Protocol,
    Reason,
    Refused,
    Rejected,
    TlsFailed,
    UnknownTaskType,
    Unreachable,
)
from bot.obshell.refusals import refusal, rejection
from bot.obshell.shapes import ErrorBody

CALL = Call("http://10.0.0.1:2886", "GET /api/v1/task/dag/11")
SECURITY = "Security.Authentication."


def said(code: str | int | None, message: str) -> ErrorBody:
    """Return an error object of a new agent (text) or of an old one (number)."""
    if isinstance(code, str):
        return ErrorBody(err_code=code, message=message)
    return ErrorBody(code=code, message=message)


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (404, "Task.NotFound", "Task not found: record not found", Gone),
        (404, "Task.NotFound", "Task not found: dag id not match", Refused),
        (404, "Task.NotFound", "Task not found: Error 1146: no such table", Refused),
        (404, "Task.NotFound", "record not found in table x", Refused),
        (500, "Task.NotFound", "Task not found: record not found", Refused),
        (404, "Common.NotFound", "Element not found: record not found", Refused),
        (500, "Agent.OceanBase.NotHold", "Task not found: Agent is not holding OceanBase", DatabaseDown),
        (500, "Agent.OceanBase.DB.NotOcs", "The current database is not OCS", DatabaseDown),
        (500, "Agent.OceanBase.Useless", "The current database is useless", DatabaseDown),
        (500, "OB.Server.Process.NotExist", "Observer process does not exist", DatabaseDown),
        (500, "OB.Server.Process.CheckFailed", "too many open files", DatabaseDown),
        (400, "MySQL.Error", "Error 4012: Timeout", DatabaseDown),
        (500, "Common.Unexpected", "Unexpected error: ocsagent cannot build response body", NotCluster),
        (500, "Request.Forward.Header.NotExist", "Header not found when auto-forwarding", NotCluster),
        (500, "Request.Forward.MasterAgent.NotFound", "", NotCluster),
        (500, "Agent.NoMaster", "", NotCluster),
        (500, "Common.Unexpected", "task type X not register", UnknownTaskType),
        (500, "Common.Unexpected", "Unexpected error: task type X not register", UnknownTaskType),
        (500, "Common.Unexpected", "Unexpected error: Internal Server Error", Refused),
        (500, "Task.Expired", "task type X not register", Refused),
        (404, "Common.NotFound", "Element not found: 404 not found", NotOffered),
        (404, 1003, "Element not found: 404 not found", NotOffered),
        (400, 1000, "Bad request: 404 not found", NotOffered),
        (400, "Task.GenericID.Invalid", "Invalid ID: 9", Refused),
        (500, "", "", Refused),
        (404, 2300, "Task not found: record not found", Gone),
        (404, 2300, "Task not found: something else", Refused),
        (400, 1000, "Bad request: only cluster agent can get cluster unfinished dags", NotCluster),
        (400, 1000, "Bad request: something else", Refused),
        (500, 1000, "only cluster agent can", Refused),
        (500, 1002, "Unexpected: task type X not register", UnknownTaskType),
        (500, 1002, "Unexpected error", Refused),
        (500, 1002, "Unexpected error: oceanbase db is nil", DatabaseDown),
        (500, 1002, "Unexpected error: oceanbase db is useless", DatabaseDown),
        (500, 1002, "Unexpected error: current database is not ocs", DatabaseDown),
        (500, 1002, "Unexpected error: observer process not exist", DatabaseDown),
        (400, 1000, "Bad request: oceanbase db is nil", Refused),
        (500, None, "", Refused),
    ],
)
def test_refusals_by_code(
    status: int, code: str | int | None, message: str, kind: type[AgentRefusal]
) -> None:
    """The class follows from the code, and from the text only where nothing else tells."""
    error = refusal(CALL, said(code, message), status)
    assert type(error) is kind
    assert (error.agent, error.request, error.status) == (*CALL, status)
    assert error.code == (str(code) if code else None)


@pytest.mark.parametrize(
    ("status", "code", "message", "reason"),
    [
        (
            401,
            SECURITY + "IncorrectOceanbasePassword",
            "认证失败: OceanBase root 密码不正确",
            Reason.PASSWORD,
        ),
        (401, SECURITY + "IncorrectAgentPassword", "", Reason.PASSWORD),
        (401, SECURITY + "WithAgentPassword", "", Reason.HEADER_KIND),
        (401, SECURITY + "WithOceanBasePassword", "", Reason.HEADER_KIND),
        (401, SECURITY + "AgentPasswordNotInitialized", "", Reason.NO_AGENT_PASSWORD),
        (401, SECURITY + "Expired", "", Reason.EXPIRED),
        (401, SECURITY + "Header.DecryptFailed", "…: crypto/rsa: decryption error", Reason.KEY),
        (401, SECURITY + "Header.DecryptFailed", "…: illegal base64 data at input byte 4", Reason.HEADER),
        (401, SECURITY + "Header.DecryptFailed", "…: json: cannot unmarshal number", Reason.HEADER),
        (401, SECURITY + "Header.UriMismatch", "", Reason.URI),
        (401, SECURITY + "Timestamp.Invalid", "", Reason.HEADER),
        (400, "Request.Header.NotFound", "", Reason.HEADER),
        (401, SECURITY + "SessionInvalid", "", Reason.SESSION),
        (401, SECURITY + "SessionExpired", "", Reason.SESSION),
        (401, SECURITY + "Unauthorized", "Authentication failed", Reason.INFRASTRUCTURE),
        (401, SECURITY + "IncorrectToken", "", Reason.INFRASTRUCTURE),
        (401, "Common.Unauthorized", "Unauthorized: bad connection", Reason.INFRASTRUCTURE),
        (401, SECURITY + "OfANewerAgent", "password", Reason.OTHER),
        (500, "Security.Something", "", Reason.OTHER),
        (401, "Something.Else", "", Reason.OTHER),
        (401, 10008, "Verification failed: header decrypt failed", Reason.KEY),
        (401, 1, "header", Reason.KEY),
        (401, 10008, "Verification failed: auth expired", Reason.EXPIRED),
        (401, 10008, "Verification failed: uri mismatch", Reason.URI),
        (401, 10008, "Verification failed: access denied", Reason.PASSWORD),
        (401, 10008, "Verification failed: header not found", Reason.HEADER),
        (401, 10008, "Verification failed: agent password has been set, use … to verify", Reason.HEADER_KIND),
        (401, 10008, "Verification failed: agent password is not initialized", Reason.NO_AGENT_PASSWORD),
        (401, 10008, "Verification failed", Reason.UNSAID),
        (401, 10008, "err.unauthorized", Reason.UNSAID),
        (401, 10008, "", Reason.UNSAID),
        (401, 2, "incompatible", Reason.OTHER),
        (401, None, "", Reason.OTHER),
    ],
)
def test_rejections_by_code(status: int, code: str | int | None, message: str, reason: Reason) -> None:
    """What was wrong with our credentials; the text of a translated answer does not matter."""
    error = refusal(CALL, said(code, message), status)
    assert isinstance(error, Rejected)
    assert error.reason is reason


def test_only_the_operator_can_mend_some_rejections() -> None:
    """Polling stops for these, and for no infrastructure trouble."""
    stops = {
        reason
        for reason in Reason
        if Rejected(CALL, "no", reason=reason, status=401, code="X").blames_password
    }
    assert stops == {Reason.PASSWORD, Reason.HEADER_KIND, Reason.NO_AGENT_PASSWORD, Reason.UNSAID}


def test_other_refusals_reject_no_credentials() -> None:
    """A broken database is no reason to look at the password."""
    assert rejection(said("Agent.OceanBase.Useless", "password"), 500) is None
    assert rejection(said(1002, "password"), 500) is None


def test_an_error_is_one_line_that_names_agent_request_and_code() -> None:
    """People find out whom to look at, and foreign text cannot break the line."""
    error = refusal(CALL, said("Agent.OceanBase.Useless", "no\n\x1b[31mdatabase\t here"), 500)
    assert str(error) == (
        "http://10.0.0.1:2886: GET /api/v1/task/dag/11: 500 Agent.OceanBase.Useless: no [31mdatabase here"
    )
    assert str(Unreachable(CALL, "")) == "http://10.0.0.1:2886: GET /api/v1/task/dag/11"
    assert len(str(Protocol(CALL, "x" * 10_000))) < 400


def test_a_secret_that_an_agent_repeats_is_hidden() -> None:
    """A refusal does not carry the password on."""
    error = refusal(CALL, said("X.Y", "password hush is wrong"), 500, hidden="hush")
    assert "hush" not in repr(error) + str(error) + error.message


def test_the_tree_is_as_documented() -> None:
    """One base for all, one for the agent's own refusals, TLS below the network."""
    assert issubclass(TlsFailed, Unreachable)
    assert not issubclass(Protocol, Unreachable)
    refusals: list[type[AgentError]] = [Rejected, NotCluster, DatabaseDown, Gone, UnknownTaskType, Refused]
    assert all(issubclass(kind, AgentRefusal) for kind in refusals)
    assert all(issubclass(kind, AgentError) for kind in (Unreachable, Protocol, AgentRefusal))
