import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from bot.core.dag import State
from bot.obshell.auth import User
from bot.obshell.client import AgentClient
from bot.obshell.errors import (
    AgentError,
    DatabaseDown,
    Gone,
    NotCluster,
    NotOffered,
    Protocol,
    Reason,
    Rejected,
    TooBig,
    UnknownTaskType,
    Unreachable,
)
from tests.obshell.helpers import (
    NOW,
    PASSWORD,
    UNFINISHED,
    URL,
    Clock,
    Handler,
    client,
    dag,
    opened,
    refused,
    secret,
    wrapped,
)

SECURITY = "Security.Authentication."


def says(data: Any, status: int = 200) -> Handler:
    """Return an agent that always says the same."""
    return lambda _request: httpx.Response(status, json=wrapped(data))


class Ledger:
    """An agent that notes what it is asked, and answers by target."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.requests = answers, list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer what is known for the target."""
        self.requests.append(request)
        return httpx.Response(200, json=wrapped(self.answers[request.url.raw_path.decode()]))

    @property
    def targets(self) -> list[str]:
        """What was asked, in order."""
        return [request.url.raw_path.decode() for request in self.requests]


async def test_the_unfinished_dags_are_asked_with_a_sealed_header() -> None:
    """The signed target is exactly the one sent; nothing is compressed; the root header has no keys."""
    agent = Ledger({UNFINISHED: {"contents": [dag(), dag(id="158")]}})
    async with client(agent) as asked:
        assert [found.id for found in await asked.unfinished()] == ["157", "158"]
    request = agent.requests[0]
    sealed = opened(request.headers["X-OCS-Header"])
    assert sealed == {"Auth": PASSWORD, "Ts": str(int(NOW.timestamp()) + 30), "Uri": UNFINISHED}
    assert agent.targets == [UNFINISHED]
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["Host"] == "10.0.0.1:2886"
    assert "Accept-Language" not in request.headers


async def test_details_are_a_choice() -> None:
    """The parameter is `show_details`, spelled as the agent reads it."""
    list_target, dag_target = UNFINISHED.replace("true", "false"), "/api/v1/task/dag/157?show_details=false"
    agent = Ledger({list_target: {"contents": [dag(nodes=None)]}, dag_target: dag(nodes=None)})
    async with client(agent) as asked:
        assert (await asked.unfinished(details=False))[0].stages is None
        assert (await asked.dag("157", details=False)).stages is None


async def test_one_dag_and_its_lines() -> None:
    """By the ids that the agent gave."""
    row = {"id": 5, "log_content": "hello"}
    agent = Ledger(
        {
            "/api/v1/task/dag/157?show_details=true": dag(),
            "/api/v1/task/sub_task/1611/logs": {"contents": [row]},
        }
    )
    async with client(agent) as asked:
        assert (await asked.dag("157")).state is State.RUNNING
        assert [line.content for line in await asked.sub_task_logs("1611")] == ["hello"]


async def test_an_agents_own_dags_and_all_of_the_cluster() -> None:
    """The agent's own store with details or without; all DAGs that ever ran only without."""
    local = "/api/v1/task/dag/agent/unfinish?show_details="
    agent = Ledger(
        {
            f"{local}true": {"contents": [dag()]},
            f"{local}false": {"contents": [dag(nodes=None)]},
            "/api/v1/task/dags/ob?show_details=false": {"contents": [dag(nodes=None), dag(id="158")]},
            "/api/v1/ob/info": {"agent_info": [{"ip": "10.0.0.2", "port": 2886}, {"ip": "::1", "port": 1}]},
        }
    )
    async with client(agent) as asked:
        assert [one.stages is None for one in await asked.local_unfinished()] == [False]
        assert [one.stages is None for one in await asked.local_unfinished(details=False)] == [True]
        assert [one.id for one in await asked.all_dags()] == ["157", "158"]
        assert [str(host) for host in await asked.members()] == ["10.0.0.2:2886", "[::1]:1"]


async def test_all_dags_are_read_while_they_are_few() -> None:
    """Agents never delete a DAG: above a megabyte the list is not read, however large others may be."""
    many = httpx.Response(200, content=b" " * 2_000_000)
    async with client(lambda _request: many, max_bytes=4_000_000) as asked:
        with pytest.raises(TooBig, match="more than 1048576 bytes"):
            await asked.all_dags()
        with pytest.raises(Protocol) as caught:
            await asked.unfinished()
    assert not isinstance(caught.value, TooBig)


