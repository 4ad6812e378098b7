"""Which log lines are new: a multiset difference, because lines have no ids and no promised order."""

from collections import Counter
from datetime import datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bot.core.dag import DagSnapshot, Host, State
from bot.core.logs import (
    Known,
    attempt_lines,
    error_code,
    fresh,
    keep_lines,
    known_before,
    new_lines,
    stage_lines,
    with_rows,
)
from tests.factories import at, dag, stage, sub_task

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=8).map(tuple)


@given(LINES, LINES)
def test_fresh_is_the_multiset_difference(lines: tuple[str, ...], before: tuple[str, ...]) -> None:
    """Each line stays as often as it came more often than before."""
    assert Counter(fresh(lines, before)) == Counter(lines) - Counter(before)


@given(LINES, LINES)
def test_fresh_keeps_the_order(lines: tuple[str, ...], before: tuple[str, ...]) -> None:
    """What is left stands in the order in which it came."""
    rest = iter(lines)
    assert all(line in rest for line in fresh(lines, before))


@given(LINES, LINES)
def test_growth_is_new_wherever_it_is_put(before: tuple[str, ...], added: tuple[str, ...]) -> None:
    """Lines that were added are the new ones, behind the old lines or in front of them."""
    assert Counter(fresh(before + added, before)) == Counter(added)
    assert Counter(fresh(added + before, before)) == Counter(added)
    assert fresh(before, before) == ()


@given(LINES, LINES, LINES)
def test_lines_told_step_by_step_are_those_told_at_once(
    first: tuple[str, ...], second: tuple[str, ...], third: tuple[str, ...]
) -> None:
    """However often one looks, each line is new once."""
    middle, whole = first + second, first + second + third
    steps = fresh(first, ()) + fresh(middle, first) + fresh(whole, middle)
    assert Counter(steps) == Counter(whole)


def two_tasks(*lines: tuple[str, ...] | None, state: State = State.FAILED) -> DagSnapshot:
    """Return a DAG of one stage whose sub-tasks have these lines; the first is in the given state."""
    states = (state, *(State.SUCCEED for _ in lines[1:]))
    tasks = tuple(
        sub_task(one, id=f"10{n}", lines=own, host=Host(f"10.0.0.{n}", 2886))
        for n, (one, own) in enumerate(zip(states, lines, strict=True), start=1)
    )
    return dag(1, of=1, state=state, stages=(stage(1, state, sub_tasks=tasks),))


def test_retry_knows_the_lines_of_what_failed() -> None:
    """A retry repeats only what failed: what succeeded keeps its lines as its own."""
    known = known_before(two_tasks(("x", "y"), ("z",)), Known(), everything=False)
    assert known == Known(lines={"101": ("x", "y")}, attempts={"101": 1})


def test_rollback_knows_all_lines() -> None:
    """A rollback undoes what succeeded as well: nothing that was logged before belongs to it."""
    known = known_before(two_tasks(("x",), ("z",)), Known(), everything=True)
    assert known.lines == {"101": ("x",), "102": ("z",)}


def test_what_was_known_stays_known() -> None:
    """A run keeps what earlier runs knew, and a waiting sub-task without lines changes nothing."""
    before = Known(lines={"101": ("x",), "102": ("z",)}, attempts={"101": 3})
    known = known_before(two_tasks(None, ("z", "z")), before, everything=True)
    assert known.lines == {"101": ("x",), "102": ("z", "z")}
    assert known.attempts == {"101": 3, "102": 1}
    assert before.lines == {"101": ("x",), "102": ("z",)}


def test_attempt_has_only_its_own_lines() -> None:
    """Lines of all runs are mixed; those known before the attempt are not its own."""
    task = sub_task(lines=("start", "start", "no space", "done"))
    before = Known(lines={"101": ("start", "no space")})
    assert attempt_lines(task, before) == ("start", "done")
    assert attempt_lines(sub_task(State.PENDING), before) == ()


class Row(msgspec.Struct):
    """A line in the agent's store."""

    id: int
    attempt: int
    content: str
    created_at: datetime | None = None


def test_rows_are_ordered_by_attempt_and_arrival() -> None:
    """Rows sent late have numbers out of order: what counts is whose they are, and when they came."""
    rows = [Row(5, 1, "late", at(9)), Row(4, 3, "again", at(8)), Row(2, 1, "b", at(1)), Row(1, 1, "a", at(1))]
    task = with_rows(sub_task(State.SUCCEED), rows)
    assert task.lines == ("a", "b", "late", "again")
    assert task.line_attempts == (1, 1, 1, 3)


