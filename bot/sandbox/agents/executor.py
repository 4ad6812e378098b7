"""The agents' hands: runs the sub-tasks that the scheduler sent to hosts.

Executions are plans in time: a pick-up, lines, an end, each with the instant at which it is due. A hung one
has no next instant until it is released. An orphan was cancelled while its host did not hear of it: its
lines go on, its result is thrown away (recording `cancelled`).
"""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bot.core.dag import Host, State
from bot.sandbox.agents.deeds import Doing
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.plans import error_line
from bot.sandbox.agents.rows import DagRow, NodeRow, SubTaskRow
from bot.sandbox.agents.runs import (
    MOST_AT_ONCE,
    PICKUP_TICKS,
    TIMED_OUT,
    Due,
    Execution,
    Step,
    resumed_run,
    whole_run,
)
from bot.sandbox.agents.store import Found, TaskStore


class Executor:
    """Runs dispatched sub-tasks; `tick_s` is the length of a tick in seconds.

    `adopt` gives a sub-task its row in the store of the host that runs it.
    """

    def __init__(self, store: TaskStore, tick_s: float) -> None:
        self._store, self._tick_s = store, tick_s
        self._executions: list[Execution] = []
        self.adopt: Callable[[Found], int] = lambda found: found[2].id

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

    def accept(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, now: datetime, runner: Host) -> None:
        """Take a dispatched sub-task: the `runner` picks it up in a moment."""
        if sub.local_row is None:
            sub.local_row = self.adopt((dag, node, sub))
        self._begin(dag, node, sub, runner, whole_run(sub, now, self._tick_s))

    def _begin(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, runner: Host, steps: deque[Due]) -> None:
        run = Execution(dag=dag, node=node, sub=sub, host=runner, work=sub.work(), steps=steps)
        self._executions.append(run)

    def step(self, now: datetime) -> None:
        """Do the earliest due step; `now` is when it is written, never before it was due."""
        execution = min((e for e in self._executions if e.due), key=lambda e: e.due or now)
        _, step, text = execution.steps.popleft()
        self._do(execution, step, text, now)
        if not execution.steps:
            self._executions.remove(execution)

    def _do(self, execution: Execution, step: Step, text: str, now: datetime) -> None:
        if step is Step.LINE:
            self._say(execution, text, now)
        elif step is Step.HANG:
            self._hang(execution, now)
        elif not execution.orphan and (step is not Step.SUCCEED or self._is_done(execution, now)):
            self._write_state(execution, step, now)

    def _say(self, execution: Execution, text: str, now: datetime) -> None:
        self._store.log(execution.dag, execution.node, execution.sub, text, now)

    def _is_done(self, execution: Execution, now: datetime) -> bool:
        """Do the deed of a run that comes to its end; if it needs longer, the next look is a tick later."""
        deed = execution.work.deed
        if deed is None:
            return True
        doing = Doing(
            now=now,
            dag=execution.dag,
            sub=execution.sub,
            say=lambda text: self._say(execution, text, now),
        )
        try:
            done = deed(doing)
        except Fault as fault:
            execution.steps.append((now, Step.LINE, f"ERROR: [{fault.error_code}]: {fault.message}"))
            execution.steps.append((now, Step.FAIL, ""))
            return False
        if not done:
            execution.steps.append((now + timedelta(seconds=self._tick_s), Step.SUCCEED, ""))
        return done

    def _write_state(self, execution: Execution, step: Step, now: datetime) -> None:
        sub = execution.sub
        state = {Step.PICK_UP: State.RUNNING, Step.SUCCEED: State.SUCCEED, Step.FAIL: State.FAILED}[step]
        if step is Step.PICK_UP:
            sub.started_at = now
        else:
            sub.ended_at = now
        self._store.set_sub_task(execution.dag, execution.node, sub, state, sub.operator, now)

    def is_over_limit(self, sub: SubTaskRow, now: datetime) -> bool:
        """Whether a run has taken longer than it may."""
        limit = (sub.plan.limit_s - 2 * PICKUP_TICKS) * self._tick_s
        return (
            sub.state is State.RUNNING
            and sub.started_at is not None
            and (now - sub.started_at).total_seconds() >= limit
        )

    def time_out(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, now: datetime) -> None:
        """Fail a run that takes too long: the agent that runs it says so, and the scheduler too."""
        self.stop(sub)
        self._store.log(dag, node, sub, error_line(f"task {sub.local_row} timeout"), now)
        self._store.log(dag, node, sub, TIMED_OUT, now)
        sub.ended_at = now
        self._store.set_sub_task(dag, node, sub, State.FAILED, sub.operator, now)

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

    def postpone(self, now: datetime, lags: Mapping[Host, timedelta]) -> None:
        """Move what was due before now to now, or on some hosts so much later."""
        for execution in self._executions:
            earliest = now + lags.get(execution.host, timedelta(0))
            execution.steps = deque((max(at, earliest), step, text) for at, step, text in execution.steps)

    def resume(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, now: datetime, runner: Host) -> None:
        """Go on with a sub-task whose agent came back: from its start, or it fails.

        A resumed one keeps its attempt and is shown RUNNING all the time (recording `maintainer-restarts`).
        """
        self._begin(dag, node, sub, runner, resumed_run(sub, now, self._tick_s))

    def _of(self, sub: SubTaskRow) -> list[Execution]:
        return [e for e in self._executions if e.sub is sub]