async def test_an_old_agent_does_not_know_new_questions() -> None:
    """Its 404 is no failure of the agent."""
    async with client(
        lambda _r: refused(404, "Common.NotFound", "Element not found: 404 not found")
    ) as asked:
        with pytest.raises(NotOffered):
            await asked.all_dags()
        with pytest.raises(NotOffered):
            await asked.sub_task_logs("1611")


async def test_what_an_agent_is_needs_no_header() -> None:
    """Info, status and time are asked openly; the database gets 3 s of our 10."""
    status_target = "/api/v1/status?ob_query_timeout=3000000"
    agent = Ledger(
        {
            "/api/v1/info": {"identity": "CLUSTER AGENT"},
            status_target: {"agent": {"identity": "SINGLE"}, "obState": 1},
            "/api/v1/time": "2026-05-09T10:00:00+08:00",
        }
    )
    async with client(agent) as asked:
        assert (await asked.info()).is_cluster_agent
        assert not (await asked.status()).database_usable
        assert await asked.time() == datetime(2026, 5, 9, 2, tzinfo=UTC)
        assert asked.skew_s == 0
    assert not any("X-OCS-Header" in request.headers for request in agent.requests)


async def test_the_skew_is_unknown_before_an_answer() -> None:
    """Nothing was measured yet."""
    async with client(says({})) as asked:
        assert asked.skew_s is None


async def test_the_agents_own_password_has_its_own_header() -> None:
    """For clusters whose operators gave the agent password."""
    agent = Ledger({UNFINISHED: {"contents": []}})
    async with client(agent, user=User.AGENT) as asked:
        assert await asked.unfinished() == ()
    assert opened(agent.requests[0].headers["X-OCS-Agent-Header"])["Auth"] == PASSWORD


@pytest.mark.parametrize("wrong", ["", "1a", "../../info", "1?x=1", "1\n", "٣", "1" * 81])
async def test_only_digits_go_into_a_target(wrong: str) -> None:
    """Refused before anything is sent."""
    agent = Ledger({})
    async with client(agent) as asked:
        with pytest.raises(ValueError, match="decimal digits"):
            await asked.dag(wrong)
        with pytest.raises(ValueError, match="decimal digits"):
            await asked.sub_task_logs(wrong)
    assert agent.requests == []


async def test_another_dag_than_asked_for_is_no_answer() -> None:
    """An agent answers about the id that it was asked for."""
    async with client(says(dag(id="158"))) as asked:
        with pytest.raises(Protocol, match="another DAG"):
            await asked.dag("157")


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (404, "Task.NotFound", "Task not found: record not found", Gone),
        (500, "Agent.OceanBase.Useless", "The current database is useless", DatabaseDown),
        (500, "Common.Unexpected", "Unexpected error: ocsagent cannot build response body", NotCluster),
        (500, "Common.Unexpected", "task type X not register", UnknownTaskType),
    ],
)
async def test_refusals_have_their_class(
    status: int, code: str, message: str, kind: type[AgentError]
) -> None:
    """The error names whom we asked for what."""
    async with client(lambda _request: refused(status, code, message)) as asked:
        with pytest.raises(kind) as caught:
            await asked.dag("157")
    assert type(caught.value) is kind
    assert str(caught.value) == (
        f"http://10.0.0.1:2886: GET /api/v1/task/dag/157?show_details=true: {status} {code}: {message}"
    )


async def test_a_wrong_password_is_asked_once() -> None:
    """Each further try would be a failed login at the database; the error does not tell the password."""
    asked_for = []

    def agent(request: httpx.Request) -> httpx.Response:
        asked_for.append(request.url.path)
        return refused(401, SECURITY + "IncorrectOceanbasePassword", f"wrong: {PASSWORD}")

    async with client(agent) as asked:
        with pytest.raises(Rejected) as caught:
            await asked.unfinished()
    assert (caught.value.reason, caught.value.blames_password) == (Reason.PASSWORD, True)
    assert len(asked_for) == 1
    assert PASSWORD not in str(caught.value) + repr(caught.value) + caught.value.message


