"""What lists show and hide: stores, sub-DAGs, ids, and answers that are no list."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bot.core.dag import Host, Maintenance
from bot.core.events import Cancelled, Failed, Forgotten, NotClusterAgent, StageAdvanced
from bot.core.views import ClusterState
from bot.sandbox.agents.identities import CLUSTER_AGENT
from bot.sandbox.agents.ob_dags import start_ob
from bot.sandbox.agents.operators import operate_dag
from tests.facts.world import BROKEN, HOSTS, World, plan, stage, work

Worlds = Callable[..., Awaitable[World]]
IPV6 = (Host("2001:db8::5", 2886),)


async def test_starting_the_observers_is_in_no_list_of_the_cluster(world: World) -> None:
    """Start OB is a DAG of the agent that was asked: a watcher of the cluster's list never sees it."""
    start_ob(world.cluster, world.agents[0], world.clock())
    await world.wait(40)
    assert await world.told() == []
    assert (await world.view()).dags == ()


async def test_starting_the_observers_is_told_where_it_is_wished(world_of: Worlds) -> None:
    """With scope `all` each agent is asked for its own; the sub-DAGs' pauses in FAILED tell nothing."""
    world = await world_of(scope="all")
    start_ob(world.cluster, world.agents[0], world.clock(), seconds=20)
    paused = 0
    for _ in range(60):
        await world.wait(1)
        paused += any(d.state == "FAILED" for a in world.agents for d in a.local.store.dags)
        assert "failed" not in await world.told()
    assert paused > 5
    stages = [e for e in await world.events() if isinstance(e, StageAdvanced)]
    assert [r.position for e in stages for r in e.finished] == [1, 2, 3, 4, 5]
    assert (await world.told())[-1] == "succeeded"


async def test_a_main_dag_that_fails_is_judged_alone(world_of: Worlds) -> None:
    """One observer does not start: one failure is told, that of the main DAG."""
    world = await world_of(scope="all")
    start_ob(world.cluster, world.agents[0], world.clock(), failing={HOSTS[1]: "no disk"})
    await world.wait(60)
    assert [e.dag.name for e in await world.events() if isinstance(e, Failed)] == ["Start OB"]


async def test_sub_dags_that_stay_behind_are_named(world_of: Worlds) -> None:
    """A main DAG that is given up leaves them FAILED, with the lock of their agent, for ever."""
    world = await world_of(scope="all")
    main = start_ob(world.cluster, world.agents[0], world.clock())
    await world.wait(5)
    operate_dag(world.agents[0].local, main, "CANCEL", world.clock())
    await world.wait(30 * 60, step=5)
    (cancelled,) = [e for e in await world.events() if isinstance(e, Cancelled)]
    assert cancelled.holding == ("10.0.0.1:2886", "10.0.0.2:2886", "10.0.0.3:2886")
    assert "failed" not in await world.told()


async def test_an_agent_that_is_no_member_gives_an_error_that_says_nothing(world: World) -> None:
    """A generic 500 stands for "not a cluster agent"; what it is comes from its own words."""
    world.create(plan(stage("Copy", work("c", seconds=500))))
    await world.wait(3)
    world.agents[0].become("TAKE OVER MASTER")
    await world.wait(20)
    (event,) = await world.events()
    assert isinstance(event, NotClusterAgent)
    assert event.identity == "TAKE OVER MASTER"
    assert await world.state() is ClusterState.NOT_CLUSTER_AGENT
    world.agents[0].become(CLUSTER_AGENT)
    await world.wait(70)
    assert await world.told() == ["not_cluster_agent", "cluster_recovered"]


async def test_an_answer_with_data_and_error_is_an_error(world: World) -> None:
    """`contents: null` beside an error is no empty list: nothing has ended."""
    world.create(plan(stage("Copy", work("c", seconds=500))))
    await world.wait(3)
    world.cluster.lose_database(world.clock())
    await world.wait(10)
    assert await world.told() == ["cluster_degraded"]
    assert [d.outcome for d in (await world.view()).dags] == [None]


async def test_one_dag_of_an_unknown_type_spoils_no_other(world: World) -> None:
    """The detailed list is a 500 then: summaries are read instead, this is said, and stages are told on."""
    world.create(plan(stage("Copy", work("c", seconds=4)), stage("Next", work("n", seconds=90))))
    strange = world.create(plan(stage("New", work("x", seconds=90)), maintenance=Maintenance.NONE))
    strange.unknown_type = "TaskOfTomorrow"
    await world.wait(12)
    seen = await world.view()
    assert seen.state is ClusterState.OK
    assert "TaskOfTomorrow" in (seen.error or "")
    assert {d.snapshot.id: d.snapshot.stages is None for d in seen.dags} == {"11": False, "12": True}
    assert await world.told() == ["stage_advanced"]


