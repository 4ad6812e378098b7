"""What a tick does to the DAGs of a store: starts, inspects, moves on, cancels.

One node costs at least two ticks: one starts it, the next finds it done and moves the stage; the node behind
it starts one tick later still, so that nothing is RUNNING in between (recording `success`). A DAG that was
put back to READY may not move its stage in the tick that starts it (recording `node-passed`).
"""

from datetime import datetime

from bot.core.dag import Maintenance, Operator, State
from bot.sandbox.agents.crew import Crew
from bot.sandbox.agents.executor import Executor
from bot.sandbox.agents.locks import Locks
from bot.sandbox.agents.rows import DONE, OPEN, DagRow, NodeRow, SubTaskRow
from bot.sandbox.agents.store import TaskStore

CANCELLED = "sub task cancelled"


class Scheduler:
    """The scheduler of one store; it is awake in the agent that coordinates alone."""

    def __init__(self, store: TaskStore, locks: Locks, executor: Executor, crew: Crew) -> None:
        self._store, self._locks, self._executor, self._crew = store, locks, executor, crew

    def wake(self, now: datetime) -> None:
        """Look at every DAG that is under way."""
        if self._crew.maintainer is None:
            return
        for dag in self._store.dags:
            if dag.state in OPEN:
                self._wake_dag(dag, now)

    def _wake_dag(self, dag: DagRow, now: datetime) -> None:
        begins = dag.state is State.READY
        if begins:
            dag.started_at = now
            self._store.set_dag(dag, State.RUNNING, dag.operator, now)
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
        self._store.set_node(dag, node, State.RUNNING, node.operator, now)
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
        if sub.plan.host is None and self._crew.maintainer is not None:
            sub.host = self._crew.maintainer
        self._store.set_sub_task(dag, node, sub, State.READY, direction, now)
        self._send(dag, node, sub, now)

    def _send(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, now: datetime) -> None:
        runner = self._crew.runner(sub.host)
        free = self._crew.is_alive(runner) and self._executor.has_room(runner)
        if free and not self._executor.is_running(sub):
            self._executor.accept(dag, node, sub, now, runner)

    def _inspect(self, dag: DagRow, node: NodeRow, now: datetime) -> None:
        for sub in node.sub_tasks:
            if sub.state is State.READY:
                self._send(dag, node, sub, now)
            elif self._executor.is_over_limit(sub, now):
                self._executor.time_out(dag, node, sub, now)
            elif node.operator is Operator.RETRY and _is_undone(sub):
                self._dispatch(dag, node, sub, Operator.RUN, now)
        if any(sub.state in OPEN for sub in node.sub_tasks):
            return
        failed = any(sub.state is State.FAILED for sub in node.sub_tasks)
        node.ended_at = now
        self._store.set_node(dag, node, State.FAILED if failed else State.SUCCEED, node.operator, now)
        if failed:
            self._fail(dag, now)
        else:
            self._advance_stage(dag, now)

    def _fail(self, dag: DagRow, now: datetime) -> None:
        dag.ended_at = now
        dag.finished = dag.plan.maintenance <= Maintenance.NONE
        if dag.node.plan.releases_lock:
            self._locks.give_back(dag)
        self._store.set_dag(dag, State.FAILED, dag.operator, now)

    def _advance_stage(self, dag: DagRow, now: datetime) -> None:
        backwards = dag.operator is Operator.ROLLBACK
        if dag.stage == (1 if backwards else len(dag.nodes)):
            dag.ended_at, dag.finished = now, True
            self._locks.give_back(dag)
            self._store.set_dag(dag, State.SUCCEED, dag.operator, now)
            return
        dag.stage += -1 if backwards else 1
        self._store.set_dag(dag, dag.state, dag.operator, now)

    def _cancel(self, dag: DagRow, node: NodeRow, now: datetime) -> None:
        """Do the first or second tick of a CANCEL: stop what can be stopped, then fail."""
        if node.state is State.PENDING:
            node.started_at = node.ended_at = now
            self._store.set_node(dag, node, State.RUNNING, node.operator, now)
            if self._stop_sub_tasks(dag, node, now):
                self._fail_node(dag, node, now)
            return
        if node.state is State.RUNNING:
            self._fail_node(dag, node, now)
        self._fail(dag, now)

    def _fail_node(self, dag: DagRow, node: NodeRow, now: datetime) -> None:
        node.ended_at = now
        self._store.set_node(dag, node, State.FAILED, node.operator, now)

    def _stop_sub_tasks(self, dag: DagRow, node: NodeRow, now: datetime) -> bool:
        """Write READY and RUNNING sub-tasks FAILED; return whether any of their agents heard of its sub-task.

        Only the coordinating agent hears of the end of it: elsewhere the work goes on.
        """
        reached = False
        for sub in [s for s in node.sub_tasks if s.state in OPEN]:
            reached = reached or self._executor.is_running(sub)
            if self._crew.runner(sub.host) == self._crew.maintainer:
                self._executor.stop(sub)
            else:
                self._abandon(sub)
            self._store.log(dag, node, sub, CANCELLED, now)
            sub.ended_at = now
            self._store.set_sub_task(dag, node, sub, State.FAILED, sub.operator, now)
        return reached

    def _abandon(self, sub: SubTaskRow) -> None:
        """Give up a sub-task of an agent that does not hear of it."""
        if sub.state is State.READY and self._executor.is_running(sub):
            self._crew.doom(sub.host)
        self._executor.orphan(sub)


def _is_undone(sub: SubTaskRow) -> bool:
    return sub.state is State.SUCCEED and sub.operator is Operator.ROLLBACK


def _first_direction(node: NodeRow, sub: SubTaskRow) -> Operator | None:
    """Return how a sub-task of a starting node is dispatched first, None when it is left alone."""
    if node.operator is Operator.ROLLBACK:
        return Operator.ROLLBACK if sub.state in DONE and not _is_undone(sub) else None
    if sub.state is State.PENDING:
        return Operator.RUN
    return Operator.ROLLBACK if sub.state is State.FAILED else None
