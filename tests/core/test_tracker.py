from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.dag import DagSnapshot, Operator, Outcome, Stage, State
from bot.core.events import (
    DagEvent,
    Discovered,
    Failed,
    LateLines,
    StageAdvanced,
    Stalled,
    Started,
    decode,
    encode,
    event_id,
)
from bot.core.stall import Policy
from bot.core.tracked import TrackedDag
from bot.core.tracker import forget, found_finished, observe
from tests.factories import at, dag, sight, stage, sub_task

POLICY = Policy(stall_after_s=600, max_gap_s=30)
ERROR = "ERROR: [OB.Server.Failed]: Server failed: disk full"


def failed(current: int = 2, lines: tuple[str, ...] = (ERROR,), **members: Any) -> DagSnapshot:
    """Return a DAG that failed at a stage, with the lines of its failed sub-task."""
    snapshot = dag(current, state=State.FAILED, ended_at=at(50), **members)
    broken = stage(current, State.FAILED, sub_tasks=(sub_task(State.FAILED, id=f"10{current}", lines=lines),))
    return msgspec.structs.replace(snapshot, stages=_with(snapshot, broken))


def _with(snapshot: DagSnapshot, changed: Stage) -> tuple[Stage, ...]:
    return tuple(changed if s.position == changed.position else s for s in snapshot.stages or ())


def follow(
    looks: Sequence[tuple[float, DagSnapshot]], policy: Policy = POLICY, **first: Any
) -> tuple[TrackedDag, list[DagEvent]]:
    """Observe a DAG at several times; `first` are circumstances of the first look."""
    tracked: TrackedDag | None = None
    events: list[DagEvent] = []
    for number, (seconds, snapshot) in enumerate(looks):
        circumstances = first if number == 0 else {}
        observation = observe(tracked, sight(snapshot, seconds, **circumstances), policy)
        tracked = observation.tracked
        events += observation.events
    assert tracked is not None
    return tracked, events


def kinds(events: Sequence[DagEvent]) -> list[str]:
    """Return the words of events."""
    return [event.kind for event in events]


AGAIN = msgspec.structs.replace(failed(1, lines=(ERROR, ERROR)), ended_at=at(90))
"""The same DAG after its retry failed too: the lines of both attempts, another end."""


def retried(current: int = 2, state: State = State.READY) -> DagSnapshot:
    """Return a DAG whose retry has begun: the agent has reset its times."""
    return dag(current, state=state, started_at=None, ended_at=None)


TRANSITIONS: dict[str, tuple[list[DagSnapshot], list[str]]] = {
    "runs on": ([dag(1), dag(1)], ["started"]),
    "accepted, then runs": ([dag(1, state=State.READY), dag(1)], ["started"]),
    "advances": ([dag(1), dag(2)], ["started", "stage_advanced"]),
    "advances twice between two looks": ([dag(1), dag(3)], ["started", "stage_advanced"]),
    "ends": (
        [dag(1), dag(3), dag(3, state=State.SUCCEED)],
        ["started", "stage_advanced", "stage_advanced", "succeeded"],
    ),
    "begins and ends between two looks": (
        [dag(1), dag(3, state=State.SUCCEED)],
        ["started", "stage_advanced", "succeeded"],
    ),
    "fails": ([dag(2), failed()], ["discovered", "stage_advanced", "failed"]),
    "stays failed": ([dag(1), failed(1), failed(1), failed(1)], ["started", "failed"]),
    "fails and is retried": ([dag(1), failed(1), retried(1)], ["started", "failed", "retried"]),
    "is retried and fails again": (
        [dag(1), failed(1), retried(1), AGAIN],
        ["started", "failed", "retried", "failed"],
    ),
    "is retried and fails again between two looks": (
        [dag(1), failed(1), AGAIN],
        ["started", "failed", "retried", "failed"],
    ),
    "fails and is retried between two looks": ([dag(1), retried(1)], ["started", "retried"]),
    "is rolled back": (
        [dag(1), failed(1), dag(1, state=State.RUNNING, operator=Operator.ROLLBACK, ended_at=None)],
        ["started", "failed", "rollback_started"],
    ),
    "is rolled back to its start": (
        [dag(1), failed(1), dag(1, state=State.SUCCEED, operator=Operator.ROLLBACK, ended_at=at(80))],
        ["started", "failed", "rollback_started", "rolled_back"],
    ),
    "is cancelled": (
        [
            dag(1),
            dag(1, operator=Operator.CANCEL, started_at=None, ended_at=None),
            dag(1, state=State.FAILED, operator=Operator.CANCEL, ended_at=at(9)),
        ],
        ["started", "cancelling", "cancelled"],
    ),
    "is cancelled between two looks": (
        [dag(1), dag(1, state=State.FAILED, operator=Operator.CANCEL, ended_at=at(9))],
        ["started", "cancelled"],
    ),
    "is cancelled, retried, cancelled": (
        [
            dag(1),
            dag(1, state=State.FAILED, operator=Operator.CANCEL, ended_at=at(9)),
            dag(1, operator=Operator.CANCEL, started_at=None, ended_at=None),
        ],
        ["started", "cancelled", "retried", "cancelling"],
    ),
    "is passed": (
        [dag(1), failed(1), dag(1, state=State.SUCCEED, operator=Operator.PASS, ended_at=at(70))],
        ["started", "failed", "passed"],
    ),
    "says words of a newer agent": ([dag(1), dag(1, state=State.OTHER)], ["started"]),
    "comes without details": ([dag(1), msgspec.structs.replace(dag(1), stages=None)], ["started"]),
}


