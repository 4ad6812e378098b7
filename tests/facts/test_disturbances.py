"""Restarts, outages, dead hosts: nothing is said to have ended, and no harm is done to agents."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bot.core.dag import Maintenance
from bot.core.events import StageAdvanced
from bot.core.views import ClusterState
from tests.facts.world import HOSTS, World, plan, stage, work

Worlds = Callable[..., Awaitable[World]]
LAST = (HOSTS[1],)
LONG = plan(
    stage("Copy", work("one", "two", seconds=6), hosts=LAST),
    stage("Next", work("n", seconds=50), hosts=LAST),
)


async def test_an_agent_that_restarts_loses_no_dag(world: World) -> None:
    """Refused, then without a database, then without its schema, then as before: nothing has ended."""
    world.create(LONG)
    await world.wait(5)
    world.agents[0].restart(world.clock())
    await world.wait(30, step=0.25)
    assert {"forgotten", "succeeded", "failed", "auth_failed"}.isdisjoint(await world.told())
    (seen,) = (await world.view()).dags
    assert (seen.snapshot.id, seen.outcome, seen.unknown_since) == ("11", None, None)


async def test_another_agent_takes_over_from_a_dead_one(world_of: Worlds) -> None:
    """No outage, no gap: the next registered agent is asked in the same poll."""
    world = await world_of(registered=2)
    world.create(LONG)
    await world.wait(5)
    world.agents[0].stop(world.clock())
    await world.wait(30)
    assert await world.told() == ["stage_advanced"]
    assert (await world.view()).agent == "http://10.0.0.2:2886"


@pytest.mark.parametrize("observer_too", [False, True])
async def test_no_dag_is_asked_for_while_the_database_is_down(
    world_of: Worlds, *, observer_too: bool
) -> None:
    """One such request makes agents call each other without end: not one is sent, whatever left the list."""
    world = await world_of(scope="all", registered=3)
    world.create(plan(stage("Copy", work("one", seconds=3))))
    await world.wait(3)
    world.cluster.lose_database(world.clock(), observer_too=observer_too)
    await world.wait(120)
    assert world.cluster.asked_by_id_while_down == 0
    assert world.cluster.storms == 0
    assert await world.state() is ClusterState.DEGRADED
    world.cluster.regain_database(world.clock())
    await world.wait(90)
    assert (await world.told())[-2:] == ["stage_advanced", "succeeded"]
    assert world.cluster.storms == 0


async def test_a_database_lost_between_list_and_question_is_asked_once(world: World) -> None:
    """The outage can begin right after the list was read: one request may be out, no second follows."""
    for _ in range(5):
        world.create(plan(stage("Copy", work("one", seconds=2)), maintenance=Maintenance.NONE))
    await world.wait(3)
    world.after_list = lambda: _lose(world)
    await world.wait(60)
    assert world.cluster.asked_by_id_while_down == 1


def _lose(world: World) -> None:
    """Take the database away once all DAGs have ended: the list that was just read is empty."""
    if all(dag.finished for dag in world.cluster.engine.store.dags):
        world.after_list = lambda: None
        world.cluster.lose_database(world.clock())


async def test_a_dag_is_unknown_since_the_outage_began(world: World) -> None:
    """No guess: what was last seen, and since when nobody knows."""
    world.create(LONG)
    await world.wait(6)
    lost_at = world.clock()
    world.cluster.lose_database(lost_at)
    await world.wait(60)
    (seen,) = (await world.view()).dags
    assert seen.unknown_since is not None
    assert abs((seen.unknown_since - lost_at).total_seconds()) < 3


async def test_an_agent_without_its_own_observer_is_no_trouble(world_of: Worlds) -> None:
    """Its lists fail; those of the others do not."""
    world = await world_of(registered=2)
    world.create(LONG)
    await world.wait(3)
    world.cluster.lose_observer(world.agents[0], world.clock())
    await world.wait(30)
    assert await world.told() == ["stage_advanced"]


async def test_an_agent_that_hangs_costs_one_limit_of_time(world_of: Worlds) -> None:
    """It is unreachable like a silent one; the other takes over."""
    world = await world_of(registered=2)
    world.create(LONG)
    await world.wait(3)
    world.agents[0].slow_s = 60.0
    await world.wait(30)
    assert await world.told() == ["stage_advanced"]


async def test_what_an_outage_hid_is_told_once_and_whole(world: World) -> None:
    """Stages that ended meanwhile, with their lines, after the recovery."""
    first = stage("Copy", work("one", "two", seconds=6))
    dag = world.create(plan(first, stage("Next", work("n", seconds=3))))
    await world.wait(4)
    world.cluster.lose_database(world.clock())
    await world.wait(30)
    world.cluster.regain_database(world.clock())
    await world.wait(60)
    told = await world.events()
    assert dag.state == "SUCCEED"
    assert [e.kind for e in told][:2] == ["cluster_degraded", "cluster_recovered"]
    stages = [r.position for e in told if isinstance(e, StageAdvanced) for r in e.finished]
    assert stages == [1, 2]
    assert told[-1].kind == "succeeded"


async def test_an_agent_that_never_comes_back_is_left_alone(world_of: Worlds) -> None:
    """Its process ends at every start: the cluster is watched through the others, without noise."""
    world = await world_of(scope="all", registered=3)
    world.create(LONG)
    world.agents[2].stop(world.clock())
    await world.wait(300, step=1)
    assert await world.told() == ["stage_advanced", "stage_advanced", "succeeded"]
    view = await world.view()
    assert view.state is ClusterState.OK
    assert "10.0.0.3" in (view.error or "")


BY_ID = "/api/v1/task/dag/11"
LIST = "/api/v1/task/dag/ob/unfinish"
NO_END = {"forgotten", "succeeded", "failed"}


async def vanished(world: World) -> None:
    """Let a DAG end while it cannot be looked up."""
    world.create(plan(stage("Copy", work("one", seconds=2), hosts=LAST)))
    await world.wait(20)


async def test_not_found_can_be_an_error_of_the_database(world: World) -> None:
    """A 404 with the cause of an SQL failure proves no absence; only "record not found" does."""
    world.refuse(BY_ID, 404, "Task.NotFound", "Task not found: Error 1146: Table 'ocs.dag' doesn't exist")
    await vanished(world)
    assert NO_END.isdisjoint(await world.told())
    world.instead.clear()
    await world.wait(15)
    assert (await world.told())[-1] == "succeeded"


async def test_record_not_found_proves_absence(world: World) -> None:
    """The agent knows its store, and the DAG is not in it."""
    world.refuse(BY_ID, 404, "Task.NotFound", "Task not found: record not found")
    await vanished(world)
    assert (await world.told())[-1] == "forgotten"


async def test_the_code_counts_and_not_the_text_around_it(world: World) -> None:
    """The text says "Task not found", the code that the agent holds no connection: no DAG is gone."""
    text = "Task not found: The current agent does not hold a connection: record not found"
    world.refuse(BY_ID, 500, "Agent.OceanBase.NotHold", text)
    await vanished(world)
    assert NO_END.isdisjoint(await world.told())


async def test_a_bad_request_can_be_the_database_in_trouble(world: World) -> None:
    """400 MySQL.Error blames nobody's request: the cluster is degraded."""
    world.refuse(LIST, 400, "MySQL.Error", "Error 4012 (HY000): Timeout, query has reached the maximum")
    await world.wait(15)
    assert await world.told() == ["cluster_degraded"]


async def test_a_panic_tells_the_time_of_the_start(world: World) -> None:
    """Its timestamp is hours old and says nothing of the agent's clock."""
    started = (world.clock() - timedelta(hours=5)).isoformat()
    panic = {"timestamp": started, "traceId": "", "duration": 0}
    world.refuse(BY_ID, 500, "Common.Unexpected", "Unexpected error: Internal Server Error", **panic)
    await vanished(world)
    assert NO_END.isdisjoint(await world.told())
    assert "clock_skewed" not in await world.told()
    assert abs((await world.health()).tracking.clock.beyond) == 0
