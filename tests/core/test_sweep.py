"""A whole answer of a cluster against all that is remembered."""

import msgspec
import pytest

from bot.core.dag import DagSnapshot, Operator, State
from bot.core.events import Discovered, StageAdvanced, Started
from bot.core.stall import Policy
from bot.core.sweep import Answer, Sweep, sweep
from bot.core.tracker import TrackedDag, forget
from tests.factories import at, dag

POLICY = Policy()


def answer(*snapshots: DagSnapshot, seconds: float = 0, first_poll: bool = False) -> Answer:
    """Return a list of unfinished DAGs."""
    return Answer(cluster="prod", snapshots=snapshots, at=at(seconds), first_poll=first_poll)


def many(count: int, current: int = 2) -> list[DagSnapshot]:
    """Return DAGs with different ids."""
    return [dag(current, id=f"1{n}") for n in range(count)]


def remembered(swept: Sweep) -> dict[str, TrackedDag]:
    """Return what is remembered after an answer."""
    return {dag_id: observation.tracked for dag_id, observation in swept.observations.items()}


def test_each_dag_is_observed_with_what_was_remembered_of_it() -> None:
    """DAGs do not mix: one moves, one begins."""
    tracked = remembered(sweep({}, answer(dag(1, id="11")), POLICY))
    swept = sweep(tracked, answer(dag(2, id="11"), dag(1, id="12"), seconds=10), POLICY)
    kinds = {i: [type(e) for e in o.events] for i, o in swept.observations.items()}
    assert kinds == {"11": [StageAdvanced], "12": [Started]}
    assert swept.missing == ()


def test_absence_is_no_end() -> None:
    """A DAG that left the list is to be looked up, and nothing is said about it."""
    tracked = remembered(sweep({}, answer(*many(2)), POLICY))
    swept = sweep(tracked, answer(dag(2, id="11"), seconds=10), POLICY)
    assert swept.missing == ("10",)
    assert [*swept.observations] == ["11"]


def test_closed_dag_is_not_missed() -> None:
    """What is known to have ended, or is forgotten, need not be in a list."""
    tracked = remembered(sweep({}, answer(*many(2)), POLICY))
    tracked["10"] = forget(tracked["10"], "prod", at(5), "record not found").tracked
    assert sweep(tracked, answer(seconds=10), POLICY).missing == ("11",)


def test_listed_failure_that_leaves_is_missed() -> None:
    """A failed DAG that stood in the list is open: somebody may have retried, undone or passed it."""
    failed = dag(2, state=State.FAILED, ended_at=at(1))
    tracked = remembered(sweep({}, answer(failed, first_poll=True), POLICY))
    assert sweep(tracked, answer(seconds=10), POLICY).missing == ("11",)


@pytest.mark.parametrize("count", [1, 3])
def test_few_dags_at_the_first_poll_are_discovered_one_by_one(count: int) -> None:
    """Up to three DAGs get a root message each."""
    swept = sweep({}, answer(*many(count), first_poll=True), POLICY)
    assert swept.digest is None
    assert all(isinstance(o.events[0], Discovered) and o.changed for o in swept.observations.values())


def test_many_dags_at_the_first_poll_are_one_digest() -> None:
    """More than three are told in one message; none gets a root yet, all are remembered."""
    failed = dag(1, id="19", state=State.FAILED, operator=Operator.CANCEL)
    swept = sweep({}, answer(*many(3), failed, first_poll=True), POLICY)
    assert swept.digest is not None
    lines = [(line.dag.dag_id, line.state, line.operator) for line in swept.digest.lines]
    assert lines[0] == ("10", State.RUNNING, Operator.RUN)
    assert lines[-1] == ("19", State.FAILED, Operator.CANCEL)
    assert len(lines) == 4
    assert all(o.events == () and not o.changed and o.moved for o in swept.observations.values())


def test_many_dags_later_are_no_digest() -> None:
    """After the first poll DAGs seen late are told each for itself."""
    swept = sweep({}, answer(*many(5)), POLICY)
    assert swept.digest is None
    assert all(isinstance(o.events[0], Discovered) for o in swept.observations.values())


def test_dag_of_the_digest_is_told_from_its_next_event_on() -> None:
    """What the digest told is known; the next stage is news as usual."""
    tracked = remembered(sweep({}, answer(*many(4), first_poll=True), POLICY))
    moved = [dag(3, id="10"), *many(4)[1:]]
    swept = sweep(tracked, answer(*moved, seconds=10), POLICY)
    events = [e for o in swept.observations.values() for e in o.events]
    assert [(e.kind, e.dag.dag_id) for e in events] == [("stage_advanced", "10")]


def test_look_carries_the_circumstances_of_the_answer() -> None:
    """Everything that the answer says of itself reaches the look at each DAG."""
    whole = msgspec.structs.replace(
        answer(first_poll=True), agent_now=at(3), fresh=False, agent_url="http://a:1", runbook="https://r"
    )
    look = whole.sight(dag(1), listed=False)
    assert {
        name: getattr(look, name) for name in ("cluster", "at", "agent_now", "first_poll", "fresh", "runbook")
    } == {
        "cluster": "prod",
        "at": at(0),
        "agent_now": at(3),
        "first_poll": True,
        "fresh": False,
        "runbook": "https://r",
    }
    assert (look.listed, look.agent_url) == (False, "http://a:1")