@pytest.mark.parametrize("name", TRANSITIONS)
def test_transition_tells_exactly_its_events(name: str) -> None:
    """Each way from one state to the next gives its events and no others."""
    snapshots, expected = TRANSITIONS[name]
    _, events = follow([(10.0 * i, snapshot) for i, snapshot in enumerate(snapshots)])
    assert kinds(events) == expected


@pytest.mark.parametrize("name", TRANSITIONS)
def test_same_look_again_tells_nothing(name: str) -> None:
    """Seeing every answer twice, even by a restarted process, gives the same events."""
    snapshots, expected = TRANSITIONS[name]
    _, events = follow([(5.0 * i, s) for i, s in enumerate(s for s in snapshots for _ in range(2))])
    assert kinds(events) == expected


@pytest.mark.parametrize("name", TRANSITIONS)
def test_events_have_keys_of_their_own_and_survive_storage(name: str) -> None:
    """No two facts share a key, and what is stored is read back the same."""
    snapshots, _ = TRANSITIONS[name]
    _, events = follow([(10.0 * i, snapshot) for i, snapshot in enumerate(snapshots)])
    assert len({event_id(1, 1, event) for event in events}) == len(events)
    assert [decode(encode(event)) for event in events] == events


def test_first_poll_of_a_cluster_discovers() -> None:
    """What ran before obdag came is discovered, its finished stages are no news."""
    _, events = follow([(0, dag(3))], first_poll=True)
    assert kinds(events) == ["discovered"]


def test_failure_before_the_first_poll_is_no_alarm() -> None:
    """A DAG that had failed before obdag came is discovered, whatever is seen of it later."""
    _, events = follow([(0, failed()), (10, failed()), (20, failed())], first_poll=True)
    assert kinds(events) == ["discovered"]
    assert isinstance(events[0], Discovered)
    assert events[0].state is State.FAILED


def test_late_first_sight_tells_the_stages_missed() -> None:
    """A DAG that began between two polls has its finished stages told all the same."""
    _, events = follow([(0, dag(3))])
    assert kinds(events) == ["discovered", "stage_advanced"]
    assert isinstance(events[1], StageAdvanced)
    assert [r.position for r in events[1].finished] == [1, 2]


def test_failure_waits_for_its_last_line() -> None:
    """The ERROR line may come after the state: the failure waits 1.5 s for it, asking for another look."""
    tracked, events = follow([(0, dag(1)), (10, failed(1, lines=("copying",)))])
    assert kinds(events) == ["started"]
    assert tracked.look_again_at == at(11.5)
    tracked, events = follow([(0, dag(1)), (10, failed(1, lines=("copying",))), (11.5, failed(1))])
    assert kinds(events) == ["started", "failed"]
    assert isinstance(events[1], Failed)
    assert events[1].failures[0].error_code == "OB.Server.Failed"
    assert tracked.look_again_at is None


