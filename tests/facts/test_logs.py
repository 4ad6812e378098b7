"""Log lines: out of order, of all runs, late, absent; told in order, of this run, each once."""

from bot.core.events import AnyEvent, LateLines, StageAdvanced
from bot.sandbox.agents.plans import PartPlan, StagePlan
from tests.facts.world import BROKEN, HOSTS, World, plan, stage, work


def lines_of(events: list[AnyEvent]) -> list[str]:
    """Return all lines of stage replies, late ones among them, in the order told."""
    found = []
    for event in events:
        match event:
            case StageAdvanced():
                found += [line for report in event.finished for log in report.logs for line in log.lines]
            case LateLines():
                found += [line for log in event.logs for line in log.lines]
    return found


async def test_lines_of_all_runs_are_mixed_and_told_apart(world: World) -> None:
    """The reply of a retried stage holds its last run's lines alone, though the agent shows all."""
    again = work("checking", "enough space", seconds=2)
    part = PartPlan(host=HOSTS[0], runs=(BROKEN, again), undos=(work("clean up"),))
    dag = world.create(plan(StagePlan(name="Check space", parts=(part,))))
    await world.wait(8)
    world.operate(dag, "RETRY")
    await world.wait(12)
    assert lines_of(await world.events()) == ["clean up", "checking", "enough space"]


async def test_lines_that_vanish_while_a_sub_task_waits_are_not_lost(world: World) -> None:
    """`task_logs` is null while a retried sub-task is READY: what was known stays known."""
    part = PartPlan(host=HOSTS[2], runs=(BROKEN, work("again")))
    dag = world.create(plan(StagePlan(name="Check space", parts=(part,))))
    await world.wait(8)
    world.agents[2].stop(world.clock())
    world.operate(dag, "RETRY")
    await world.wait(10)
    assert world.cluster.part(dag, 1).state == "READY"
    stages = (await world.dag("11")).snapshot.stages or ()
    assert "no space left" in " ".join(stages[0].sub_tasks[0].lines or ())


async def test_lines_out_of_order_are_put_in_order(world: World) -> None:
    """What the agent shows inline is in no promised order; its store knows."""
    talks = stage("Copy", work("one", "two", "three", "four"), hosts=HOSTS)
    world.create(plan(talks, stage("Next", work("n"))))
    await world.wait(12)
    assert lines_of(await world.events()) == ["one", "two", "three", "four"] * 3 + ["n"]
    assert any(asked.path.endswith("/logs") for asked in world.asked)


async def test_lines_of_an_outage_come_late_and_are_told(world: World) -> None:
    """States and lines of the time without a database come in seconds after it: none is lost or doubled."""
    talks = stage("Copy", work("one", "two", "three", seconds=6))
    dag = world.create(plan(talks, stage("Next", work("n", seconds=4))))
    await world.wait(4)
    world.cluster.lose_database(world.clock())
    await world.wait(15)
    world.cluster.regain_database(world.clock())
    await world.wait(40)
    assert dag.state == "SUCCEED"
    assert lines_of(await world.events()) == ["one", "two", "three", "n"]


async def test_a_line_that_comes_after_its_stage_was_told_is_told_too(world: World) -> None:
    """Late is better than never, and never twice."""
    dag = world.create(plan(stage("Copy", work("one", "two")), stage("Next", work("n", seconds=20))))
    await world.wait(10)
    assert await world.told() == ["stage_advanced"]
    node = dag.nodes[0]
    world.cluster.engine.store.log(dag, node, node.sub_tasks[0], "three", world.clock())
    await world.wait(30)
    events = await world.events()
    assert lines_of(events) == ["one", "two", "three", "n"]
    assert [e.stage_name for e in events if isinstance(e, LateLines)] == ["Copy"]


async def test_a_sub_task_that_is_run_again_by_a_restarted_agent_tells_both(world: World) -> None:
    """The same attempt, from its start: its lines are told as they stand in the store."""
    talks = stage("Copy", work("one", "two", seconds=8), hosts=(HOSTS[1],))
    world.create(plan(talks, stage("Next", work("n"))))
    await world.wait(6)
    world.agents[1].restart(world.clock())
    await world.wait(30)
    told = lines_of(await world.events())
    assert told.count("one") == 2
    assert told[-1] == "n"


async def test_odd_lines_are_told_as_they_are(world: World) -> None:
    """Empty, with blanks, line breaks, markup, colours and other alphabets."""
    odd = (
        "",
        "  spaces  ",
        "two\nlines",
        "<!channel> & *star*",
        "\x1b[31mred\x1b[0m",
        "中文 🚀",
        "\u202eleft",
    )
    world.create(plan(stage("Talk", work(*odd, seconds=3))))
    await world.wait(12)
    assert tuple(lines_of(await world.events())) == odd


async def test_an_over_long_line_is_missing_and_the_others_are_not(world: World) -> None:
    """The agent loses a line that its store cannot hold, without a trace."""
    world.create(plan(stage("Talk", work("before", "x" * 70_000, "after", seconds=3))))
    await world.wait(12)
    assert lines_of(await world.events()) == ["before", "after"]
