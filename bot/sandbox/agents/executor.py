"""The agents' hands: runs the sub-tasks that the scheduler sent to hosts.

Executions are plans in time: a pick-up, lines, an end, each with the instant at which it is due. A hung one
has no next instant until it is released. An orphan was cancelled while its host did not hear of it: its
lines go on, its result is thrown away (recording `cancelled`).
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from bot.core.dag import Host, State
from bot.sandbox.agents.plans import Work, error_line
from bot.sandbox.agents.rows import DagRow, NodeRow, SubTaskRow
from bot.sandbox.agents.store import TaskStore

PICKUP_TICKS = 0.005
"""Between dispatch and start: some milliseconds, in which a sub-task shows READY."""
MOST_AT_ONCE = 8
"""So many sub-tasks one agent runs at a time; more wait READY (recording `many-at-once`)."""
INTERRUPTED = error_line("task unexpectedly interrupted and cannot continue")


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
    steps: deque[Due]
    orphan: bool = False
    left_s: float | None = None

    @property
    def due(self) -> datetime | None:
        """Return when its next step is due, None while it hangs or when nothing is left."""
        return self.steps[0][0] if self.steps and self.left_s is None else None


class Executor:
    """Runs dispatched sub-tasks; `tick_s` is the length of a tick in seconds."""

    def __init__(self, store: TaskStore, tick_s: float) -> None:
        self._store, self._tick_s = store, tick_s
        self._executions: list[Execution] = []

    def next_due(self) -> datetime | None:
        """Return when the next step of any execution is due."""
        return min((e.due for e in self._executions if e.due is not None), default=None)

    @property
    def idle(self) -> bool:
        """Whether nothing runs, hung executions included."""
        return not self._executions

    def is_running(self, sub: SubTaskRow) -> bool:
        """Whether any host still works on that sub-task, an orphaned run included."""
        return any(e.sub is sub for e in self._executions)

    def has_room(self, host: Host) -> bool:
        """Whether the host can take one more."""
        return sum(e.host == host for e in self._executions) < MOST_AT_ONCE

    def accept(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, now: datetime) -> None:
        """Take a dispatched sub-task: it is picked up in a moment."""
        start = now + timedelta(seconds=PICKUP_TICKS * self._tick_s)
        steps = deque([(start, Step.PICK_UP, ""), *self._timed(sub.work(), start)])
        self._executions.append(Execution(dag=dag, node=node, sub=sub, host=sub.host, steps=steps))

    def _timed(self, work: Work, start: datetime) -> list[Due]:
        length = timedelta(seconds=work.seconds * self._tick_s)
        steps: list[Due] = [
            (start + length * (at / len(work.lines)), Step.LINE, text) for at, text in enumerate(work.lines)
        ]
        end = start + length
        if work.hangs:
            steps.append((steps[-1][0] if steps else start, Step.HANG, ""))
        if work.error is not None:
            late = timedelta(seconds=work.error_late * self._tick_s)
            told = (end + late, Step.LINE, error_line(work.error))
            failed: Due = (end, Step.FAIL, "")
            return [*steps, failed, told] if late else [*steps, told, failed]
        return [*steps, (end, Step.SUCCEED, "")]

    def step(self, now: datetime) -> None:
        """Do the earliest due step; `now` is when it is written, never before it was due."""
        execution = min((e for e in self._executions if e.due), key=lambda e: e.due or now)
        _, step, text = execution.steps.popleft()
        self._do(execution, step, text, now)
        if not execution.steps:
            self._executions.remove(execution)

    def _do(self, execution: Execution, step: Step, text: str, now: datetime) -> None:
        dag, node, sub = execution.dag, execution.node, execution.sub
        if step is Step.LINE:
            self._store.log(dag, node, sub, text, now)
        elif step is Step.HANG:
            self._hang(execution, now)
        elif not execution.orphan:
            self._write_state(execution, step, now)

    def _write_state(self, execution: Execution, step: Step, now: datetime) -> None:
        sub = execution.sub
        state = {Step.PICK_UP: State.RUNNING, Step.SUCCEED: State.SUCCEED, Step.FAIL: State.FAILED}[step]
        if step is Step.PICK_UP:
            sub.started_at = now
        else:
            sub.ended_at = now
        self._store.set_sub_task(execution.dag, execution.node, sub, state, sub.operator, now)

    def hang(self, sub: SubTaskRow, now: datetime) -> None:
        """Let the run of that sub-task make no progress from now on."""
        for execution in self._of(sub):
            if execution.left_s is None:
                self._hang(execution, now)

    @staticmethod
    def _hang(execution: Execution, now: datetime) -> None:
        execution.left_s = max(0.0, (execution.steps[0][0] - now).total_seconds())

    def release(self, sub: SubTaskRow, now: datetime) -> None:
        """Let a hung run go on where it stopped."""
        for execution in self._of(sub):
            if execution.left_s is not None:
                shift = now + timedelta(seconds=execution.left_s) - execution.steps[0][0]
                execution.steps = deque((at + shift, step, text) for at, step, text in execution.steps)
                execution.left_s = None

    def stop(self, sub: SubTaskRow) -> None:
        """End the run of a sub-task: nothing more of it is heard."""
        self._executions = [e for e in self._executions if e.sub is not sub]

    def orphan(self, sub: SubTaskRow) -> None:
        """Forget that anybody waits for the run's result; it goes on."""
        for execution in self._of(sub):
            execution.orphan = True

    def lose_host(self, host: Host) -> None:
        """Drop what that host was doing: its agent died."""
        self._executions = [e for e in self._executions if e.host != host]

    def resume(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, now: datetime) -> None:
        """Go on with a sub-task whose agent came back: from its start, or it fails.

        A resumed one keeps its attempt and is shown RUNNING all the time (recording `maintainer-restarts`).
        """
        if sub.plan.resumable:
            steps = deque(self._timed(sub.work(), now))
            self._executions.append(Execution(dag=dag, node=node, sub=sub, host=sub.host, steps=steps))
            return
        self._store.log(dag, node, sub, INTERRUPTED, now)
        sub.ended_at = now
        self._store.set_sub_task(dag, node, sub, State.FAILED, sub.operator, now)

    def _of(self, sub: SubTaskRow) -> list[Execution]:
        return [e for e in self._executions if e.sub is sub]
