"""How a run of a sub-task is laid out in time: a pick-up, lines, an end, each with its instant.

The line that tells why a run failed comes just before the state says so, unless it is late.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from bot.core.dag import Host
from bot.sandbox.agents.plans import Work, error_line
from bot.sandbox.agents.rows import DagRow, NodeRow, SubTaskRow

PICKUP_TICKS = 0.005
"""Between dispatch and start: some milliseconds, in which a sub-task shows READY."""
WRITE_TICKS = 0.003
"""Between the start and the first line (recording `error-line-and-state`)."""
RESUME_TICKS = 2.0
"""Between the start of an agent and its looking for what it was running (recording `agent-restarts`)."""
MOST_AT_ONCE = 8
"""So many sub-tasks one agent runs at a time; more wait READY (recording `many-at-once`)."""
INTERRUPTED = error_line("task unexpectedly interrupted and cannot continue")
WAITS_FOR_OPERATOR = "wait operator to advance"
TIMED_OUT = "sub task timeout"


class Step(Enum):
    """What is due."""

    PICK_UP = auto()
    LINE = auto()
    HANG = auto()
    SUCCEED = auto()
    FAIL = auto()


Due = tuple[datetime, Step, str]


@dataclass(eq=False, kw_only=True)
class Execution:
    """One run of a sub-task on a host; `left_s` are the seconds to its next step while it hangs."""

    dag: DagRow
    node: NodeRow
    sub: SubTaskRow
    host: Host
    work: Work
    steps: deque[Due]
    orphan: bool = False
    left_s: float | None = None

    @property
    def due(self) -> datetime | None:
        """Return when its next step is due, None while it hangs or when nothing is left."""
        return self.steps[0][0] if self.steps and self.left_s is None else None


def whole_run(sub: SubTaskRow, now: datetime, tick_s: float) -> deque[Due]:
    """Return the steps of a run that is dispatched now."""
    start = now + timedelta(seconds=PICKUP_TICKS * tick_s)
    return deque([(start, Step.PICK_UP, ""), *_timed(sub.work(), sub, start, tick_s)])


def resumed_run(sub: SubTaskRow, now: datetime, tick_s: float) -> deque[Due]:
    """Return the steps of a run whose agent came back now: from its start, or it fails."""
    start = now + timedelta(seconds=RESUME_TICKS * tick_s)
    if sub.plan.resumable:
        return deque(_timed(sub.work(), sub, start, tick_s))
    return deque([(start, Step.LINE, INTERRUPTED), (start, Step.FAIL, "")])


def _timed(work: Work, sub: SubTaskRow, start: datetime, tick_s: float) -> list[Due]:
    length = timedelta(seconds=work.seconds * tick_s)
    steps = [
        (start + length * (at / len(work.lines)) + _delay(sub, text, tick_s), Step.LINE, text)
        for at, text in enumerate(work.lines)
    ]
    steps.sort(key=lambda due: due[0])
    if work.hangs:
        steps.append((steps[-1][0] if steps else start, Step.HANG, ""))
    end = max(start + length, steps[-1][0]) if steps else start + length
    return steps + _ending(work, sub, end, tick_s)


def _delay(sub: SubTaskRow, text: str, tick_s: float) -> timedelta:
    return timedelta(seconds=(WRITE_TICKS + sub.late.get(text, 0.0)) * tick_s)


def _ending(work: Work, sub: SubTaskRow, end: datetime, tick_s: float) -> list[Due]:
    """Return how a run ends: the line that tells why it failed comes first, unless it is late."""
    told = _reason(work, sub)
    if told is None:
        return [(end, Step.SUCCEED, "")]
    if work.error_late:
        late = timedelta(seconds=work.error_late * tick_s)
        return [(end, Step.FAIL, ""), (end + late, Step.LINE, told)]
    return [(end, Step.LINE, told), (end, Step.FAIL, "")]


def _reason(work: Work, sub: SubTaskRow) -> str | None:
    """Return the line that tells why a run fails, None for one that succeeds."""
    if work.pauses:
        return WAITS_FOR_OPERATOR
    if work.panics is not None:
        return error_line(f"task {sub.local_row} panic: {work.panics}")
    return None if work.error is None else error_line(work.error)
