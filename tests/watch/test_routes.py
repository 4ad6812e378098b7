"""The agents of a cluster, asked through the real client: who is asked, and what their answers mean."""

import pytest

from bot.core.health import PollFailure, Trouble
from bot.obshell.client import AgentClient
from bot.watch.reading import Reader
from bot.watch.routes import AllRoutesFailed, CannotConnect, Routes
from tests.factories import dag
from tests.watch.fake import (
    BY_ID,
    DETAILED,
    DOWN,
    LIST,
    NO_DATABASE,
    NOT_CLUSTER,
    STATUS,
    UNKNOWN_TYPE,
    WRONG_PASSWORD,
    FakeAgent,
    Refusal,
)
from tests.watch.replay import ManualClock

URLS = ("http://10.0.0.1:2886", "http://10.0.0.2:2886", "http://10.0.0.3:2886")


@pytest.fixture
def agents() -> list[FakeAgent]:
    """Return three agents of a cluster with one DAG."""
    clock = ManualClock()
    made = [FakeAgent(clock, url) for url in URLS]
    for agent in made:
        agent.listed = (dag(2),)
    return made


@pytest.fixture
def routes(agents: list[FakeAgent]) -> Routes:
    """Return the routes to the three agents."""
    return Routes(URLS, lambda url: agents[URLS.index(url)].client())


async def failure_of(routes: Routes) -> PollFailure:
    """Ask, and return what the failure of all agents means."""
    with pytest.raises(AllRoutesFailed) as caught:
        await Reader(routes).read()
    return caught.value.failure


async def asked(routes: Routes) -> str:
    """Ask, and return which agent answered."""
    reading = await Reader(routes).read()
    assert [snapshot.id for snapshot in reading.snapshots] == ["11"]
    return reading.route.url


async def test_one_agent_is_asked(routes: Routes, agents: list[FakeAgent]) -> None:
    """As long as the first agent answers, the others are left alone."""
    assert [await asked(routes) for _ in range(3)] == [URLS[0]] * 3
    assert [agent.lists() for agent in agents] == [3, 0, 0]


async def test_next_agent_takes_over_and_is_kept(routes: Routes, agents: list[FakeAgent]) -> None:
    """Agents are tried in their order; the one that answered is asked first from then on."""
    agents[0].troubles[""] = DOWN
    agents[1].troubles[""] = NO_DATABASE
    assert await asked(routes) == URLS[2]
    assert routes.agents == (URLS[2], URLS[0], URLS[1])
    agents[0].troubles.clear()
    assert await asked(routes) == URLS[2]
    agents[2].troubles[""] = DOWN
    assert await asked(routes) == URLS[0]


WORST: dict[str, tuple[list[Refusal | None], Trouble]] = {
    "all silent": ([DOWN, DOWN, DOWN], Trouble.UNREACHABLE),
    "one knows of the database": ([DOWN, NO_DATABASE, DOWN], Trouble.DEGRADED),
    "one left the cluster, the others are silent": ([NOT_CLUSTER, DOWN, DOWN], Trouble.UNREACHABLE),
    "none is a member": ([NOT_CLUSTER] * 3, Trouble.NOT_CLUSTER),
    "a refusal of another kind": (
        [Refusal(401, "Security.Authentication.Unauthorized", "Authentication failed")] * 3,
        Trouble.UNREACHABLE,
    ),
}


@pytest.mark.parametrize("name", WORST)
async def test_failure_of_all_says_what_is_wrong(name: str, routes: Routes, agents: list[FakeAgent]) -> None:
    """The answer that says most names the trouble; the failure lists all agents."""
    troubles, expected = WORST[name]
    for agent, trouble in zip(agents, troubles, strict=True):
        agent.troubles[""] = trouble
    failure = await failure_of(routes)
    assert failure.trouble is expected
    assert failure.agents == URLS
    assert failure.agent in URLS
    assert failure.agent in failure.error


async def test_refused_password_is_not_tried_at_other_agents(routes: Routes, agents: list[FakeAgent]) -> None:
    """Each try of a wrong root password is a failed login at the database: one is enough."""
    agents[0].troubles[""] = DOWN
    agents[1].troubles[LIST] = WRONG_PASSWORD
    failure = await failure_of(routes)
    assert (failure.trouble, failure.agent) == (Trouble.AUTH, URLS[1])
    assert [agent.lists() for agent in agents] == [1, 1, 0]


async def test_refused_password_without_a_database_proves_nothing(
    routes: Routes, agents: list[FakeAgent]
) -> None:
    """While the database is down a correct password is refused as well: this is no fault of the operator."""
    for agent in agents:
        agent.troubles[LIST] = WRONG_PASSWORD
        agent.ob_state = 1
    assert (await failure_of(routes)).trouble is Trouble.DEGRADED
    agents[0].troubles.clear()
    assert await asked(routes) == URLS[0]


async def test_refused_password_and_no_status_counts_as_refused(
    routes: Routes, agents: list[FakeAgent]
) -> None:
    """When nobody can say how the database is, the careful reading is to stop."""
    agents[0].troubles = {LIST: WRONG_PASSWORD, STATUS: DOWN}
    assert (await failure_of(routes)).trouble is Trouble.AUTH


async def test_dag_of_another_agent_version_leaves_the_summaries(
    routes: Routes, agents: list[FakeAgent]
) -> None:
    """A task type that the agent does not know spoils its DAG's details alone; no other agent is needed."""
    agents[0].troubles = {DETAILED: UNKNOWN_TYPE, f"{BY_ID}11?show_details=true": UNKNOWN_TYPE}
    agents[0].listed = (dag(2, id="11"), dag(3, id="12"))
    reading = await Reader(routes).read()
    assert [(s.id, s.stages is None) for s in reading.snapshots] == [("11", True), ("12", False)]
    assert reading.route.url == URLS[0]
    assert "upgrade that agent" in reading.notes[0]
    assert agents[1].asked == []


async def test_clients_that_cannot_be_made_are_a_failure_that_passes(agents: list[FakeAgent]) -> None:
    """A missing certificate is told as a failure of this cluster, and tried again at the next question."""
    missing = ["cannot read ca.pem"]

    def open_client(url: str) -> AgentClient:
        if missing:
            raise CannotConnect(missing.pop())
        return agents[URLS.index(url)].client()

    routes = Routes(URLS, open_client)
    failure = await failure_of(routes)
    assert (failure.trouble, failure.error) == (Trouble.UNREACHABLE, "cannot read ca.pem")
    assert failure.agents == routes.agents == URLS
    assert await asked(routes) == URLS[0]


async def test_closed_routes_can_be_asked_again(routes: Routes) -> None:
    """Closing ends the connections; the next question opens new ones."""
    await routes.close()
    assert await asked(routes) == URLS[0]
    await routes.close()
    assert routes.agents == URLS
    assert await asked(routes) == URLS[0]
    await routes.close()
