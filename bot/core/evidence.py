"""What is said about a stage: its report when it finished, its sub-tasks when something is wrong."""

from datetime import datetime

from bot.core.dag import DagSnapshot, Operator, Outcome, Stage, State, SubTask, reading
from bot.core.events import StageReport, SubTaskEvidence
from bot.core.logs import Known, attempt_lines, error_code, stage_lines

SUB_TASK_LIMIT_S = 3600.0
"""The agent ends a sub-task after this time; no shipped DAG sets another."""

LAST_LINES = 8


def attempt(task: SubTask) -> int:
    """Return the attempt as people count: a retry is dispatched twice, to undo and to run."""
    return max(1, (task.attempts + 1) // 2)


def report(stage: Stage, before: Known) -> StageReport:
    """Return what a finished stage came to."""
    return StageReport(
        position=stage.position,
        name=stage.name,
        operator=stage.operator,
        duration_s=_seconds(stage.started_at, stage.ended_at),
        hosts=tuple(sorted({str(t.host) for t in stage.sub_tasks if t.host and t.attempts > 0})),
        logs=stage_lines(stage, before),
        attempts=max((attempt(t) for t in stage.sub_tasks), default=1),
    )


def finished_stages(snapshot: DagSnapshot, told: tuple[int, ...]) -> tuple[Stage, ...]:
    """Return the stages that are done by running (or by passing their node) and not told yet.

    `stage` stays at `max_stage` while the last stage runs, so its end shows only in its own state. Stages
    that a rollback undid, and those that a PASS of the whole DAG skipped, are not done.
    """
    if snapshot.operator is Operator.ROLLBACK:
        return ()
    return tuple(s for s in snapshot.stages or () if s.position not in told and _is_done(s, snapshot))


def unread(snapshot: DagSnapshot, told: tuple[int, ...], *, failure_told: bool) -> tuple[SubTask, ...]:
    """Return the sub-tasks whose log is about to be told, where its order or its attempts matter."""
    ended = [task for stage in finished_stages(snapshot, told) for task in stage.sub_tasks]
    if not failure_told and reading(snapshot) is Outcome.FAILED and snapshot.current:
        ended += [task for task in snapshot.current.sub_tasks if task.state is State.FAILED]
    return tuple(task for task in ended if task.attempts > 1 or len(task.lines or ()) > 1)


def failures(snapshot: DagSnapshot, before: Known) -> tuple[SubTaskEvidence, ...]:
    """Return the sub-tasks that failed at the present stage."""
    stage = snapshot.current
    return tuple(
        _evidence(task, before, None)
        for task in (stage.sub_tasks if stage else ())
        if task.state is State.FAILED
    )


def waiting(snapshot: DagSnapshot, before: Known, agent_now: datetime) -> tuple[SubTaskEvidence, ...]:
    """Return the sub-tasks that the present stage waits for."""
    stage = snapshot.current
    return tuple(
        _evidence(task, before, agent_now)
        for task in (stage.sub_tasks if stage else ())
        if task.state in {State.READY, State.RUNNING, State.PENDING, State.OTHER}
    )


def _is_done(stage: Stage, snapshot: DagSnapshot) -> bool:
    if stage.state is not State.SUCCEED or stage.operator is Operator.ROLLBACK:
        return False
    skipped_with_the_dag = snapshot.operator is Operator.PASS and stage.operator is Operator.PASS
    moved_on = stage.position < snapshot.stage or snapshot.state is State.SUCCEED
    return moved_on and not skipped_with_the_dag


def _evidence(task: SubTask, before: Known, agent_now: datetime | None) -> SubTaskEvidence:
    lines = attempt_lines(task, before)
    running = task.state is State.RUNNING and agent_now is not None and task.started_at is not None
    age = _seconds(task.started_at, agent_now) if running else None
    return SubTaskEvidence(
        host=str(task.host) if task.host else None,
        state=task.state,
        attempt=attempt(task),
        since=task.started_at,
        error_code=error_code(lines),
        last_lines=lines[-LAST_LINES:],
        limit_left_s=max(0.0, SUB_TASK_LIMIT_S - age) if age is not None else None,
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()
