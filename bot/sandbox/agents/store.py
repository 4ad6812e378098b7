"""The rows of one task store and the two ways to write them: a state, a line.

A cluster has one store, shared by its agents (ids `1...`); each agent has one of its own (ids `2...`).
"""

from datetime import datetime
from itertools import count

from bot.core.dag import Host, Maintenance, Operator, State
from bot.sandbox.agents.history import Change, Moment, Subject, Written
from bot.sandbox.agents.plans import DagPlan, StagePlan
from bot.sandbox.agents.rows import DagRow, LogRow, NodeRow, SubTaskRow

Found = tuple[DagRow, NodeRow, SubTaskRow]
"""A sub-task with its node and DAG."""


class TaskStore:
    """All DAGs ever created, with their nodes, sub-tasks and log lines; ids of each kind count from 1.

    A line of more than `longest_line` bytes is not stored, without a trace (recording `log-line-too-long`).
    An agent's own store also has `copies` of the cluster's sub-tasks that it ran (recording `ids`).
    """

    def __init__(self, history: list[Moment] | None = None, *, longest_line: int | None = None) -> None:
        self.dags: list[DagRow] = []
        self.copies: dict[int, Found] = {}
        self._longest_line = longest_line
        self.history: list[Moment] = [] if history is None else history
        self._dag_ids, self._node_ids = count(1), count(1)
        self._sub_task_ids, self._log_ids = count(1), count(1)

    def count_from(self, *, dags: int = 1, nodes: int = 1, sub_tasks: int = 1) -> None:
        """Give the next rows these numbers, as in a store with a past."""
        self._dag_ids, self._node_ids, self._sub_task_ids = count(dags), count(nodes), count(sub_tasks)

    def add(self, plan: DagPlan, creator: Host, now: datetime) -> DagRow:
        """Return the rows of a new DAG: READY, its parts PENDING."""
        dag = DagRow(
            id=next(self._dag_ids),
            state=State.READY,
            started_at=now,
            ended_at=now,
            plan=plan,
            nodes=[self._node(stage, at + 1, creator, now) for at, stage in enumerate(plan.stages)],
        )
        self.dags.append(dag)
        self._note(dag, dag, Subject.DAG, dag.stage, now)
        return dag

    def _node(self, plan: StagePlan, position: int, creator: Host, now: datetime) -> NodeRow:
        node_id = next(self._node_ids)
        sub_tasks = [
            SubTaskRow(
                id=next(self._sub_task_ids),
                started_at=now,
                ended_at=now,
                plan=part,
                host=part.host or creator,
                data=part.data,
            )
            for part in plan.parts
        ]
        return NodeRow(
            id=node_id, started_at=now, ended_at=now, plan=plan, position=position, sub_tasks=sub_tasks
        )

    def dag(self, row_id: int) -> DagRow | None:
        """Return the DAG of that row, if there is one."""
        return next((dag for dag in self.dags if dag.id == row_id), None)

    def node(self, row_id: int) -> tuple[DagRow, NodeRow] | None:
        """Return the node of that row with its DAG."""
        return next(((dag, node) for dag in self.dags for node in dag.nodes if node.id == row_id), None)

    def adopt(self, found: Found) -> int:
        """Keep a copy of another store's sub-task; returns its row here."""
        row = next(self._sub_task_ids)
        self.copies[row] = found
        return row

    def sub_task(self, row_id: int) -> Found | None:
        """Return the sub-task of that row with its node and DAG."""
        return next(
            (
                (dag, node, sub)
                for dag in self.dags
                for node in dag.nodes
                for sub in node.sub_tasks
                if sub.id == row_id
            ),
            None,
        )

    def unfinished(self) -> list[DagRow]:
        """Return the DAGs of the unfinished list, FAILED ones with a maintenance lock included."""
        return [dag for dag in self.dags if not dag.finished]

    def last_maintenance(self) -> DagRow | None:
        """Return the newest DAG with a maintenance type, finished or not."""
        return next((d for d in reversed(self.dags) if d.plan.maintenance > Maintenance.NONE), None)

    def set_dag(self, dag: DagRow, state: State, operator: Operator, now: datetime) -> None:
        """Write a DAG's state; also told to the history when only the stage moved."""
        dag.state, dag.operator = state, operator
        self._note(dag, dag, Subject.DAG, dag.stage, now)

    def set_node(self, dag: DagRow, node: NodeRow, state: State, operator: Operator, now: datetime) -> None:
        """Write a node's state."""
        node.state, node.operator = state, operator
        self._note(dag, node, Subject.NODE, node.position, now)

    def set_sub_task(
        self, dag: DagRow, node: NodeRow, sub: SubTaskRow, state: State, operator: Operator, now: datetime
    ) -> None:
        """Write a sub-task's state."""
        sub.state, sub.operator = state, operator
        self._note(dag, sub, Subject.SUB_TASK, node.position, now, attempts=sub.attempts)

    def log(self, dag: DagRow, node: NodeRow, sub: SubTaskRow, text: str, now: datetime) -> None:
        """Store a line of a sub-task, unless it is too long."""
        if self._longest_line is not None and len(text.encode()) > self._longest_line:
            return
        sub.logs.append(
            LogRow(id=next(self._log_ids), sub_task_id=sub.id, attempt=sub.attempts, text=text, at=now)
        )
        self.history.append(
            Written(
                at=now,
                dag_id=dag.id,
                position=node.position,
                sub_task_id=sub.id,
                host=sub.host,
                attempt=sub.attempts,
                text=text,
            )
        )

    def _note(
        self,
        dag: DagRow,
        row: DagRow | NodeRow | SubTaskRow,
        subject: Subject,
        position: int,
        now: datetime,
        attempts: int = 0,
    ) -> None:
        self.history.append(
            Change(
                at=now,
                dag_id=dag.id,
                subject=subject,
                row_id=row.id,
                position=position,
                state=row.state,
                operator=row.operator,
                attempts=attempts,
            )
        )
