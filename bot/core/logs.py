"""Which log lines are new, whose they are, and what the last of them says.

Lines come inline without ids, mix all runs since creation, and are absent while a retried sub-task waits. So
the lines of an attempt are all lines less those known before it began, as a multiset: position proves
nothing. Where the agent told the log as rows (`with_rows`), each line has the number of its attempt, and the
order is that of the store.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from bot.core.dag import DagSnapshot, Stage, State, SubTask
from bot.core.events import HostLines

_ERROR_LINE = re.compile(r"ERROR: \[([A-Za-z0-9_.]+)\]")
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What sub-tasks had logged before their present run, by sub-task id: lines, and attempts made."""

    lines: Mapping[str, tuple[str, ...]] = {}
    attempts: Mapping[str, int] = {}


class Row(Protocol):
    """A log line as the agent's store has it."""

    @property
    def id(self) -> int:
        """Its number in the store."""

    @property
    def attempt(self) -> int:
        """The attempt (`execute_times`) that wrote it."""

    @property
    def content(self) -> str:
        """The line."""

    @property
    def created_at(self) -> datetime | None:
        """When the store received it."""


def fresh(lines: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines that `before` does not account for, in order."""
    left = Counter(before)
    new = []
    for line in lines:
        if left[line] > 0:
            left[line] -= 1
        else:
            new.append(line)
    return tuple(new)


def attempt_lines(sub_task: SubTask, before: Known) -> tuple[str, ...]:
    """Return the lines of the sub-task's present run."""
    lines = sub_task.lines or ()
    if sub_task.line_attempts is None:
        return fresh(lines, before.lines.get(sub_task.id, ()))
    past = before.attempts.get(sub_task.id, -1)
    return tuple(line for line, number in zip(lines, sub_task.line_attempts, strict=True) if number > past)


def with_rows(sub_task: SubTask, rows: Iterable[Row]) -> SubTask:
    """Return the sub-task with its log as the store has it: by attempt, then by arrival.

    Lines written around a restart, or sent late, have ids out of order (recording `maintainer-restarts`).
    Rows that do not say their attempt leave that to the difference of lines.
    """
    ordered = sorted(rows, key=lambda row: (row.attempt, row.created_at or _LONG_AGO, row.id))
    attempts = tuple(row.attempt for row in ordered)
    return msgspec.structs.replace(
        sub_task,
        lines=tuple(row.content for row in ordered),
        line_attempts=attempts if all(attempts) else None,
    )


def stage_lines(stage: Stage, before: Known) -> tuple[HostLines, ...]:
    """Return the lines of a stage by host, leaving out sub-tasks that logged nothing."""
    return _told(stage, {task.id: attempt_lines(task, before) for task in stage.sub_tasks})


def late_lines(old: Stage | None, new: Stage) -> tuple[HostLines, ...]:
    """Return the lines of a stage that an earlier look at it did not have, by host."""
    had = {task.id: task.lines or () for task in (old.sub_tasks if old else ())}
    return _told(new, {task.id: fresh(task.lines or (), had.get(task.id, ())) for task in new.sub_tasks})


def keep_lines(old: DagSnapshot, new: DagSnapshot) -> DagSnapshot:
    """Return `new` with the details and lines that it leaves out but `old` had.

    An answer without details keeps the known stages; a sub-task that waits for its retry shows null lines;
    the lines that came with a DAG are the same as those that were told as rows, but for order and numbers.
    """
    if new.stages is None:
        return msgspec.structs.replace(new, stages=old.stages)
    known = {task.id: task for stage in old.stages or () for task in stage.sub_tasks}
    if not any(_lacks(task, known.get(task.id)) for stage in new.stages for task in stage.sub_tasks):
        return new
    return msgspec.structs.replace(new, stages=tuple(_with_known(stage, known) for stage in new.stages))


def known_before(old: DagSnapshot, before: Known, *, everything: bool) -> Known:
    """Return what is known when a new run begins: of the failed sub-tasks, or of all (a rollback)."""
    ended = [
        task
        for stage in old.stages or ()
        for task in stage.sub_tasks
        if task.lines is not None and (everything or task.state is State.FAILED)
    ]
    return Known(
        lines={**before.lines, **{task.id: task.lines or () for task in ended}},
        attempts={**before.attempts, **{task.id: task.attempts for task in ended}},
    )


def error_code(lines: tuple[str, ...]) -> str | None:
    """Return the code of the last `ERROR: [code]: message` line."""
    for line in reversed(lines):
        if match := _ERROR_LINE.match(line):
            return match[1]
    return None


def _lacks(task: SubTask, known: SubTask | None) -> bool:
    """Return whether the earlier look knew this sub-task's lines better."""
    if known is None or known.lines is None:
        return False
    if task.lines is None:
        return True
    as_rows = known.line_attempts is not None and task.line_attempts is None
    return as_rows and Counter(task.lines) == Counter(known.lines)


def _with_known(stage: Stage, known: Mapping[str, SubTask]) -> Stage:
    tasks = tuple(
        msgspec.structs.replace(task, lines=old.lines, line_attempts=old.line_attempts)
        if (old := known.get(task.id)) and _lacks(task, old)
        else task
        for task in stage.sub_tasks
    )
    return msgspec.structs.replace(stage, sub_tasks=tasks)


def _told(stage: Stage, lines: Mapping[str, tuple[str, ...]]) -> tuple[HostLines, ...]:
    return tuple(
        HostLines(host=_host(task), lines=lines[task.id], sub_task_id=task.id)
        for task in stage.sub_tasks
        if lines[task.id]
    )


def _host(task: SubTask) -> str | None:
    return str(task.host) if task.host else None


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line with its place: stage position, sub-task and host."""

    position: int
    sub_task_id: str
    host: str | None
    line: str


def new_lines(old: DagSnapshot | None, new: DagSnapshot) -> tuple[LogLine, ...]:
    """Return the lines that `old` did not have, by stage, then sub-task, in order."""
    seen = {
        task.id: task.lines or () for stage in (old.stages if old else None) or () for task in stage.sub_tasks
    }
    return tuple(
        LogLine(position=stage.position, sub_task_id=task.id, host=_host(task), line=line)
        for stage in new.stages or ()
        for task in stage.sub_tasks
        for line in fresh(task.lines or (), seen.get(task.id, ()))
    )
