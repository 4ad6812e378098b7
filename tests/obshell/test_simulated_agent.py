"""The client against the simulated agent: two implementations of one protocol, all checks switched on."""

from datetime import timedelta

import httpx
import pytest

from bot.core.dag import Host
from bot.obshell.auth import User
from bot.obshell.client import AgentClient
from bot.obshell.errors import DatabaseDown, Gone, NotCluster, Reason, Rejected, Unreachable
from bot.sandbox.agents.agent import SimulatedAgent, make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from tests.obshell.helpers import NOW, PASSWORD, URL, Clock

HOST = Host("10.0.0.1", 2886)


class World:
    """One simulated agent of a cluster, the clock, and every request that reached the agent."""

    def __init__(self, *, bits: int = 1024, agent_password: str | None = None) -> None:
        self.clock = Clock()
        self.cluster = SimulatedCluster("prod", NOW, hosts=[HOST], root_password=PASSWORD)
        (self.agent,) = make_agents(self.cluster, NOW, key_bits=bits, agent_password=agent_password)
        self.asked: list[str] = []

    def client(self, *, password: str = PASSWORD, user: User = User.ROOT) -> AgentClient:
        """Return a client of the agent."""
        transport = httpx.MockTransport(self._respond)
        return AgentClient(URL, password=lambda: password, clock=self.clock, user=user, transport=transport)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        self.asked.append(target.removeprefix("/api/v1/").partition("?")[0])
        try:
            told = self.agent.respond("GET", target, dict(request.headers), b"", self.clock.now)
        except ConnectionRefusedError as error:
            raise httpx.ConnectError("refused") from error
        return httpx.Response(told.status, headers=told.headers, content=told.body)


LIST = "task/dag/ob/unfinish"


@pytest.mark.parametrize("bits", [512, 1024])
async def test_a_list_with_keys_of_both_sizes(bits: int) -> None:
    """Key, header, target and time pass all checks of the agent."""
    world = World(bits=bits)
    async with world.client() as client:
        assert await client.unfinished() == ()
        assert await client.unfinished(details=False) == ()
    assert world.asked == ["secret", LIST, LIST]


async def test_questions_that_need_no_password() -> None:
    """What the agent is and how it is."""
    world = World()
    async with world.client(password="wrong") as client:
        info, status = await client.info(), await client.status()
        assert (info.is_cluster_agent, info.ip, info.has_agent_password) == (True, "10.0.0.1", False)
        assert (status.is_cluster_agent, status.database_usable) == (True, True)
        assert await client.time() == NOW


async def test_a_new_key_after_a_restart() -> None:
    """The call that meets the new key succeeds, after one more question for it."""
    world = World()
    async with world.client() as client:
        await client.unfinished()
        world.agent.restart(world.clock.now, new_key=True)
        world.clock.advance(30)
        assert await client.unfinished() == ()
    assert world.asked == ["secret", LIST, LIST, "secret", LIST]


@pytest.mark.parametrize("hours", [-5, 5])
async def test_a_clock_that_runs_differently(hours: int) -> None:
    """The first answer tells the difference, so that no header expires."""
    world = World()
    world.agent.clock_offset = timedelta(hours=hours)
    async with world.client() as client:
        assert await client.unfinished() == ()
        assert client.skew_s == hours * 3600
    assert world.asked == ["secret", LIST]


async def test_a_clock_that_jumps() -> None:
    """The refusal tells the new time; the call succeeds."""
    world = World()
    async with world.client() as client:
        await client.unfinished()
        world.agent.clock_offset = timedelta(hours=1)
        assert await client.unfinished() == ()
    assert world.asked == ["secret", LIST, LIST, LIST]


async def test_a_wrong_password_is_tried_once() -> None:
    """The agent's refusal comes through with its reason."""
    world = World()
    async with world.client(password="wrong") as client:
        with pytest.raises(Rejected) as caught:
            await client.unfinished()
    assert caught.value.reason is Reason.PASSWORD
    assert world.asked == ["secret", LIST]


async def test_the_agents_own_password() -> None:
    """It goes into the other header; without one set on the agent it is refused."""
    world = World(agent_password="other-Pa55")
    async with world.client(password="other-Pa55", user=User.AGENT) as client:
        assert await client.unfinished() == ()
    world = World()
    async with world.client(user=User.AGENT) as client:
        assert await client.unfinished() == ()
    assert world.asked == ["secret", LIST, LIST]


async def test_troubles_have_their_class() -> None:
    """A dead agent, a lost database, a DAG that never was, an agent that is in no cluster."""
    world = World()
    async with world.client() as client:
        with pytest.raises(Gone):
            await client.dag("1999")
        world.cluster.lose_database(world.clock.now)
        with pytest.raises(DatabaseDown):
            await client.unfinished()
        world.agent.stop(world.clock.now)
        with pytest.raises(Unreachable):
            await client.unfinished()
    world.agent = SimulatedAgent(HOST, NOW)
    async with world.client() as client:
        with pytest.raises(NotCluster):
            await client.unfinished()
