"""Whole stories: what happens when, and exactly these messages, nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.dag import Maintenance
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from bot.sandbox.agents.rows import DagRow
from bot.sandbox.reading import visible_text
from bot.sandbox.webapi.trouble import (
    BrokenJson,
    DropAfter,
    DropBefore,
    HttpStatus,
    RateLimited,
    Says,
    Trouble,
)
from tests.acceptance.timeline import HOSTS, Timeline, timeline


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Timeline]:
    """Return a timeline with a registered cluster that runs nothing."""
    async with timeline(tmp_path) as opened:
        await opened.register()
        yield opened


def plan(stages: int = 3, *, kind: Maintenance = Maintenance.GLOBAL, seconds: float = 2) -> DagPlan:
    """Return a scale out whose parts run on two hosts and log one line each."""
    return DagPlan(
        name="Cluster scale out",
        maintenance=kind,
        stages=tuple(
            StagePlan(
                name=f"Step {'ABCDEF'[n]}",
                parts=tuple(
                    PartPlan(host=h, runs=(Work(lines=(f"step {n + 1} on {h.ip}",), seconds=seconds),))
                    for h in HOSTS[:2]
                ),
            )
            for n in range(stages)
        ),
    )


def create(line: Timeline, of: DagPlan | None = None) -> DagRow:
    """Create a DAG now."""
    return line.cluster.create(of or plan(), line.clock())


def stems(texts: list[str]) -> list[str]:
    """Return of each first line the word by which people recognise it."""
    operators = ("retried", "rolling back", "rolled back", "being cancelled", "cancelled", "skipped")
    endings = ("failed", "succeeded", "stalled", "moves again", "unreachable", "recovered")
    known = (*operators, *endings, "Step A", "Step B", "Step C")
    return [next((w for w in known if w in text), text) for text in texts]


async def test_undisturbed_dag_is_one_root_its_stages_and_the_outcome(line: Timeline) -> None:
    """One message in the channel, one reply per stage with its lines, one for the outcome."""
    create(line)
    await line.wait(40)
    (root,) = line.roots()
    assert "succeeded" in visible_text(root)
    assert "3/3" in visible_text(root)
    assert stems(line.replies()) == ["Step A", "Step B", "Step C", "succeeded"]
    assert line.broadcast() == []
    replies = line.workspace.replies(line.channel, root.ts)
    for number, reply in enumerate(replies[:3], start=1):
        lines = visible_text(reply).splitlines()[1:]
        assert [text for text in lines if text.startswith("step")] == [
            f"step {number} on 10.0.0.1",
            f"step {number} on 10.0.0.2",
        ]


async def test_root_follows_the_stages(line: Timeline) -> None:
    """The root is edited in place, stage by stage, and is the only message of the DAG in the channel."""
    create(line)
    seen: list[str] = []
    for _ in range(40):
        await line.wait(1)
        seen += [f"{n}/3" for root in line.roots() for n in (1, 2, 3) if f"{n}/3" in root.text][:1]
    assert [text for i, text in enumerate(seen) if i == 0 or seen[i - 1] != text] == ["1/3", "2/3", "3/3"]
    assert len(line.roots()) == 1


async def test_failure_and_retry(line: Timeline) -> None:
    """A failure is told once, in the channel too; the retried stage has the lines of its new run only."""
    dag = create(line)
    line.cluster.fail_attempt(dag, 2, 1, "no space left on /data", part=1)
    await line.wait(60)
    assert stems(line.broadcast()) == ["failed"]
    line.cluster.operate(dag, "RETRY", line.clock())
    await line.wait(40)
    assert stems(line.replies()) == ["Step A", "failed", "retried", "Step B", "Step C", "succeeded"]
    card, retried_stage = (line.workspace.replies(line.channel, line.roots()[0].ts)[n] for n in (1, 3))
    for fact in ("Step B", "10.0.0.2", "Common.Unexpected", "no space left on /data", "RETRY", "attempt 1"):
        assert fact in visible_text(card)
    assert "no space left" not in visible_text(retried_stage)


@pytest.mark.parametrize(
    ("operator", "ending"),
    [("ROLLBACK", ["rolling back", "rolled back"]), ("PASS", ["skipped"])],
)
async def test_operator_after_a_failure(line: Timeline, operator: str, ending: list[str]) -> None:
    """A rollback is told when it begins and ends; a pass closes the DAG."""
    dag = create(line)
    line.cluster.fail_attempt(dag, 2, 1, "no space left on /data")
    await line.wait(20)
    line.cluster.operate(dag, operator, line.clock())
    await line.wait(40)
    assert stems(line.replies()) == ["Step A", "failed", *ending]
    assert ending[-1] in visible_text(line.roots()[0])


async def test_cancel(line: Timeline) -> None:
    """A cancelled DAG is told as given up, and stays quiet afterwards though it stays listed."""
    dag = create(line)
    await line.wait(6)
    line.cluster.operate(dag, "CANCEL", line.clock())
    await line.wait(60)
    assert stems(line.replies())[-2:] == ["being cancelled", "cancelled"]
    assert line.broadcast() == []


async def test_failure_that_leaves_the_list_is_looked_up(line: Timeline) -> None:
    """A DAG without a lock leaves the list by failing: it is told as failed, never as done."""
    dag = create(line, plan(kind=Maintenance.NONE))
    line.cluster.fail_attempt(dag, 2, 1, "destination is not writable")
    await line.wait(40)
    assert stems(line.replies()) == ["Step A", "failed"]
    line.cluster.operate(dag, "RETRY", line.clock())
    await line.wait(40)
    assert stems(line.replies()) == ["Step A", "failed", "retried", "Step B", "Step C", "succeeded"]


async def test_stall_is_told_once_with_its_end(line: Timeline) -> None:
    """A hung stage is told after its stall time, with the host that it waits for, and when it moves again."""
    dag = create(line, plan(seconds=5))
    await line.wait(6)
    line.cluster.hang(dag, 1, line.clock(), part=1)
    await line.wait(120)
    assert stems(line.broadcast()) == ["stalled"]
    stall = line.workspace.replies(line.channel, line.roots()[0].ts)[0]
    assert "10.0.0.2" in visible_text(stall)
    line.cluster.release(dag, 1, line.clock(), part=1)
    await line.wait(60)
    assert stems(line.replies())[0] == "stalled"
    assert stems(line.replies())[2:] == ["Step A", "Step B", "Step C", "succeeded"]
    assert len(line.replies()) == 6


async def test_outage_is_not_the_end_of_a_dag(line: Timeline) -> None:
    """While the agent is away nothing is said of its DAGs; afterwards everything that was missed."""
    create(line, plan(seconds=8))
    await line.wait(5)
    line.agents[0].unplug(line.clock())
    await line.wait(90)
    assert len(line.roots()) == 2
    root, outage = line.roots()
    assert "unreachable" in visible_text(outage)
    assert line.replies(root) == []
    assert "unknown since" in visible_text(root)
    line.agents[0].plug(line.clock())
    await line.wait(90)
    assert stems(line.replies(root)) == ["Step A", "Step B", "Step C", "succeeded"]
    assert stems(line.replies(outage)) == ["recovered"]
    assert len(line.roots()) == 2


async def test_short_outage_is_not_told(line: Timeline) -> None:
    """An agent that restarts with another key is back before anybody need know."""
    create(line)
    await line.wait(4)
    line.agents[0].stop(line.clock())
    await line.wait(1)
    line.agents[0].start(line.clock(), new_key=True)
    await line.wait(40)
    assert len(line.roots()) == 1
    assert stems(line.replies())[-1] in {"succeeded", "failed"}


async def test_second_agent_takes_over(tmp_path: Path) -> None:
    """With two agents registered, the loss of one is not even noticed."""
    async with timeline(tmp_path) as line:
        await line.register(agents=2)
        create(line)
        await line.wait(4)
        line.agents[0].unplug(line.clock())
        await line.wait(60)
        assert len(line.roots()) == 1


async def test_lost_database_is_degraded_and_ends(line: Timeline) -> None:
    """Without a database agents answer but know nothing: told once, and its end."""
    create(line, plan(seconds=6))
    await line.wait(4)
    line.cluster.lose_database(line.clock())
    await line.wait(30)
    before = line.cluster.asked_by_id_while_down
    line.cluster.regain_database(line.clock())
    await line.wait(60)
    root, trouble = line.roots()
    assert before == 0
    assert stems(line.replies(root))[-1] == "succeeded"
    assert stems(line.replies(trouble)) == ["recovered"]


async def test_refused_password_stops_polling(line: Timeline) -> None:
    """After one refusal nothing is sent to the agent any more."""
    line.cluster.change_root_password("another")
    line.password = "another"
    await line.wait(5)
    line.password = "wrong"
    line.restart()
    await line.wait(60)
    assert len(line.roots()) == 1
    assert "set-password" in visible_text(line.roots()[0])


async def test_many_dags_at_the_first_poll_are_one_digest(tmp_path: Path) -> None:
    """A cluster registered while much is going on is one message; each DAG gets its root when it moves."""
    async with timeline(tmp_path) as line:
        dags = [create(line, plan(kind=Maintenance.NONE, seconds=30)) for _ in range(4)]
        await line.register()
        await line.wait(5)
        (digest,) = line.roots()
        assert all(f"1{dag.id}" in visible_text(digest) for dag in dags)
        await line.wait(60)
        assert len(line.roots()) == 5


async def test_restarts_at_any_moment_change_nothing(tmp_path: Path) -> None:
    """A process that is replaced every few seconds tells the same story."""
    async with timeline(tmp_path) as line:
        await line.register()
        dag = create(line)
        line.cluster.fail_attempt(dag, 2, 1, "no space left on /data", part=1)
        for number in range(30):
            if number == 10:
                line.cluster.operate(dag, "RETRY", line.clock())
            await line.wait(1.5)
            line.restart()
        assert stems(line.replies()) == ["Step A", "failed", "retried", "Step B", "Step C", "succeeded"]
        assert len(line.roots()) == 1


async def test_downtime_is_caught_up(line: Timeline) -> None:
    """What happened while nobody watched is told afterwards, each fact once."""
    create(line)
    await line.wait(3)
    await line.wait(300, watching=False, delivering=False)
    line.restart()
    await line.wait(30)
    assert stems(line.replies()) == ["Step A", "Step B", "Step C", "succeeded"]


TROUBLE = (
    RateLimited(20),
    HttpStatus(503),
    Says("internal_error"),
    Says("fatal_error"),
    DropBefore(),
    DropAfter(),
    BrokenJson(),
    RateLimited(5, empty=True),
)


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda t: type(t).__name__ + str(getattr(t, "error", "")))
async def test_slack_in_trouble_delays_and_loses_nothing(
    line: Timeline, trouble: Trouble, method: str
) -> None:
    """Whatever happens to a call, every message is there once, in order, and the root ends right."""
    create(line)
    for _ in range(4):
        line.workspace.api.trouble.add(method, trouble)
        await line.wait(5)
    await line.wait(120)
    assert stems(line.replies()) == ["Step A", "Step B", "Step C", "succeeded"]
    (root,) = line.roots()
    assert "succeeded" in visible_text(root)


async def test_no_call_before_retry_after(line: Timeline) -> None:
    """While a method rests, it is not called at all."""
    create(line)
    line.workspace.api.trouble.add("chat.postMessage", RateLimited(30))
    await line.wait(60)
    calls = [call.at for call in line.workspace.api.calls("chat.postMessage")]
    assert (calls[1] - calls[0]).total_seconds() >= 30
