"""Which log lines are new: a multiset difference, because lines have no ids and no promised order."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bot.core.dag import DagSnapshot, Host, State
from bot.core.logs import (
    attempt_lines,
    error_code,
    fresh,
    keep_lines,
    known_before,
    new_lines,
    stage_lines,
)
from tests.factories import dag, stage, sub_task

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
    known = known_before(two_tasks(("x", "y"), ("z",)), {}, everything=False)
    assert known == {"101": ("x", "y")}


def test_rollback_knows_all_lines() -> None:
    """A rollback undoes what succeeded as well: nothing that was logged before belongs to it."""
    assert known_before(two_tasks(("x",), ("z",)), {}, everything=True) == {"101": ("x",), "102": ("z",)}


def test_what_was_known_stays_known() -> None:
    """A run keeps what earlier runs knew, and a waiting sub-task without lines changes nothing."""
    before = {"101": ("x",), "102": ("z",)}
    assert known_before(two_tasks(None, ("z", "z")), before, everything=True) == {
        "101": ("x",),
        "102": ("z", "z"),
    }
    assert before == {"101": ("x",), "102": ("z",)}


def test_attempt_has_only_its_own_lines() -> None:
    """Lines of all runs are mixed; those known before the attempt are not its own."""
    task = sub_task(lines=("start", "start", "no space", "done"))
    assert attempt_lines(task, {"101": ("start", "no space")}) == ("start", "done")
    assert attempt_lines(sub_task(State.PENDING), {"101": ("start",)}) == ()


def test_stage_leaves_out_the_silent() -> None:
    """Lines are told per sub-task with its host; one that logged nothing new is not named."""
    snapshot = two_tasks(("x",), ("old",), (), state=State.SUCCEED)
    (told,) = stage_lines((snapshot.stages or ())[0], {"102": ("old",)})
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
