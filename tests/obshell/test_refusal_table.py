"""Every way in which an agent refuses credentials, and what we do about it: one row each.

`tries` counts how often the question itself is sent. The old spelling is that of agents before 4.3.1.0, which
have no `errCode` and one number for nearly everything.
"""

from typing import Any, NamedTuple

import httpx
import pytest

from bot.obshell.auth import HEADERS, OTHER, User
from bot.obshell.errors import AgentRefusal, NotCluster, Reason, Refused, Rejected
from tests.obshell.helpers import PASSWORD, client, wrapped

SECURITY = "Security.Authentication."


class Row(NamedTuple):
    """One refusal and its consequence."""

    status: int
    error: dict[str, Any]
    kind: type[AgentRefusal]
    reason: Reason | None = None
    blamed: bool = False
    tries: int = 1


def new(code: str, message: str, number: int | None = 10008) -> dict[str, Any]:
    """Return a refusal as agents say it since 4.3.1.0."""
    return {"errCode": code, "message": message} | ({"code": number} if number else {})


def old(message: str, number: int = 10008) -> dict[str, Any]:
    """Return a refusal as agents before 4.3.1.0 say it."""
    return {"code": number, "message": message}


U = "Unauthorized: "
ROWS = {
    "no header": Row(
        400,
        new(
            "Request.Header.NotFound",
            "X-OCS-Agent-Header or X-OCS-Header not found in http request header",
            None,
        ),
        Rejected,
        Reason.HEADER,
    ),
    "another key": Row(
        401,
        new(f"{SECURITY}Header.DecryptFailed", "Decrypt http header failed: crypto/rsa: decryption error", 1),
        Rejected,
        Reason.KEY,
        tries=2,
    ),
    "a header that is no JSON": Row(
        401,
        new(
            f"{SECURITY}Header.DecryptFailed", "Decrypt http header failed: invalid character 'x' looking", 1
        ),
        Rejected,
        Reason.HEADER,
    ),
    "another target": Row(401, new(f"{SECURITY}Header.UriMismatch", "URI mismatch"), Rejected, Reason.URI),
    "too late": Row(
        401, new(f"{SECURITY}Expired", f"{U}Authentication expired"), Rejected, Reason.EXPIRED, tries=2
    ),
    "no time": Row(
        401, new(f"{SECURITY}Timestamp.Invalid", f"{U}Invalid timestamp: x, err: y"), Rejected, Reason.HEADER
    ),
    "wrong root password": Row(
        401,
        new(f"{SECURITY}IncorrectOceanbasePassword", f"{U}OceanBase password is incorrect"),
        Rejected,
        Reason.PASSWORD,
        blamed=True,
    ),
    "wrong agent password": Row(
        401,
        new(f"{SECURITY}IncorrectAgentPassword", f"{U}Agent password is incorrect"),
        Rejected,
        Reason.PASSWORD,
        blamed=True,
    ),
    "wants the agent password": Row(
        401,
        new(f"{SECURITY}WithAgentPassword", f"{U}Should use agent_password to verify: x"),
        Rejected,
        Reason.HEADER_KIND,
        blamed=True,
        tries=2,
    ),
    "wants the root password": Row(
        401,
        new(f"{SECURITY}WithOceanBasePassword", f"{U}Should use oceanbase_password to verify: x"),
        Rejected,
        Reason.HEADER_KIND,
        blamed=True,
        tries=2,
    ),
    "has no agent password": Row(
        401,
        new(f"{SECURITY}AgentPasswordNotInitialized", f"{U}Agent password is not initialized"),
        Rejected,
        Reason.NO_AGENT_PASSWORD,
        blamed=True,
    ),
    "wrong token": Row(
        401, new(f"{SECURITY}IncorrectToken", f"{U}Incorrect token"), Rejected, Reason.INFRASTRUCTURE
    ),
    "session unknown": Row(
        401, new(f"{SECURITY}SessionInvalid", "Session is invalid"), Rejected, Reason.SESSION
    ),
    "session over": Row(
        401, new(f"{SECURITY}SessionExpired", "Session is expired"), Rejected, Reason.SESSION
    ),
    "its master is dead": Row(
        401, new(f"{SECURITY}Unauthorized", "Authentication failed"), Rejected, Reason.INFRASTRUCTURE
    ),
    "its own store is unwell": Row(
        401, new("Common.Unauthorized", f"{U}database is locked"), Rejected, Reason.INFRASTRUCTURE
    ),
    "a word of a newer agent": Row(
        401, new(f"{SECURITY}PasskeyMissing", "Passkey is missing"), Rejected, Reason.OTHER
    ),
    "the agent header at a FOLLOWER": Row(
        500,
        new(
            "Request.Forward.Header.NotExist",
            "Header not found when auto-forwarding request to master",
            None,
        ),
        NotCluster,
    ),
    "a FOLLOWER without a master": Row(500, new("Agent.NoMaster", "Agent has no master", None), NotCluster),
    "a master that is not found": Row(
        500, new("Request.Forward.MasterAgent.NotFound", "Master agent not found", None), NotCluster
    ),
    "a body that cannot be opened": Row(
        500, new("Request.Body.Decrypt.AES.KeyAndIv.Invalid", f"{U}AES key and IV size error", None), Refused
    ),
    "a panic": Row(500, new("Common.Unexpected", "Unexpected error: Internal Server Error", None), Refused),
    "old: another key": Row(
        401, old("Verification failed: header decrypt failed"), Rejected, Reason.KEY, tries=2
    ),
    "old: another key, by its number": Row(
        401, old("crypto/rsa: decryption error", 1), Rejected, Reason.KEY, tries=2
    ),
    "old: too late": Row(
        401, old("Verification failed: authentication expired"), Rejected, Reason.EXPIRED, tries=2
    ),
    "old: another target": Row(401, old("Verification failed: uri mismatch"), Rejected, Reason.URI),
    "old: wrong password": Row(
        401,
        old("Verification failed: oceanbase password is incorrect"),
        Rejected,
        Reason.PASSWORD,
        blamed=True,
    ),
    "old: whatever else": Row(
        401, old("Verification failed: something"), Rejected, Reason.PASSWORD, blamed=True
    ),
    "old: permission denied": Row(401, old("permission denied", 10000), Rejected, Reason.OTHER),
    "old: not a cluster agent": Row(
        400, old("Bad request: only cluster agent can get cluster unfinished dags", 1000), NotCluster
    ),
    "old: illegal argument": Row(400, old("Illegal argument", 1001), Refused),
}


