"""Scope `all`: what agents do on their own, on which agents, and while the database is down."""

from typing import Any

import msgspec
import pytest

from bot.core.dag import DagSnapshot, Maintenance, State
from bot.core.events import ClusterDegraded, Failed, Started
from bot.core.views import ClusterState
from bot.store import views
from tests.factories import at, dag
from tests.watch.fake import DOWN, LIST, MEMBERS, NO_DATABASE, NOT_CLUSTER, OWN, WRONG_PASSWORD
from tests.watch.house import OTHER, URL, House, TroubledStore

START_OB = "20167772161028867"
"""DAG 7 of the agent 10.0.0.1:2886."""
SUB_DAG = "20167772162028863"
"""DAG 3 of the agent 10.0.0.2:2886."""


def local(current: int = 1, dag_id: str = START_OB, **members: Any) -> DagSnapshot:
    """Return a DAG of an agent's own store."""
    named = {"name": "Start OB", "maintenance": Maintenance.NONE, **members}
    return dag(current, id=dag_id, **named)


def sub_dag(state: State = State.FAILED) -> DagSnapshot:
    """Return a sub-DAG of Start OB that pauses."""
    snapshot = local(1, SUB_DAG, name="Start observer", state=state, maintenance=Maintenance.GLOBAL)
    return msgspec.structs.replace(snapshot, main_dag_id=START_OB)


@pytest.fixture
async def both(store: TroubledStore) -> House:
    """Return a house with one cluster of two agents, of which one is registered, polled once."""
    made = House(store)
    for url in (URL, OTHER):
        made.agent(url).members = ("10.0.0.1:2886", "10.0.0.2:2886")
    await made.register(scope="all")
    await made.wait(6)
    return made


async def started(house: House) -> list[str]:
    """Return the names of unfinished DAGs that people see, with the state of their cluster."""
    await house.watcher.flush()
    found = await house.store.read(views.unfinished, house.clock())
    return [f"{d.snapshot.name}{' unknown' if d.unknown_since else ''}" for c in found for d in c.dags]


async def test_agents_own_dags_are_told(both: House) -> None:
    """Start OB lives in the store of one agent; its stages and its end are told like any other's."""
    both.agent().own = (local(1),)
    await both.wait()
    both.agent().own = (local(2),)
    await both.wait()
    both.agent().own, both.agent().known = (), (local(3, state=State.SUCCEED, ended_at=at(60)),)
    await both.wait()
    assert await both.told() == ["stage_advanced", "stage_advanced", "succeeded"]


async def test_other_agents_are_learnt_from_the_cluster(both: House) -> None:
    """An agent that nobody registered is asked for its own DAGs, and takes over when the first one dies."""
    both.agent(OTHER).own = (local(1, SUB_DAG),)
    await both.wait()
    assert await started(both) == ["Start OB"]
    both.agent().troubles[""] = DOWN
    both.agent(OTHER).listed = (dag(1, id="12"),)
    await both.wait()
    assert await started(both) == ["Start OB", "Cluster scale out"]
    assert (await both.health()).agent == OTHER


async def test_each_agent_is_asked_once_by_whatever_name(store: TroubledStore) -> None:
    """A registered agent is recognised among the members by the address that it says of itself."""
    house = House(store)
    house.agent().members = ("10.0.0.1:2886",)
    await house.register(scope="all")
    await house.wait(16)
    asked = house.agent().asked
    assert asked.count(f"{OWN}?show_details=true") == house.agent().lists()
    assert set(house.agents) == {URL}


async def test_scope_cluster_asks_for_nothing_else(house: House) -> None:
    """Without the wish nobody is asked for own DAGs or members."""
    await house.wait(30)
    assert not any(target.startswith((OWN, MEMBERS)) for target in house.agent().asked)


async def test_sub_dags_tell_nothing(both: House) -> None:
    """A pause in FAILED by design is no failure; the main DAG is judged."""
    both.agent().own = (local(1),)
    both.agent(OTHER).own = (sub_dag(State.RUNNING),)
    await both.wait()
    both.agent(OTHER).own = (sub_dag(),)
    await both.wait(30)
    assert await both.told() == []
    assert await started(both) == ["Start OB"]


