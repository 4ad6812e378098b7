"""Which log lines are new, whose they are, and what the last of them says.

Lines come inline without ids, mix all runs since creation, and are absent while a retried sub-task waits. So
the lines of an attempt are all lines less those known before it began, as a multiset: position proves
nothing.
"""

import re
from collections import Counter
from collections.abc import Mapping

import msgspec

from bot.core.dag import DagSnapshot, Stage, State, SubTask
from bot.core.events import HostLines

Known = Mapping[str, tuple[str, ...]]
"""Sub-task id → the lines that it had before its present attempt."""

_ERROR_LINE = re.compile(r"ERROR: \[([A-Za-z0-9_.]+)\]")


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
    """Return the lines of the sub-task's present attempt."""
    return fresh(sub_task.lines or (), before.get(sub_task.id, ()))


def stage_lines(stage: Stage, before: Known) -> tuple[HostLines, ...]:
    """Return the lines of a stage by host, leaving out sub-tasks that logged nothing."""
    found = (
        HostLines(host=_host(task), lines=attempt_lines(task, before), sub_task_id=task.id)
        for task in stage.sub_tasks
    )
    return tuple(host_lines for host_lines in found if host_lines.lines)


def keep_lines(old: DagSnapshot, new: DagSnapshot) -> DagSnapshot:
    """Return `new` with the details and lines that it leaves out but `old` had.

    An answer without details keeps the known stages; a sub-task that waits for its retry shows null lines.
    """
    if new.stages is None:
        return msgspec.structs.replace(new, stages=old.stages)
    known = {task.id: task.lines for stage in old.stages or () for task in stage.sub_tasks}
    if not any(t.lines is None and known.get(t.id) is not None for s in new.stages for t in s.sub_tasks):
        return new
    return msgspec.structs.replace(new, stages=tuple(_with_lines(stage, known) for stage in new.stages))


def known_before(old: DagSnapshot, before: Known, *, everything: bool) -> dict[str, tuple[str, ...]]:
    """Return what is known when a new run begins: lines of the failed sub-tasks, or of all (a rollback)."""
    known = dict(before)
    for stage in old.stages or ():
        for task in stage.sub_tasks:
            if task.lines is not None and (everything or task.state is State.FAILED):
                known[task.id] = task.lines
    return known


def error_code(lines: tuple[str, ...]) -> str | None:
    """Return the code of the last `ERROR: [code]: message` line."""
    for line in reversed(lines):
        if match := _ERROR_LINE.match(line):
            return match[1]
    return None


def _with_lines(stage: Stage, known: Mapping[str, tuple[str, ...] | None]) -> Stage:
    tasks = tuple(
        msgspec.structs.replace(task, lines=known.get(task.id)) if task.lines is None else task
        for task in stage.sub_tasks
    )
    return msgspec.structs.replace(stage, sub_tasks=tasks)


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
