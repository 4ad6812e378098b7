"""The simulated agent behind a port: the same answers as without one, and outages as a client meets them."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from bot.clock import system_clock
from bot.core.dag import Host
from bot.sandbox.agents.agent import SimulatedAgent, make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.plans import DagPlan, StagePlan
from bot.sandbox.agents.server import DEMO_PASSWORD, AgentServer, living, simulate
from tests.sandbox.asking import ROOT, header_members, sealed

PASSWORD = "lab-pass"
UNFINISHED = "/api/v1/task/dag/ob/unfinish"


@pytest.fixture
def agent() -> SimulatedAgent:
    """One agent of a cluster that is a hundred times as fast as a real one."""
    now = system_clock()
    cluster = SimulatedCluster(
        "lab", now, hosts=[Host("10.0.0.1", 2886)], root_password=PASSWORD, tick_s=0.01
    )
    return make_agents(cluster, now)[0]


@pytest.fixture
async def server(agent: SimulatedAgent) -> AsyncIterator[AgentServer]:
    """Return the agent behind a port."""
    async with AgentServer(agent) as opened:
        yield opened


@pytest.fixture
async def client(server: AgentServer) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that keeps its connections."""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=5) as opened:
        yield opened


@pytest.mark.parametrize(
    "target",
    [UNFINISHED, f"{UNFINISHED}?show_details=false", f"{UNFINISHED}?b=%2F%20x&a=1&&c", f"{UNFINISHED}?"],
)
async def test_the_target_arrives_byte_for_byte(
    agent: SimulatedAgent, server: AgentServer, target: str
) -> None:
    """A header sealed for a target opens exactly that one, however it is spelled."""
    value = sealed(agent, header_members(target, system_clock(), PASSWORD))
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", f"{ROOT}: {value}", "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode())
    status = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await writer.wait_closed()
    assert status.split()[1] == b"200"


async def test_an_outage_shuts_the_port_and_its_end_opens_the_same(
    agent: SimulatedAgent, server: AgentServer, client: httpx.AsyncClient
) -> None:
    """Also for connections that were open before."""
    assert (await client.get("/api/v1/info")).status_code == 200
    url = server.url
    agent.stop(system_clock())
    await server.settle()
    with pytest.raises(httpx.TransportError):
        await client.get("/api/v1/info")
    agent.start(system_clock())
    await server.settle()
    assert server.url == url
    assert (await client.get("/api/v1/info")).status_code == 200


async def test_a_cut_answer_is_a_broken_connection(agent: SimulatedAgent, client: httpx.AsyncClient) -> None:
    """Once, as it was switched on for one answer."""
    agent.cut_answers = 1
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/api/v1/info")
    assert (await client.get("/api/v1/info")).status_code == 200


async def test_a_slow_answer_is_slow(agent: SimulatedAgent, client: httpx.AsyncClient) -> None:
    """A client with little patience gives up."""
    agent.slow_s = 30
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/api/v1/info", timeout=0.05)


async def test_types_of_content_are_the_agents_own(client: httpx.AsyncClient) -> None:
    """No charset is added, redirects are not followed for the client, pages are pages."""
    kinds = [
        (await client.get(target)).headers["Content-Type"]
        for target in ("/api/v1/info", "/x/api/v1/info", "/task/dag/11", "/api/v1/info/")
    ]
    html = "text/html; charset=utf-8"
    assert kinds == ["application/json", "text/plain", html, html]


async def test_time_goes_on_by_itself(agent: SimulatedAgent, server: AgentServer) -> None:
    """While it is living, nobody has to ask for a DAG to make progress."""
    cluster = agent.cluster
    assert cluster is not None
    dag = cluster.create(DagPlan(name="Quick", stages=(StagePlan(name="Only"),)), system_clock())
    done = asyncio.Event()

    def step() -> None:
        cluster.tick(system_clock())
        if dag.finished:
            done.set()

    async with living(step, [server]), asyncio.timeout(5):
        await done.wait()


@pytest.mark.parametrize("dag", [None, "rollback"])
async def test_simulate_runs_a_story_alone(dag: str | None) -> None:
    """It tells its address and its password, and both are right."""
    said: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(simulate(port=0, address="127.0.0.1", dag=dag, say=said.put_nowait))
    async with asyncio.timeout(5):
        url, password = await said.get(), await said.get()
    assert password == f"password: {DEMO_PASSWORD}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=5) as client:
        info = (await client.get("/api/v1/info")).json()["data"]
    assert (info["identity"], info["ip"], info["port"]) == ("CLUSTER AGENT", "127.0.0.1", 2886)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_simulate_refuses_an_unknown_story() -> None:
    """Before anything is opened."""
    with pytest.raises(KeyError):
        await simulate(port=0, address="127.0.0.1", dag="no-such-story", say=print)