async def test_failed_main_dag_names_what_stays_behind(both: House) -> None:
    """Start OB vanishes when it fails; its sub-DAGs stay and keep their agents' locks."""
    both.agent().own = (local(1),)
    both.agent(OTHER).own = (sub_dag(),)
    await both.wait()
    both.agent().own, both.agent().known = (), (local(1, state=State.FAILED, ended_at=at(60)),)
    await both.wait(40)
    (failed,) = [event for event in await both.events() if isinstance(event, Failed)]
    assert failed.holding == ("10.0.0.2:2886",)
    assert await started(both) == []


async def test_without_a_database_agents_own_dags_are_read_on(both: House) -> None:
    """The cluster's DAGs are unknown meanwhile, and none is looked up; those of agents go on."""
    both.agent().own, both.agent().listed = (local(1),), (dag(1, id="12"),)
    await both.wait()
    for url in (URL, OTHER):
        both.agent(url).troubles[LIST] = NO_DATABASE
        both.agent(url).asked.clear()
    both.agent().own = (local(2),)
    await both.wait(40)
    both.agent().own, both.agent().known = (), (local(3, state=State.SUCCEED, ended_at=at(60)),)
    await both.wait(20)
    assert await both.told() == ["stage_advanced", "cluster_degraded"]
    (degraded,) = [e for e in await both.events() if isinstance(e, ClusterDegraded)]
    assert (degraded.local, degraded.open_dags) == (True, ("Cluster scale out",))
    health = await both.health()
    assert health.state is ClusterState.DEGRADED
    assert "reading agents' local state" in (health.error or "")
    assert [agent.by_id() for agent in both.agents.values()] == [[], []]
    assert "Cluster scale out unknown" in await started(both)


async def test_after_the_outage_the_end_is_told(both: House) -> None:
    """What ended meanwhile is looked up as soon as a list can be read again."""
    both.agent().own = (local(1),)
    await both.wait()
    for url in (URL, OTHER):
        both.agent(url).troubles[LIST] = NO_DATABASE
    both.agent().own, both.agent().known = (), (local(3, state=State.SUCCEED, ended_at=at(60)),)
    await both.wait(40)
    for url in (URL, OTHER):
        both.agent(url).troubles.clear()
    await both.wait(30)
    told = await both.told()
    assert told == ["cluster_degraded", "cluster_recovered", "stage_advanced", "succeeded"]


async def test_silent_agent_says_nothing_about_its_dags(both: House) -> None:
    """While an agent cannot be asked its DAGs are neither missed nor looked up elsewhere."""
    both.agent(OTHER).own = (local(1, SUB_DAG),)
    await both.wait()
    both.agent(OTHER).troubles[""] = DOWN
    await both.wait(300)
    assert await both.told() == []
    assert both.agent().by_id() == []
    assert await started(both) == ["Start OB unknown"]
    health = await both.health()
    assert health.state is ClusterState.OK
    assert OTHER in (health.error or "")


async def test_silent_agent_is_left_alone_for_some_polls(both: House) -> None:
    """Each try at a dead host costs the whole poll its limit of time."""
    before = len(both.agent(OTHER).asked)
    both.agent(OTHER).troubles[""] = DOWN
    await both.wait(300)
    lists = both.agent().lists()
    assert len(both.agent(OTHER).asked) - before < lists / 2


async def test_agent_that_refuses_the_password_is_not_asked_again(both: House) -> None:
    """After a change of the password each agent takes it over by itself; each try is a failed login."""
    both.agent(OTHER).troubles[OWN] = WRONG_PASSWORD
    await both.wait(100)
    asked = both.agent(OTHER).asked
    assert len([target for target in asked if target.startswith(OWN)]) == 2
    assert (await both.health()).state is ClusterState.OK


async def test_cluster_that_is_being_built_is_read_where_it_can_be(store: TroubledStore) -> None:
    """Initialize cluster is a DAG of the MASTER, which has no list of a cluster yet."""
    house = House(store)
    agent = house.agent()
    agent.identity, agent.troubles[LIST] = "MASTER", NOT_CLUSTER
    await house.register(scope="all")
    agent.own = (local(1, name="Initialize cluster"),)
    await house.wait(20)
    agent.own = (local(2, name="Initialize cluster"),)
    await house.wait(10)
    assert await house.told() == ["not_cluster_agent", "stage_advanced"]
    events = await house.events()
    assert getattr(events[0], "identity", None) == "MASTER"
    assert not any(isinstance(event, Started) for event in events)
