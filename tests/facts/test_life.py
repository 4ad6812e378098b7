"""How DAGs live: what their states, stages, times and operators mean, and what they do not."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from bot.core.dag import DagSnapshot, Maintenance, Stage, State, SubTask
from bot.core.events import Cancelled, Failed, Reminder, Retried, Stalled, Succeeded
from bot.sandbox.agents.plans import PartPlan, StagePlan
from bot.slack.messages import root_text
from tests.facts.world import BROKEN, HOSTS, STALL_S, World, breaking, plan, stage, work

Worlds = Callable[..., Awaitable[World]]


async def test_a_failure_without_a_lock_leaves_the_list_and_is_told(world: World) -> None:
    """A DAG that holds no lock vanishes in the moment it fails: only its id tells how it ended."""
    dag = world.create(plan(stage("Prepare", work("ok")), breaking(), maintenance=Maintenance.NONE))
    await world.wait(12)
    assert await world.told() == ["stage_advanced", "failed"]
    assert (await world.view()).dags == ()
    world.operate(dag, "RETRY")
    await world.wait(12)
    assert (await world.told())[2:] == ["retried", "stage_advanced", "succeeded"]


@pytest.mark.parametrize(
    ("operator", "told"),
    [("PASS", ["passed"]), ("ROLLBACK", ["rollback_started", "rolled_back"])],
)
async def test_what_became_of_a_failure_in_no_list_is_told(
    world: World, operator: str, told: list[str]
) -> None:
    """Skipped or undone between two looks it stands in no list of unfinished DAGs: that of all shows it."""
    dag = world.create(plan(breaking(), maintenance=Maintenance.NONE))
    await world.wait(12)
    world.operate(dag, operator)
    for _ in range(8):
        world.clock.now += timedelta(seconds=1)
        world.cluster.tick(world.clock())
    assert dag.state is State.SUCCEED
    await world.wait(660, step=5)
    assert await world.told() == ["failed", *told]
    world.restart()
    await world.wait(660, step=5)
    assert await world.told() == ["failed", *told]


async def test_a_failure_that_stays_listed_is_told_once(world: World) -> None:
    """A maintenance DAG stays in the list for ever, FAILED; it is news again only when it failed again."""
    dag = world.create(plan(breaking(BROKEN, BROKEN, work("ok"))))
    await world.wait(25 * 60, step=30)
    assert await world.told() == ["failed"]
    assert "waiting for an operator: holds the cluster's lock" in root_text(await world.dag("11"))
    world.operate(dag, "RETRY")
    await world.wait(20)
    assert await world.told() == ["failed", "retried", "failed"]


async def test_a_failure_that_nobody_touches_is_recalled(world: World) -> None:
    """With growing gaps, until somebody acts."""
    dag = world.create(plan(breaking()))
    await world.wait(4 * 3600, step=60)
    reminders = [e for e in await world.events() if isinstance(e, Reminder)]
    assert [round((e.at - e.failed_at) / timedelta(minutes=30)) for e in reminders] == [1, 3, 7]
    world.operate(dag, "PASS")
    await world.wait(20 * 3600, step=300)
    assert await world.told() == ["failed", *["reminder"] * 3, "passed"]


async def test_a_failed_tenant_dag_blocks_nobody(world: World) -> None:
    """Its lock is given back although it stays in the list: this is said, and not recalled."""
    give_back = stage("Create tenant", BROKEN, releases_lock=True)
    world.create(plan(give_back, name="Create tenant t1", maintenance=Maintenance.TENANT, key="t1"))
    await world.wait(3 * 3600, step=60)
    assert await world.told() == ["failed"]
    assert "lock released" in root_text(await world.dag("11"))


async def test_success_can_mean_that_it_was_undone(world: World) -> None:
    """SUCCEED with the operator ROLLBACK: what was asked for did not happen."""
    dag = world.create(plan(stage("Prepare", work("ok")), breaking()))
    await world.wait(12)
    world.operate(dag, "ROLLBACK")
    await world.wait(12)
    assert await world.told() == ["stage_advanced", "failed", "rollback_started", "rolled_back"]


async def test_success_can_mean_that_it_was_skipped(world: World) -> None:
    """SUCCEED with the operator PASS: some of it never ran."""
    dag = world.create(plan(breaking(), stage("Never", work("ran"))))
    await world.wait(8)
    world.operate(dag, "PASS")
    await world.wait(5)
    assert await world.told() == ["failed", "passed"]


async def test_success_can_hide_stages_that_were_undone(world: World) -> None:
    """A RETRY after a half rollback never runs the undone stages again, and ends SUCCEED/RUN."""
    stubborn = StagePlan(
        name="First",
        parts=(PartPlan(host=HOSTS[0], runs=(work("a"),), undos=(work(error="stuck"), work("undone"))),),
    )
    dag = world.create(plan(stubborn, stage("Second", work("b")), breaking()))
    await world.wait(15)
    world.operate(dag, "ROLLBACK")
    await world.wait(15)
    world.operate(dag, "RETRY")
    await world.wait(20)
    ended = (await world.events())[-1]
    assert isinstance(ended, Succeeded)
    assert ended.undone == ("Second", "Check space")


async def test_a_retried_dag_says_run(world: World) -> None:
    """The operator RETRY exists on stages alone; the new run is recognised all the same, and numbered."""
    dag = world.create(plan(breaking()))
    await world.wait(8)
    world.operate(dag, "RETRY")
    await world.wait(2)
    retried = [e for e in await world.events() if isinstance(e, Retried)]
    assert [e.dag.run for e in retried] == [2]
    assert dag.operator.value == "RUN"


async def test_a_sub_task_that_is_being_undone_for_its_retry_is_not_through(world: World) -> None:
    """SUCCEED with the operator ROLLBACK is the middle of a retry, not the end of a stage."""
    slow = StagePlan(
        name="Check space",
        parts=(PartPlan(host=HOSTS[0], runs=(BROKEN, work("again", seconds=8)), undos=(work("undo"),)),),
    )
    dag = world.create(plan(slow, stage("Next", work("n"))))
    await world.wait(8)
    world.operate(dag, "RETRY")
    seen = set()
    for _ in range(16):
        await world.wait(0.5)
        await world.look()
        part = world.cluster.part(dag, 1)
        seen.add((part.state, part.operator.value))
        if dag.stage == 1:
            assert await world.told() in (["failed"], ["failed", "retried"])
    assert (State.SUCCEED, "ROLLBACK") in seen


async def test_the_last_stage_is_not_the_end(world: World) -> None:
    """`stage` equals `max_stage` long before the end, and between stages nothing runs for a second."""
    world.create(plan(stage("First", work("a")), stage("Last", work("b", seconds=30))))
    await world.wait(20)
    assert await world.told() == ["stage_advanced"]
    (seen,) = (await world.view()).dags
    assert (seen.snapshot.stage, seen.snapshot.max_stage, seen.outcome) == (2, 2, None)
    await world.wait(20)
    assert (await world.told())[1:] == ["stage_advanced", "succeeded"]


async def test_the_gap_between_stages_is_neither_an_end_nor_a_stall(world: World) -> None:
    """For about a second no stage is RUNNING; looked at ten times a second nothing is said of it."""
    world.create(plan(*(stage(f"Stage {n}", work(f"line {n}", seconds=0.5)) for n in range(1, 5))))
    await world.wait(20, step=0.1)
    assert await world.told() == ["stage_advanced"] * 4 + ["succeeded"]


async def test_a_failed_sub_task_is_no_failed_dag(world: World) -> None:
    """While others of its stage run on, the DAG runs; it fails when all are through."""
    parts = (
        PartPlan(host=HOSTS[0], runs=(BROKEN,)),
        PartPlan(host=HOSTS[1], runs=(work("slow", seconds=30),)),
    )
    world.create(plan(StagePlan(name="Copy", parts=parts)))
    await world.wait(20)
    assert await world.told() == []
    await world.wait(20)
    assert await world.told() == ["failed"]


async def test_a_sub_task_that_nobody_picks_up_waits_for_ever(world: World) -> None:
    """READY has no limit of time: a dead target leaves the DAG RUNNING; the stall names its host."""
    world.agents[2].stop(world.clock())
    world.create(plan(stage("Copy", work("copying"), hosts=HOSTS)))
    await world.wait(2 * STALL_S)
    (stalled,) = [e for e in await world.events() if isinstance(e, Stalled)]
    assert [(w.host, w.state) for w in stalled.waiting] == [("10.0.0.3:2886", State.READY)]
    world.agents[2].start(world.clock())
    await world.wait(15)
    assert await world.told() == ["stalled", "resumed", "stage_advanced", "succeeded"]


async def test_times_that_are_not_set_and_ends_before_starts_mislead_nobody(world: World) -> None:
    """Operators set times to 1970, first runs end before they start: what people see is never negative."""
    dag = world.create(plan(breaking()))
    for second in range(30):
        await world.wait(1)
        seen = await world.dag("11")
        assert seen.elapsed_s is None or 0 <= seen.elapsed_s < 60
        assert {at.year for at in _times(seen.snapshot)} <= {world.clock().year}
        if second == 20:
            world.operate(dag, "RETRY")
    (ended,) = [e for e in await world.events() if isinstance(e, Succeeded)]
    assert ended.total_s is not None
    assert 0 < ended.total_s < 60


def _times(snapshot: DagSnapshot) -> list[datetime]:
    """Return every time of a DAG that is set."""
    stages = snapshot.stages or ()
    parts: list[DagSnapshot | Stage | SubTask] = [snapshot, *stages]
    parts += [task for stage in stages for task in stage.sub_tasks]
    return [at for part in parts for at in (part.started_at, part.ended_at) if at is not None]


@pytest.mark.parametrize("hours", [-8, -0.5, 3.5])
async def test_the_database_of_another_zone_shifts_no_duration(world_of: Worlds, hours: float) -> None:
    """Wall time of the database labelled with the agent's zone: elapsed time is right all the same."""
    world = await world_of(shift=timedelta(hours=hours))
    world.create(plan(stage("Copy", work("copying", seconds=40))))
    await world.wait(20)
    elapsed = (await world.dag("11")).elapsed_s
    assert elapsed is not None
    assert 15 <= elapsed <= 25


