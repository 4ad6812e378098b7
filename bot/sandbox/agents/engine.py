"""The task engine of a simulated agent: a scheduler that wakes every tick, as the recordings show it.

One node costs at least two ticks: one starts it, the next finds it done and moves the stage; the node behind
it starts one tick later still, so that nothing is RUNNING in between (recording `success`). A DAG that was
put back to READY may not move its stage in the tick that starts it (recording `node-passed`). The engine is
driven by `advance(now)` alone: no clock, no sleep, no randomness.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.core.dag import Host, Maintenance, Operator, State
from bot.sandbox.agents.executor import Executor
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.locks import Locks
from bot.sandbox.agents.plans import DagPlan, Work
from bot.sandbox.agents.rows import DONE, OPEN, DagRow, NodeRow, SubTaskRow
from bot.sandbox.agents.store import TaskStore

TAKEOVER_TICKS = 5
"""How long a cluster stands still when its coordinating agent dies and another takes over."""
CANCELLED = "sub task cancelled"


class Engine:
    """Schedules the DAGs of one store over `hosts`; the first living one coordinates."""

    def __init__(
        self,
        store: TaskStore,
        hosts: Sequence[Host],
        now: datetime,
        *,
        tick_s: float = 1.0,
        generic_id: Callable[[int], str] = "1{}".format,
    ) -> None:
        self.store = store
        self.locks = Locks(generic_id)
        self.executor = Executor(store, tick_s)
        self._hosts = tuple(hosts)
        self._alive = set(hosts)
        self._tick = timedelta(seconds=tick_s)
        self._next_tick = now + self._tick
        self._paused = False
        self._written_from = now

    @property
    def maintainer(self) -> Host | None:
        """The living agent that coordinates, if any lives."""
        return next((host for host in self._hosts if host in self._alive), None)

    def create(self, plan: DagPlan, now: datetime) -> DagRow:
        """Create a DAG, READY, with its lock; raises `Fault` when the lock is held."""
        self.advance(now)
        dag = self.store.add(plan, self.maintainer or self._hosts[0], now)
        try:
            self.locks.take(dag)
        except Fault as fault:
            self.store.dags.remove(dag)
            raise fault.prefixed(f"Create task '{plan.name}' failed") from None
        return dag

    def advance(self, now: datetime) -> None:
        """Live through everything that is due until `now`; does nothing while the database is away."""
        if self._paused:
            return
        self._skip_idle(now)
        while True:
            step = self.executor.next_due()
            if step is not None and step <= self._next_tick and step <= now:
                self.executor.step(max(step, self._written_from))
            elif self._next_tick <= now:
                at, self._next_tick = self._next_tick, self._next_tick + self._tick
                self._wake(at)
            else:
                return

    def _skip_idle(self, now: datetime) -> None:
        if self.executor.idle and not any(dag.state in OPEN for dag in self.store.dags):
            self._next_tick += max(0, (now - self._next_tick) // self._tick) * self._tick

    def pause(self, now: datetime) -> None:
        """Lose the database: tasks run on, but nothing is written and nobody schedules."""
        self.advance(now)
        self._paused = True

    def resume(self, now: datetime) -> None:
        """Get the database back: what became due meanwhile is written now."""
        self._paused, self._written_from = False, now
        self._next_tick = max(self._next_tick, now + self._tick)

    def lose_host(self, host: Host, now: datetime) -> None:
        """Let an agent die: its runs stop, and another agent takes over if it was the coordinator."""
        self.advance(now)
        if host == self.maintainer:
            self._next_tick = now + TAKEOVER_TICKS * self._tick
        self._alive.discard(host)
        self.executor.lose_host(host)

    def regain_host(self, host: Host, now: datetime) -> None:
        """Let an agent come back: it picks up what it was running."""
        self.advance(now)
        self._alive.add(host)
        self._next_tick = min(self._next_tick, now + self._tick)
        for dag, node, sub in self._interrupted(host):
            self.executor.resume(dag, node, sub, now)

    def _interrupted(self, host: Host) -> list[tuple[DagRow, NodeRow, SubTaskRow]]:
        return [
            (dag, node, sub)
            for dag in self.store.unfinished()
            for node in dag.nodes
            for sub in node.sub_tasks
            if sub.state is State.RUNNING and sub.host == host and not self.executor.is_running(sub)
        ]

    def fail_attempt(self, sub: SubTaskRow, attempt: int, error: str) -> None:
        """Let the n-th run (from 1) of a sub-task fail with that error, after the lines it was to write."""
        planned = sub.plan.runs[min(attempt, len(sub.plan.runs)) - 1]
        sub.overrides[attempt] = Work(lines=planned.lines, seconds=planned.seconds, error=error)

    def _wake(self, now: datetime) -> None:
        if self.maintainer is None:
            return
        for dag in self.store.dags:
            if dag.state in OPEN:
                self._wake_dag(dag, now)

    def _wake_dag(self, dag: DagRow, now: datetime) -> None:
        begins = dag.state is State.READY
        if begins:
            dag.started_at = now
            self.store.set_dag(dag, State.RUNNING, dag.operator, now)
        node = dag.node
        if dag.operator is Operator.CANCEL:
            self._cancel(dag, node, now)
        elif node.state is State.PENDING:
            self._start(dag, node, now)
        elif node.state is State.RUNNING:
            self._inspect(dag, node, now)
        elif not begins:
            self._advance_stage(dag, now)

    def _start(self, dag: DagRow, node: NodeRow, now: datetime) -> None:
        node.started_at = node.ended_at = now
        self.store.set_node(dag, node, State.RUNNING, node.operator, now)
        for sub in node.sub_tasks:
            direction = _first_direction(node, sub)
            if direction is not None:
                self._dispatch(dag, node, sub, direction, now)

    def _dispatch(
        self, dag: DagRow, node: NodeRow, sub: SubTaskRow, direction: Operator, now: datetime
    ) -> None:
        sub.attempts += 1
        if direction is Operator.ROLLBACK:
            sub.undos += 1
        else:
            sub.runs += 1
        if sub.plan.host is None and self.maintainer is not None:
            sub.host = self.maintainer
        self.store.set_sub_task(dag, node, sub, State.READY, direction, now)
        self._send(dag, node, sub, now)

    def _send(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, now: datetime) -> None:
        free = sub.host in self._alive and self.executor.has_room(sub.host)
        if free and not self.executor.is_running(sub):
            self.executor.accept(dag, node, sub, now)

    def _inspect(self, dag: DagRow, node: NodeRow, now: datetime) -> None:
        for sub in node.sub_tasks:
            if sub.state is State.READY:
                self._send(dag, node, sub, now)
            elif node.operator is Operator.RETRY and _is_undone(sub):
                self._dispatch(dag, node, sub, Operator.RUN, now)
        if any(sub.state in OPEN for sub in node.sub_tasks):
            return
        failed = any(sub.state is State.FAILED for sub in node.sub_tasks)
        node.ended_at = now
        self.store.set_node(dag, node, State.FAILED if failed else State.SUCCEED, node.operator, now)
        if failed:
            self._fail(dag, now)
        else:
            self._advance_stage(dag, now)

    def _fail(self, dag: DagRow, now: datetime) -> None:
        dag.ended_at = now
        dag.finished = dag.plan.maintenance <= Maintenance.NONE
        if dag.node.plan.releases_lock:
            self.locks.give_back(dag)
        self.store.set_dag(dag, State.FAILED, dag.operator, now)

    def _advance_stage(self, dag: DagRow, now: datetime) -> None:
        backwards = dag.operator is Operator.ROLLBACK
        if dag.stage == (1 if backwards else len(dag.nodes)):
            dag.ended_at, dag.finished = now, True
            self.locks.give_back(dag)
            self.store.set_dag(dag, State.SUCCEED, dag.operator, now)
            return
        dag.stage += -1 if backwards else 1
        self.store.set_dag(dag, dag.state, dag.operator, now)

    def _cancel(self, dag: DagRow, node: NodeRow, now: datetime) -> None:
        """Do the first or second tick of a CANCEL: stop what can be stopped, then fail."""
        if node.state is State.PENDING:
            node.started_at = node.ended_at = now
            self.store.set_node(dag, node, State.RUNNING, node.operator, now)
            if self._stop_sub_tasks(dag, node, now):
                self._fail_node(dag, node, now)
            return
        if node.state is State.RUNNING:
            self._fail_node(dag, node, now)
        self._fail(dag, now)

    def _fail_node(self, dag: DagRow, node: NodeRow, now: datetime) -> None:
        node.ended_at = now
        self.store.set_node(dag, node, State.FAILED, node.operator, now)

    def _stop_sub_tasks(self, dag: DagRow, node: NodeRow, now: datetime) -> bool:
        """Write READY and RUNNING sub-tasks FAILED; return whether any was RUNNING.

        Only the coordinating agent hears of it: elsewhere the work goes on.
        """
        running = False
        for sub in [s for s in node.sub_tasks if s.state in OPEN]:
            running = running or sub.state is State.RUNNING
            if sub.host == self.maintainer:
                self.executor.stop(sub)
            else:
                self.executor.orphan(sub)
            self.store.log(dag, node, sub, CANCELLED, now)
            sub.ended_at = now
            self.store.set_sub_task(dag, node, sub, State.FAILED, sub.operator, now)
        return running


def _is_undone(sub: SubTaskRow) -> bool:
    return sub.state is State.SUCCEED and sub.operator is Operator.ROLLBACK


def _first_direction(node: NodeRow, sub: SubTaskRow) -> Operator | None:
    """Return how a sub-task of a starting node is dispatched first, None when it is left alone."""
    if node.operator is Operator.ROLLBACK:
        return Operator.ROLLBACK if sub.state in DONE and not _is_undone(sub) else None
    if sub.state is State.PENDING:
        return Operator.RUN
    return Operator.ROLLBACK if sub.state is State.FAILED else None