def test_failure_without_a_last_line_is_told_after_the_wait() -> None:
    """A line that never comes does not hold back the failure."""
    _, events = follow([(0, dag(1)), (10, failed(1, lines=())), (12, failed(1, lines=()))])
    assert kinds(events) == ["started", "failed"]


def test_failure_that_is_retried_while_it_waits_is_still_told() -> None:
    """A quick operator does not make a failure unsaid."""
    _, events = follow([(0, dag(1)), (10, failed(1, lines=("copying",))), (11, retried(1))])
    assert kinds(events) == ["started", "failed", "retried"]


def test_run_is_counted_by_obdag() -> None:
    """A retry begins run 2; a pass closes the run that it is."""
    tracked, _ = follow([(0, dag(1)), (10, failed(1)), (20, retried(1)), (30, dag(3, state=State.SUCCEED))])
    assert (tracked.run, tracked.outcome, tracked.closed) == (2, Outcome.SUCCEEDED, True)
    passed = dag(1, state=State.SUCCEED, operator=Operator.PASS, ended_at=at(70))
    tracked, _ = follow([(0, dag(1)), (10, failed(1)), (20, passed)])
    assert (tracked.run, tracked.outcome) == (1, Outcome.PASSED)


def test_listed_failure_stays_open_and_vanished_one_is_closed() -> None:
    """A failed maintenance DAG waits for an operator; another has left the list for good, until retried."""
    tracked, _ = follow([(0, dag(1)), (10, failed(1))])
    assert not tracked.closed
    gone = observe(tracked, sight(failed(1), 20, listed=False), POLICY)
    assert gone.tracked.closed
    assert gone.events == ()
    back = observe(gone.tracked, sight(retried(1), 30), POLICY)
    assert kinds(back.events) == ["retried"]
    assert not back.tracked.closed


def test_stall_is_told_once_and_its_end() -> None:
    """Ten quiet minutes are a stall; the next movement ends it; a second stall has another number."""
    quiet = [(float(s), dag(1)) for s in range(0, 640, 20)]
    tracked, events = follow(quiet)
    assert kinds(events) == ["started", "stalled"]
    stalled = events[1]
    assert isinstance(stalled, Stalled)
    assert stalled.at == at(600)
    assert [(w.host, w.state) for w in stalled.waiting] == [("10.0.0.1:2886", State.RUNNING)]
    again = [(float(s), dag(2)) for s in range(640, 1300, 20)]
    _, events = follow([*quiet, *again])
    assert kinds(events) == ["started", "stalled", "resumed", "stage_advanced", "stalled"]
    assert [e.ordinal for e in events if e.kind == "stalled"] == ["1", "2"]
    assert tracked.stalled


