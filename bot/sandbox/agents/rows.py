"""The rows of a simulated task store: mutable, written by the engine alone.

A time of `None` is one that an operator has reset: agents spell it as the epoch.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.core.dag import Host, Operator, State
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work

OPEN = (State.READY, State.RUNNING)
DONE = (State.FAILED, State.SUCCEED)


@dataclass(eq=False, kw_only=True)
class LogRow:
    """One line of a sub-task; `at` is when it was stored."""

    id: int
    sub_task_id: int
    attempt: int
    text: str
    at: datetime


@dataclass(eq=False, kw_only=True)
class Row:
    """What DAGs, nodes and sub-tasks have in common."""

    id: int
    state: State = State.PENDING
    operator: Operator = Operator.RUN
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(eq=False, kw_only=True)
class SubTaskRow(Row):
    """A sub-task; `attempts` counts dispatches, `runs` and `undos` those of each direction.

    `data` is what it left as additional data. `local_row` is its row in the store of the agent that runs it,
    which for a sub-task of the cluster's store is another one than its own (recording `timeout`). Lines in
    `late` are stored so many ticks later than they are written.
    """

    plan: PartPlan
    host: Host
    data: dict[str, Any] | None = None
    local_row: int | None = None
    attempts: int = 0
    runs: int = 0
    undos: int = 0
    overrides: dict[int, Work] = field(default_factory=dict)
    late: dict[str, float] = field(default_factory=dict)
    logs: list[LogRow] = field(default_factory=list)

    def work(self) -> Work:
        """Return what the dispatch that is under way has to do."""
        if self.operator is Operator.ROLLBACK:
            return self.plan.undos[min(self.undos, len(self.plan.undos)) - 1]
        planned = self.plan.runs[min(self.runs, len(self.plan.runs)) - 1]
        return self.overrides.get(self.runs, planned)


@dataclass(eq=False, kw_only=True)
class NodeRow(Row):
    """A node at its position, counted from 1."""

    plan: StagePlan
    position: int
    sub_tasks: list[SubTaskRow]

    @property
    def name(self) -> str:
        """Its name; sub-tasks carry the same."""
        return self.plan.name


@dataclass(eq=False, kw_only=True)
class DagRow(Row):
    """A DAG; `finished` takes it off the unfinished list, `unknown_type` names a task type nobody knows."""

    plan: DagPlan
    nodes: list[NodeRow]
    stage: int = 1
    finished: bool = False
    holds_lock: bool = False
    unknown_type: str | None = None

    @property
    def name(self) -> str:
        """Its name in lists."""
        return self.plan.name

    @property
    def node(self) -> NodeRow:
        """The node at the DAG's stage."""
        return self.nodes[self.stage - 1]