async def test_an_id_is_of_its_kind_only(world: World) -> None:
    """DAG, stage and sub-task may all be called `11`: each is asked for by its own path."""
    world.create(plan(stage("Only", work("one line", "another"))))
    await world.wait(8)
    assert await world.told() == ["stage_advanced", "succeeded"]
    (told,) = [e for e in await world.events() if isinstance(e, StageAdvanced)]
    assert told.dag.dag_id == told.finished[0].logs[0].sub_task_id == "11"
    assert {"/api/v1/task/dag/11", "/api/v1/task/sub_task/11/logs"} <= world.paths()


async def test_ids_of_46_digits_survive(world_of: Worlds) -> None:
    """Agents with an IPv6 address have ids that no number of a computer holds."""
    world = await world_of(scope="all", hosts=IPV6)
    steps = plan(stage("Install", work("a"), hosts=IPV6), maintenance=Maintenance.NONE, name="Start obproxy")
    world.agents[0].local.create(steps, world.clock())
    await world.wait(10)
    dag_id = world.agents[0].local_id(1)
    assert len(dag_id) == 46
    assert f"/api/v1/task/dag/{dag_id}" in world.paths()
    assert await world.told() == ["stage_advanced", "succeeded"]
    assert (await world.dag(dag_id)).outcome == "succeeded"


async def test_ids_begin_anew_with_a_new_cluster(world: World) -> None:
    """Destroyed and built again: old DAGs are forgotten, the new `11` is another DAG with its own story."""
    world.create(plan(stage("Copy", work("c", seconds=500))))
    await world.wait(5)
    world.cluster.destroy(world.clock())
    await world.wait(15)
    world.cluster.found_again(world.clock())
    world.create(plan(stage("Copy", work("c")), stage("Next", work("n", seconds=500))))
    await world.wait(90)
    told = await world.told()
    assert told.count("forgotten") == 1
    assert "succeeded" not in told
    (forgotten,) = [e for e in await world.events() if isinstance(e, Forgotten)]
    assert "rebuilt" in forgotten.reason
    (seen,) = (await world.view()).dags
    assert (seen.snapshot.id, seen.run, seen.snapshot.stage) == ("11", 1, 2)


async def test_a_dag_shorter_than_a_poll_is_in_no_list(world_of: Worlds) -> None:
    """By its number, or within ten minutes: a failed one is told, one that succeeded only kept."""
    world = await world_of()
    for ends in (None, "no space left"):
        quick = stage("Only", work("a", seconds=0.1, error=ends))
        world.create(plan(quick, maintenance=Maintenance.NONE, name="Set parameters"))
        for _ in range(60):
            world.clock.now += timedelta(seconds=0.1)
            world.cluster.tick(world.clock())
    await world.wait(660, step=2)
    assert await world.told() == ["failed"]
    assert (await world.dag("11")).outcome == "succeeded"
    assert (await world.dag("12")).outcome == "failed"


@pytest.mark.parametrize("story", ["succeeds", "fails"])
async def test_hours_away_are_told_in_one_go(world: World, story: str) -> None:
    """The first notice names everything that was missed; each stage is told once."""
    ending = work("n", error="no space left" if story == "fails" else None)
    world.create(plan(stage("Copy", work("c", seconds=600)), stage("Next", ending)))
    await world.wait(10)
    world.clock.now += timedelta(hours=3)
    world.cluster.tick(world.clock())
    world.restart()
    await world.wait(10)
    events = await world.events()
    first = events[0]
    assert isinstance(first, StageAdvanced)
    assert first.away_s is not None
    assert first.away_s > 2.9 * 3600
    assert [missed.kind for missed in first.missed][-1] in {"succeeded", "failed"}
    ends = ["succeeded"] if story == "succeeds" else ["failed"]
    assert [e.kind for e in events][1:] == ends


async def test_more_than_three_at_the_first_poll_are_one_message(store: object) -> None:
    """Whoever registers a busy cluster is not flooded."""
    world = World(store)  # type: ignore[arg-type]
    for number in range(5):
        step = stage("Copy", work("c", seconds=500), hosts=(HOSTS[number % 3],))
        world.create(plan(step, maintenance=Maintenance.NONE, name=f"Backup tenant t{number}"))
    world.clock.now += timedelta(seconds=3)
    await world.begin()
    assert await world.told() == ["digest"]


async def test_a_failure_of_before_is_discovered(store: object) -> None:
    """What was broken when obdag came is no alarm of now."""
    world = World(store)  # type: ignore[arg-type]
    world.create(plan(stage("Copy", BROKEN)))
    for _ in range(20):
        world.clock.now += timedelta(seconds=0.5)
        world.cluster.tick(world.clock())
    await world.begin()
    await world.wait(10)
    assert await world.told() == []
    assert len((await world.view()).dags) == 1