def test_log_line_is_progress() -> None:
    """A stage that logs is not stalled."""

    def logging(count: int) -> DagSnapshot:
        task = sub_task(lines=tuple(f"line {n}" for n in range(count)))
        return msgspec.structs.replace(dag(1), stages=(stage(1, State.RUNNING, sub_tasks=(task,)),))

    _, events = follow([(20.0 * n, logging(n // 20)) for n in range(60)])
    assert kinds(events) == ["started"]


def test_time_out_of_sight_is_no_stall() -> None:
    """Hours in which nobody could look do not count as silence."""
    _, events = follow([(0, dag(1)), (7200, dag(1)), (7210, dag(1))])
    assert kinds(events) == ["started"]


def test_stage_that_is_silent_by_nature_gets_more_time() -> None:
    """A backup waits inside the database for an hour without a line."""
    snapshot = msgspec.structs.replace(
        dag(1),
        name="Obcluster start full backup",
        stages=(stage(1, State.RUNNING, name="Wait backup Finish"),),
    )
    _, events = follow([(float(s), snapshot) for s in range(0, 2990, 20)])
    assert kinds(events) == ["started"]
    _, events = follow([(float(s), snapshot) for s in range(0, 3020, 20)])
    assert kinds(events) == ["started", "stalled"]


def test_null_lines_of_a_waiting_retry_lose_nothing() -> None:
    """While a retried sub-task waits, its lines are absent; the reply of the stage still has its own."""
    waiting = msgspec.structs.replace(
        retried(1, State.RUNNING), stages=(stage(1, State.RUNNING, sub_tasks=(sub_task(State.READY),)),)
    )
    lines = ("copying", ERROR, "undo", "copying again", "copied")
    done = stage(1, State.SUCCEED, sub_tasks=(sub_task(State.SUCCEED, lines=lines, attempts=3),))
    end = msgspec.structs.replace(dag(1, of=1, state=State.SUCCEED), stages=(done,))
    first = msgspec.structs.replace(
        failed(1), stages=(stage(1, State.FAILED, sub_tasks=(sub_task(State.FAILED, lines=lines[:2]),)),)
    )
    _, events = follow([(0, dag(1)), (10, first), (20, waiting), (30, end)])
    (advanced,) = (e for e in events if isinstance(e, StageAdvanced))
    assert advanced.finished[0].logs[0].lines == ("undo", "copying again", "copied")
    assert advanced.finished[0].attempts == 2


def test_forgotten_dag_is_closed() -> None:
    """A DAG that the agent proves not to know is told as forgotten, once."""
    tracked, _ = follow([(0, dag(1))])
    observation = forget(tracked, "prod", at(10), "record not found")
    assert kinds(observation.events) == ["forgotten"]
    assert observation.tracked.closed


def test_elapsed_time_survives_a_wrong_zone() -> None:
    """The agent labels the database's wall time with its own zone: a start "eight hours ahead" is now."""
    ahead = dag(1, started_at=at(8 * 3600 - 4))
    tracked, events = follow([(0, ahead)])
    assert isinstance(events[0], Started)
    assert tracked.began_at == at(-4)


UNDER_WAY = (Operator.RUN, Operator.ROLLBACK, Operator.CANCEL)
ENDS = (Operator.RUN, Operator.ROLLBACK, Operator.PASS)


@st.composite
def snapshots(draw: st.DrawFn, states: Sequence[State], operators: Sequence[Operator]) -> DagSnapshot:
    """Return a DAG in one of these states with one of these operators."""
    ended = draw(st.none() | st.integers(0, 3).map(lambda n: at(float(n))))
    return dag(
        draw(st.integers(1, 4)),
        of=4,
        state=draw(st.sampled_from(states)),
        operator=draw(st.sampled_from(operators)),
        ended_at=ended,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[DagSnapshot]:
    """Return any history that an agent could show: SUCCEED is the end of it."""
    unfinished = snapshots((State.READY, State.RUNNING, State.FAILED), UNDER_WAY)
    looks = draw(st.lists(unfinished, max_size=8))
    ending = draw(st.none() | snapshots((State.SUCCEED,), ENDS))
    return [*looks, ending] if ending is not None else [*looks, dag(1, of=4)]


@given(history=histories(), first_poll=st.booleans())
def test_any_history_is_told_without_doubles(history: list[DagSnapshot], *, first_poll: bool) -> None:
    """Whatever an agent shows: no key twice, no event when nothing changed."""
    looks = [(10.0 * i, s) for i, s in enumerate(history)]
    tracked, events = follow(looks, first_poll=first_poll)
    assert len({event_id(1, 1, e) for e in events}) == len(events)
    once_more = observe(tracked, sight(history[-1], 10.0 * len(history)), POLICY)
    settled = observe(once_more.tracked, sight(history[-1], 10.0 * len(history) + 5), POLICY)
    assert settled.events == ()


def test_more_lines_of_a_told_stage_are_told_as_late() -> None:
    """After an outage of the database lines may come in behind the end of their stage: none is lost."""
    first = dag(2)
    done = stage(1, State.SUCCEED, sub_tasks=(sub_task(State.SUCCEED, id="101", lines=("a",)),))
    more = stage(1, State.SUCCEED, sub_tasks=(sub_task(State.SUCCEED, id="101", lines=("a", "b", "a")),))
    looks = [
        (0.0, dag(1)),
        (10.0, msgspec.structs.replace(first, stages=_with(first, done))),
        (20.0, msgspec.structs.replace(first, stages=_with(first, more))),
        (30.0, msgspec.structs.replace(first, stages=_with(first, more))),
    ]
    _, events = follow(looks)
    assert kinds(events) == ["started", "stage_advanced", "late_lines"]
    late = events[-1]
    assert isinstance(late, LateLines)
    assert (late.position, late.known, late.logs[0].lines) == (1, 1, ("b", "a"))


def test_nothing_ends_while_an_outage_settles() -> None:
    """Just after an outage states and lines are still coming in: ends are told a moment later, and once."""
    over = dag(3, state=State.SUCCEED, ended_at=at(25))
    tracked = observe(None, sight(dag(2), 0), POLICY).tracked
    early = observe(tracked, sight(over, 30, listed=False, settling=True), POLICY)
    assert (kinds(early.events), early.tracked.closed) == ([], False)
    late = observe(early.tracked, sight(over, 33, listed=False), POLICY)
    assert kinds(late.events) == ["stage_advanced", "succeeded"]
    assert late.tracked.closed


def test_failure_is_not_told_while_an_outage_settles() -> None:
    """Its last line may be on its way."""
    tracked = observe(None, sight(dag(1), 0), POLICY).tracked
    early = observe(tracked, sight(failed(1), 30, settling=True), POLICY)
    late = observe(early.tracked, sight(failed(1), 33), POLICY)
    assert (kinds(early.events), kinds(late.events)) == ([], ["failed"])


def test_after_hours_away_the_first_event_names_all_that_was_missed() -> None:
    """Whoever comes back reads at the first notice what happened meanwhile."""
    over = dag(3, state=State.SUCCEED, ended_at=at(3000))
    _, events = follow([(0, dag(1)), (3600, over)])
    assert kinds(events) == ["started", "stage_advanced", "succeeded"]
    first = events[1]
    assert first.away_s == 3600
    assert [(m.kind, m.stages) for m in first.missed] == [("stage_advanced", (1, 2, 3)), ("succeeded", ())]
    assert events[2].away_s is None


def test_what_is_seen_in_time_is_not_said_to_be_late() -> None:
    """A pause between two polls is no absence."""
    _, events = follow([(0, dag(1)), (299, dag(2))])
    assert [(event.away_s, event.missed) for event in events] == [(None, ()), (None, ())]


SHORT = {
    State.SUCCEED: [],
    State.FAILED: ["failed"],
}


@pytest.mark.parametrize("state", SHORT)
def test_dag_that_was_never_listed_is_told_if_it_failed(state: State) -> None:
    """A DAG shorter than a poll that ended well goes into the history alone."""
    found = found_finished(sight(dag(1, of=1, state=state, ended_at=at(1)), 600, listed=False))
    assert kinds(found.events) == SHORT[state]
    assert found.changed is bool(found.events)
    assert found.tracked.closed
    again = observe(found.tracked, sight(found.tracked.snapshot, 610, listed=False), POLICY)
    assert again.events == ()


def sub_dag(current: int = 1, state: State = State.RUNNING) -> DagSnapshot:
    """Return a sub-DAG of DAG 11 on the agent 10.0.0.2."""
    snapshot = dag(current, id="20167772162028867", name="Start observer", state=state)
    return msgspec.structs.replace(snapshot, main_dag_id="11")


def test_progress_of_a_sub_dag_is_progress() -> None:
    """A main DAG that waits for the agents stands still only when they do."""
    tracked = observe(None, sight(dag(1), 0, sub_dags=(sub_dag(1),)), POLICY).tracked
    for n, at_stage in enumerate([1, 1, 2, 2], start=1):
        look = sight(dag(1), 20.0 * n, sub_dags=(sub_dag(at_stage),))
        tracked = observe(tracked, look, POLICY).tracked
    assert tracked.quiet_s == 20


def test_failure_names_the_agents_whose_sub_dags_stay_behind() -> None:
    """They keep the locks of those agents."""
    tracked = observe(None, sight(dag(1), 0), POLICY).tracked
    left = (sub_dag(1, State.FAILED),)
    (event,) = observe(tracked, sight(failed(1), 9, listed=False, sub_dags=left), POLICY).events
    assert isinstance(event, Failed)
    assert event.holding == ("10.0.0.2:2886",)
