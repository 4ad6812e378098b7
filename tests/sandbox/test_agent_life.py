"""The life of a DAG in the simulated engine against the recorded one, state by state and tick by tick."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from math import inf
from typing import Any

import pytest

from bot.core.dag import Host, Maintenance
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from tests.sandbox.asking import HOSTS
from tests.sandbox.replay import Played, View, play

SITUATIONS = (
    "success",
    "failed-then-retried",
    "retried-fails-again",
    "rolled-back",
    "rollback-fails",
    "cancelled",
    "node-passed",
    "not-allowed",
    "vanishes-when-failed",
    "retry-after-half-rollback",
)
LATE_S = 0.35
"""A recorded view may be this much later than the engine's: the lab's ticks and polls took some time."""
SHORT_S = 0.2
"""A state this short may be missing in a recording."""

NO_OPERATOR = {"retryable": False, "rollbackable": False, "cancellable": False, "passable": False}

Pick = Callable[[dict[str, Any]], Any]


def _steps(host: Host) -> PartPlan:
    """Return the long work of `cancelled`, whose end was not recorded: a line every three seconds."""
    return PartPlan(host=host, runs=(Work(lines=tuple(f"step {n}" for n in range(1, 11)), seconds=30.0),))


CANCELLED = DagPlan(
    name="Slow one",
    maintenance=Maintenance.GLOBAL,
    stages=(
        StagePlan(name="Quick", parts=(PartPlan(host=HOSTS[0], runs=(Work(seconds=0.1),)),)),
        StagePlan(name="Slow", parts=(_steps(HOSTS[0]), _steps(HOSTS[1]))),
        StagePlan(name="Never", parts=(PartPlan(host=HOSTS[0]),)),
    ),
)


@pytest.fixture(scope="module", params=SITUATIONS)
def played(request: pytest.FixtureRequest) -> Played:
    """One situation, played."""
    situation = str(request.param)
    if situation == "not-allowed":
        return play(situation, flags=NO_OPERATOR)
    if situation == "cancelled":
        return play(situation, plan=CANCELLED, blind=(8.04, 10.54))
    return play(situation)


def test_the_dag_and_its_stages_go_through_the_recorded_states(played: Played) -> None:
    """State, operator and stage of the DAG together with state and operator of every node."""
    _assert_same_course(played, _dag_and_nodes)


def test_every_sub_task_goes_through_the_recorded_states(played: Played) -> None:
    """State, operator, number of dispatches and lines, null ones included."""
    for pick in _sub_tasks(played.recorded[0].dag):
        _assert_same_course(played, partial(_picked, pick))


def test_times_are_set_kept_and_reset_as_recorded(played: Played) -> None:
    """Start and end of DAG, nodes and sub-tasks, measured from the creation, epochs included."""
    theirs, ours = played.recorded[0].dag["end_time"], played.simulated[0].dag["end_time"]
    for view in played.recorded:
        expected = list(_times(view.dag, theirs))
        found = [list(_times(other.dag, ours)) for other in _near(played.simulated, view)]
        for n, value in enumerate(expected):
            assert any(_alike(value, times[n]) for times in found), (view.at, n, value, found)


def test_the_unfinished_list_holds_it_exactly_as_long(played: Played) -> None:
    """A failed DAG stays or vanishes, a retried one comes back."""
    for at, listed in played.recorded_listed:
        around = [seen for when, seen in played.simulated_listed if when <= at]
        just_now = {seen for when, seen in played.simulated_listed if at - LATE_S <= when <= at + LATE_S}
        assert listed in {around[-1] if around else True, *just_now}, at


def test_operators_are_answered_as_recorded(played: Played) -> None:
    """Accepted, or refused with the same status, code and words."""
    assert played.simulated_answers == played.recorded_answers


# --- comparing -------------------------------------------------------------------------------------------


def _assert_same_course(played: Played, pick: Pick) -> None:
    """Demand the same values in the same order; either side may lack one that does not last.

    Polls miss short states, and see half a step of the agent: a node's end just before its DAG's.
    """
    theirs, ours = _course(played.recorded, pick), _course(played.simulated, pick)
    while theirs or ours:
        if theirs and ours and theirs[0][0] == ours[0][0]:
            theirs, ours = theirs[1:], ours[1:]
        elif ours and ours[0][1] < SHORT_S:
            ours = ours[1:]
        else:
            assert theirs, ("never recorded", ours[0])
            assert theirs[0][1] < SHORT_S, ("never simulated", theirs[0], ours[:1])
            theirs = theirs[1:]


def _course(views: Sequence[View], pick: Pick) -> list[tuple[Any, float]]:
    """Return the distinct values in order, each with how many seconds it lasted; the last one for ever."""
    course: list[tuple[Any, float]] = []
    since = 0.0
    for view in views:
        value = pick(view.dag)
        if course and course[-1][0] == value:
            continue
        if course:
            course[-1] = (course[-1][0], view.at - since)
        course.append((value, inf))
        since = view.at
    return course


def _dag_and_nodes(dag: dict[str, Any]) -> Any:
    nodes = tuple((node["state"], node["operator"]) for node in dag["nodes"])
    return dag["state"], dag["operator"], dag["stage"], dag["max_stage"], nodes


def _sub_tasks(dag: dict[str, Any]) -> Iterator[Pick]:
    for n, node in enumerate(dag["nodes"]):
        for m in range(len(node["sub_tasks"])):
            yield partial(_at, n, m)


def _at(node: int, part: int, view: dict[str, Any]) -> Any:
    return view["nodes"][node]["sub_tasks"][part]


def _picked(pick: Pick, dag: dict[str, Any]) -> Any:
    return _sub_task(pick(dag))


def _sub_task(sub: dict[str, Any]) -> Any:
    lines = sub["task_logs"]
    told = None if lines is None else tuple(lines)
    return sub["state"], sub["operator"], sub["execute_times"], sub["execute_agent"]["port"], told


def _near(views: Sequence[View], view: View) -> list[View]:
    """Return the views that could have been seen at that moment."""
    before = [v for v in views if v.at <= view.at - LATE_S][-1:]
    return before + [v for v in views if view.at - LATE_S < v.at <= view.at + LATE_S]


def _times(dag: dict[str, Any], created: str) -> Iterator[float | None]:
    rows = [dag, *dag["nodes"], *(sub for node in dag["nodes"] for sub in node["sub_tasks"])]
    for row in rows:
        for text in (row["start_time"], row["end_time"]):
            yield None if text.startswith("1970-01-01T08:00:00+08:00") else _since(text, created)


def _since(text: str, created: str) -> float:
    return (datetime.fromisoformat(text) - datetime.fromisoformat(created)).total_seconds()


def _alike(expected: float | None, found: float | None) -> bool:
    if expected is None or found is None:
        return expected is found
    return abs(expected - found) < LATE_S