class Agent:
    """An agent that refuses everything but the question for its key, and counts."""

    def __init__(self, row: Row) -> None:
        self.row, self.headers = row, list[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Refuse."""
        self.headers += [name for name in HEADERS.values() if name in request.headers]
        return httpx.Response(self.row.status, json=wrapped(error=self.row.error, status=self.row.status))


@pytest.mark.parametrize("user", User)
@pytest.mark.parametrize("name", ROWS)
async def test_refusal_has_its_consequence(name: str, user: User) -> None:
    """Class and reason, whether the password is to blame, how often it was tried, and with which header."""
    row = ROWS[name]
    agent = Agent(row)
    async with client(agent, user=user) as asked:
        with pytest.raises(AgentRefusal) as caught:
            await asked.unfinished()
    error = caught.value
    assert type(error) is row.kind
    assert len(agent.headers) == row.tries
    assert agent.headers[0] == HEADERS[user]
    switched = row.reason is Reason.HEADER_KIND
    assert agent.headers[-1] == HEADERS[OTHER[user] if switched else user]
    if isinstance(error, Rejected):
        assert (error.reason, error.blames_password) == (row.reason, row.blamed)
    assert "http://10.0.0.1:2886" in str(error)
    assert "GET /api/v1/task/dag/ob/unfinish" in str(error)
    assert PASSWORD not in f"{error} {error!r}"


@pytest.mark.parametrize("name", ROWS)
async def test_refusal_is_the_same_the_next_time(name: str) -> None:
    """A refusal leaves nothing behind: the next question is asked as the first was, no more often."""
    row = ROWS[name]
    agent = Agent(row)
    async with client(agent) as asked:
        for _ in range(2):
            with pytest.raises(row.kind):
                await asked.unfinished()
    assert len(agent.headers) == 2 * row.tries
    assert agent.headers[0] == agent.headers[row.tries]