async def test_a_new_key_is_fetched_and_used() -> None:
    """An agent that was upgraded refuses the old key; the call succeeds all the same."""
    keys = [512, 1024]

    def agent(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/secret":
            return httpx.Response(200, json=wrapped(secret(keys.pop(0))))
        if len(request.headers["X-OCS-Header"]) % 172 == 0:  # two blocks of the long key
            return httpx.Response(200, json=wrapped({"contents": []}))
        return refused(401, SECURITY + "Header.DecryptFailed", "crypto/rsa: decryption error", traceId="")

    transport = httpx.MockTransport(agent)
    async with AgentClient(URL, password=lambda: "x" * 40, clock=Clock(), transport=transport) as asked:
        assert await asked.unfinished() == ()
    assert keys == []


async def test_a_key_that_is_none_names_its_own_request() -> None:
    """The error is about the question for the key, not about the list."""
    transport = httpx.MockTransport(says({"public_key": "junk"}))
    async with AgentClient(URL, password=str, clock=Clock(), transport=transport) as asked:
        with pytest.raises(Protocol, match=r"GET /api/v1/secret: 200: data\.public_key"):
            await asked.unfinished()


async def test_a_refused_key_names_its_own_request() -> None:
    """Likewise for an agent that does not tell its key."""
    transport = httpx.MockTransport(lambda _request: refused(500, "Common.Unexpected"))
    async with AgentClient(URL, password=str, clock=Clock(), transport=transport) as asked:
        with pytest.raises(AgentError, match=r"GET /api/v1/secret: 500 Common\.Unexpected"):
            await asked.unfinished()


HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("response", "complaint"),
    [
        (httpx.Response(200, html="<!doctype html>"), "text/html: is the address right"),
        (
            httpx.Response(502, html="<h1>Bad Gateway</h1>"),
            "502: not an OBShell agent's answer but text/html",
        ),
        (httpx.Response(404, text="404 page not found"), "text/plain"),
        (httpx.Response(204), "something without a type"),
        (httpx.Response(200, json={"hello": "world"}), "answer.successful: missing"),
        (httpx.Response(200, json=[1]), "answer: Expected `object`"),
        (
            httpx.Response(200, json=wrapped({"contents": None})),
            "data.contents: Expected `array`, got `null`",
        ),
        (httpx.Response(200, json=wrapped({"contents": [{}]})), r"data.contents\[0\].id: missing"),
        (httpx.Response(200, json=wrapped()), "data: missing"),
        (
            httpx.Response(301, headers={"Location": "/api/v1/info"}, html="<a>Moved Permanently</a>"),
            "redirected to /api/v1/info, which is not followed",
        ),
        (
            httpx.Response(400, text="Client sent an HTTP request to an HTTPS server.\n"),
            "speaks only TLS here: use https://",
        ),
        (httpx.Response(200, content=b"x" * (1 << 20 | 1)), "more than 1048576 bytes"),
    ],
)
async def test_what_is_no_agents_answer(response: httpx.Response, complaint: str) -> None:
    """A web page, a proxy, a redirect, a broken list: named, never taken for an empty list."""
    async with client(lambda _request: response) as asked:
        with pytest.raises(Protocol, match=complaint) as caught:
            await asked.unfinished()
    assert caught.value.status == response.status_code


async def test_a_compressed_answer_is_refused() -> None:
    """A small one may be huge when unpacked."""
    packed = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"junk"))
    async with client(lambda _request: packed) as asked:
        with pytest.raises(Protocol, match="compressed"):
            await asked.unfinished()


async def test_reading_stops_at_the_limit() -> None:
    """An endless answer is cut, not collected."""
    given = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal given
            while True:
                given += 1000
                yield b"x" * 1000

    transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=Endless()))
    async with AgentClient(URL, password=str, clock=Clock(), transport=transport, max_bytes=10_000) as asked:
        with pytest.raises(Protocol, match="more than 10000 bytes"):
            await asked.info()
    assert given == 11_000


async def test_a_call_ends_in_time() -> None:
    """An agent that hangs is unreachable, and the next call has its turn."""

    class Hangs(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/api/v1/info":
                await asyncio.Event().wait()
            return httpx.Response(200, json=wrapped("2026-05-09T10:00:00+08:00"))

    async with AgentClient(URL, password=str, clock=Clock(), transport=Hangs(), timeout_s=0.02) as asked:
        with pytest.raises(Unreachable, match=r"GET /api/v1/info: no answer within 0\.02 s"):
            await asked.info()
        assert await asked.time() == NOW


async def test_one_request_at_a_time() -> None:
    """Calls wait for each other, however many are made."""
    at_once, most = 0, 0

    class Counts(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1
            return httpx.Response(200, json=wrapped("2026-05-09T10:00:00+08:00"))

    async with AgentClient(URL, password=str, clock=Clock(), transport=Counts()) as asked:
        times = await asyncio.gather(*(asked.time() for _ in range(5)))
    assert (times, most) == ([NOW] * 5, 1)


def test_a_client_does_not_show_the_password() -> None:
    """Nor do its parts."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asked = AgentClient(URL, password=lambda: PASSWORD, clock=Clock(), tls=tls)
    assert repr(asked) == "AgentClient('http://10.0.0.1:2886')"
    assert PASSWORD not in "".join(map(repr, vars(asked).values()))