async def test_a_cancelled_dag_is_given_up_not_stopped(world: World) -> None:
    """CANCEL ends in FAILED, keeps the lock, and reaches no other agent: this is said with the hosts."""
    dag = world.create(plan(stage("Copy", work("c", seconds=60), hosts=(HOSTS[1],))))
    await world.wait(6)
    world.operate(dag, "CANCEL")
    await world.wait(10)
    assert await world.told() == ["cancelling", "cancelled"]
    (cancelled,) = [e for e in await world.events() if isinstance(e, Cancelled)]
    assert cancelled.elsewhere == ("10.0.0.2:2886",)
    assert [d.snapshot.id for d in (await world.view()).dags] == ["11"]


async def test_the_agent_says_not_which_operators_it_allows(world: World) -> None:
    """The card names what makes sense for such a DAG; obdag itself never tries one."""
    world.create(plan(breaking(), name="OB rolling upgrade 4.3.5.1-1"))
    await world.wait(10)
    (failed,) = [e for e in await world.events() if isinstance(e, Failed)]
    assert failed.operators == ("RETRY",)
    assert {asked.method for asked in world.asked} == {"GET"}


async def test_the_last_line_of_a_failure_may_come_late(world: World) -> None:
    """The ERROR line is written after the state: the card waits a moment for it."""
    late = stage("Check space", work("checking", error="no space left", error_late=1.0))
    world.create(plan(late))
    await world.wait(10)
    (failed,) = [e for e in await world.events() if isinstance(e, Failed)]
    assert failed.failures[0].error_code == "Common.Unexpected"
    assert "no space left" in failed.failures[0].last_lines[-1]


async def test_a_late_line_is_not_waited_for_for_ever(world: World) -> None:
    """A failure without its line is told after a moment."""
    world.create(plan(stage("Check space", work("checking", error="no space left", error_late=50.0))))
    await world.wait(12)
    assert await world.told() == ["failed"]


async def test_a_passed_stage_lets_the_dag_go_on(world: World) -> None:
    """PASS of a stage is a new run without it, told once."""
    dag = world.create(plan(breaking(), stage("Next", work("n"))))
    await world.wait(8)
    world.pass_stage(dag, 1)
    await world.wait(12)
    told = await world.events()
    assert [e.kind for e in told] == ["failed", "retried", "stage_advanced", "stage_advanced", "succeeded"]
    assert isinstance(told[1], Retried)
    assert told[1].passed_stage == "Check space"
