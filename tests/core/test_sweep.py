"""A whole answer of a cluster against all that is remembered."""

import msgspec
import pytest

from bot.core.dag import DagSnapshot, Host, Operator, State
from bot.core.events import Discovered, StageAdvanced, Started
from bot.core.stall import Policy
from bot.core.sweep import Answer, Sweep, forget_all, missing, sweep
from bot.core.tracked import TrackedDag
from bot.core.tracker import forget
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


def test_absence_is_no_end() -> None:
    """A DAG that left the list is to be looked up, and nothing is said about it."""
    tracked = remembered(sweep({}, answer(*many(2)), POLICY))
    later = answer(dag(2, id="11"), seconds=10)
    assert missing(tracked, later) == ("10",)
    assert [*sweep(tracked, later, POLICY).observations] == ["11"]


def test_closed_dag_is_not_missed() -> None:
    """What is known to have ended, or is forgotten, need not be in a list."""
    tracked = remembered(sweep({}, answer(*many(2)), POLICY))
    tracked["10"] = forget(tracked["10"], "prod", at(5), "record not found").tracked
    assert missing(tracked, answer(seconds=10)) == ("11",)


def test_listed_failure_that_leaves_is_missed() -> None:
    """A failed DAG that stood in the list is open: somebody may have retried, undone or passed it."""
    failed = dag(2, state=State.FAILED, ended_at=at(1))
    tracked = remembered(sweep({}, answer(failed, first_poll=True), POLICY))
    assert missing(tracked, answer(seconds=10)) == ("11",)


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


def sub_dag(main: str, state: State = State.FAILED) -> DagSnapshot:
    """Return a sub-DAG that pauses in FAILED by design, on the agent 10.0.0.2."""
    return msgspec.structs.replace(
        dag(1, id="20167772162028867", name="Start observer", state=state), main_dag_id=main
    )


MAIN = "20167772161028867"
HOMES = frozenset({Host("10.0.0.1", 2886), Host("10.0.0.2", 2886)})


def local(*snapshots: DagSnapshot, homes: frozenset[Host] = HOMES, cluster_read: bool = True) -> Answer:
    """Return an answer with the agents' own lists."""
    return Answer(cluster="prod", snapshots=snapshots, at=at(0), homes=homes, cluster_read=cluster_read)


def test_sub_dags_are_folded_into_their_main_dag() -> None:
    """A sub-DAG's pause in FAILED is no failure: it gets no thread and tells nothing."""
    swept = sweep({}, local(dag(1, id=MAIN, name="Start OB"), sub_dag(MAIN)), POLICY)
    assert [(i, [e.kind for e in o.events]) for i, o in swept.observations.items()] == [(MAIN, ["started"])]


def test_sub_dag_of_a_main_dag_that_failed_stays_folded() -> None:
    """Its main DAG, which is known, told what is left behind."""
    main = dag(1, id=MAIN, name="Start OB", state=State.FAILED, ended_at=at(1))
    tracked = remembered(sweep({}, local(main), POLICY))
    assert sweep(tracked, local(sub_dag(MAIN)), POLICY).observations == {}


def test_sub_dag_is_not_judged_while_its_main_dag_cannot_be_read() -> None:
    """The main DAG may well be under way on an agent that is silent."""
    swept = sweep({}, local(sub_dag(MAIN), homes=frozenset({Host("10.0.0.2", 2886)})), POLICY)
    assert swept.observations == {}
    assert sweep({}, local(sub_dag("11"), cluster_read=False), POLICY).observations == {}


def test_sub_dag_of_nobody_speaks_for_itself() -> None:
    """Left over from a main DAG that ended before obdag came, it holds its agent's lock."""
    swept = sweep({}, msgspec.structs.replace(local(sub_dag(MAIN)), first_poll=True), POLICY)
    assert [[e.kind for e in o.events] for o in swept.observations.values()] == [["discovered"]]


def test_dag_is_missing_only_from_a_list_that_was_read() -> None:
    """An agent that is silent keeps its DAGs to itself, and so does a database that is down."""
    tracked = remembered(sweep({}, local(dag(1, id=MAIN), dag(1, id="11")), POLICY))
    assert missing(tracked, local()) == (MAIN, "11")
    assert missing(tracked, local(homes=frozenset())) == ("11",)
    assert missing(tracked, local(cluster_read=False)) == (MAIN,)


def test_everything_of_an_answer_is_observed() -> None:
    """What left the list, what is gone and what was found ended besides each get their event."""
    tracked = remembered(sweep({}, answer(dag(3, id="11"), dag(1, id="12")), POLICY))
    whole = msgspec.structs.replace(
        answer(seconds=10),
        looked_up=(dag(3, id="11", state=State.SUCCEED, ended_at=at(9)),),
        gone={"12": "record not found"},
        found=(dag(1, of=1, id="13", state=State.FAILED, ended_at=at(9)),),
    )
    swept = sweep(tracked, whole, POLICY)
    kinds = {i: [e.kind for e in o.events] for i, o in swept.observations.items()}
    assert kinds == {"11": ["stage_advanced", "succeeded"], "12": ["forgotten"], "13": ["failed"]}


def test_rebuilt_cluster_forgets_its_open_dags() -> None:
    """What is closed already is not told again."""
    tracked = remembered(sweep({}, answer(*many(2)), POLICY))
    tracked["10"] = forget(tracked["10"], "prod", at(5), "record not found").tracked
    closed = forget_all(tracked, "prod", at(9), "The cluster was rebuilt.")
    assert {i: [e.kind for e in o.events] for i, o in closed.items()} == {"11": ["forgotten"]}