def test_rows_say_which_lines_are_of_this_run() -> None:
    """A line of an earlier attempt that arrives late is not taken for one of this run, nor is one lost."""
    rows = [
        Row(1, 1, "start"),
        Row(2, 1, "no space"),
        Row(9, 1, "late"),
        Row(3, 2, "undo"),
        Row(4, 3, "start"),
    ]
    task = with_rows(sub_task(State.SUCCEED, id="101", attempts=3), rows)
    before = Known(lines={"101": ("start", "no space")}, attempts={"101": 1})
    assert attempt_lines(task, before) == ("undo", "start")


def test_rows_without_an_attempt_are_told_apart_by_their_lines() -> None:
    """An agent that leaves the number out loses nothing."""
    task = with_rows(sub_task(State.SUCCEED, id="101"), [Row(1, 0, "old"), Row(2, 0, "new")])
    assert attempt_lines(task, Known()) == ("old", "new")
    assert attempt_lines(task, Known(lines={"101": ("old",)}, attempts={"101": 1})) == ("new",)


def test_lines_told_as_rows_keep_their_order() -> None:
    """The lines that come with the DAG are the same, in no order: the better known one stays."""
    rows = [Row(2, 1, "x"), Row(1, 1, "y")]
    old = two_tasks(("y", "x"))
    task = with_rows((old.stages or ())[0].sub_tasks[0], rows)
    ordered = msgspec.structs.replace(old, stages=(stage(1, State.FAILED, sub_tasks=(task,)),))
    kept = keep_lines(ordered, two_tasks(("x", "y")))
    assert (kept.stages or ())[0].sub_tasks[0].line_attempts == (1, 1)
    grown = keep_lines(ordered, two_tasks(("x", "y", "z")))
    assert (grown.stages or ())[0].sub_tasks[0].lines == ("x", "y", "z")


def test_stage_leaves_out_the_silent() -> None:
    """Lines are told per sub-task with its host; one that logged nothing new is not named."""
    snapshot = two_tasks(("x",), ("old",), (), state=State.SUCCEED)
    (told,) = stage_lines((snapshot.stages or ())[0], Known(lines={"102": ("old",)}))
    assert (told.host, told.sub_task_id, told.lines) == ("10.0.0.1:2886", "101", ("x",))


def test_answer_without_details_loses_no_stage() -> None:
    """A summary moves the DAG on and leaves the stages as they were last seen."""
    old = two_tasks(("x",))
    kept = keep_lines(old, dag(1, of=1, state=State.SUCCEED, stages=None))
    assert (kept.state, kept.stages) == (State.SUCCEED, old.stages)


def test_null_lines_of_a_waiting_sub_task_lose_nothing() -> None:
    """Null lines stand for "not now": the known ones stay; an empty list and other lines are taken over."""
    old = two_tasks(("x",), ("y",), ("z",))
    kept = keep_lines(old, two_tasks(None, (), ("z", "zz"), state=State.READY))
    assert [task.lines for task in (kept.stages or ())[0].sub_tasks] == [("x",), (), ("z", "zz")]
    assert (kept.stages or ())[0].state is State.READY


def test_lines_never_seen_stay_null() -> None:
    """What neither answer holds is not invented, and an answer that needs nothing is left as it is."""
    new = two_tasks(None, ("y",))
    assert keep_lines(two_tasks(None, ("y",)), new) is new
    assert keep_lines(dag(1, of=1, stages=None), new) is new


def test_new_lines_by_stage_and_sub_task() -> None:
    """New lines carry their place; those of the last look are left out."""
    old, new = two_tasks(("x",), ("y",)), two_tasks(("x", "x2"), ("y", "y", "y2"))
    found = [(line.position, line.sub_task_id, line.host, line.line) for line in new_lines(old, new)]
    assert found == [
        (1, "101", "10.0.0.1:2886", "x2"),
        (1, "102", "10.0.0.2:2886", "y"),
        (1, "102", "10.0.0.2:2886", "y2"),
    ]
    assert len(new_lines(None, new)) == 5
    assert new_lines(new, dag(1, of=1, stages=None)) == ()


def test_error_code_of_the_last_error_line() -> None:
    """The last ERROR line counts, wherever it stands; a line that only mentions one does not."""
    assert error_code(("ERROR: [A.First]: a", "ERROR: [B.Last_1]: b\nmore", "sub task failed")) == "B.Last_1"
    assert error_code(("WARN: ERROR: [A.B]: a", "ERROR without a code", "ERROR: []: x")) is None
    assert error_code(()) is None
