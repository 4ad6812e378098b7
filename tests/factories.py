"""Keyword builders for the values of `core`, with defaults that say nothing special."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bot.core.dag import DagSnapshot, Host, Maintenance, Operator, Stage, State, SubTask
from bot.core.tracked import Sight

NOW = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a time so many seconds after the beginning."""
    return NOW + timedelta(seconds=seconds)


def sub_task(state: State = State.RUNNING, **members: Any) -> SubTask:
    """Return a sub-task; what has not been dispatched has no lines."""
    waiting = state in {State.PENDING, State.READY}
    defaults: dict[str, Any] = {
        "id": "101",
        "name": "a stage",
        "attempts": 0 if state is State.PENDING else 1,
        "host": Host("10.0.0.1", 2886),
        "lines": None if waiting else (),
    }
    return SubTask(state=state, **{**defaults, **members})


def stage(position: int, state: State = State.PENDING, **members: Any) -> Stage:
    """Return a stage with one sub-task in the same state, unless others are given."""
    defaults: dict[str, Any] = {
        "id": f"1{position}",
        "name": f"Stage {position}",
        "sub_tasks": (sub_task(state, id=f"10{position}", name=f"Stage {position}"),),
    }
    return Stage(position=position, state=state, **{**defaults, **members})


def dag(current: int = 1, of: int = 3, state: State = State.RUNNING, **members: Any) -> DagSnapshot:
    """Return a DAG at a stage: those before it SUCCEED, it has the DAG's own state, later ones PENDING."""
    operator = members.get("operator", Operator.RUN)
    here = State.PENDING if state is State.READY else state
    stages = [stage(n, State.SUCCEED) for n in range(1, current)]
    stages += [stage(current, here, operator=operator)]
    stages += [stage(n) for n in range(current + 1, of + 1)]
    defaults: dict[str, Any] = {
        "id": "11",
        "name": "Cluster scale out",
        "operator": operator,
        "started_at": NOW,
        "ended_at": NOW - timedelta(seconds=1),
        "maintenance": Maintenance.GLOBAL,
        "stages": tuple(stages),
    }
    return DagSnapshot(stage=current, max_stage=of, state=state, **{**defaults, **members})


def sight(snapshot: DagSnapshot, seconds: float = 0.0, **members: Any) -> Sight:
    """Return a look at a DAG, so many seconds after the beginning."""
    return Sight(**{"cluster": "prod", "snapshot": snapshot, "at": at(seconds), **members})
