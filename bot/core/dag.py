"""DAGs as an agent tells them: states, operators, stages, sub-tasks.

All values are frozen; all times are aware. The names follow the product: what the agent calls a *node* is
a `Stage` here (position 1..max), and times that an agent spells "not set" are `None`.
"""

from datetime import datetime
from enum import IntEnum, StrEnum

import msgspec


class State(StrEnum):
    """State of a DAG, stage or sub-task; `OTHER` is a word of a newer agent that we do not know."""

    PENDING = "PENDING"
    READY = "READY"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    SUCCEED = "SUCCEED"
    OTHER = "OTHER"


class Operator(StrEnum):
    """What is being done to a DAG, stage or sub-task; a DAG itself is never `RETRY`."""

    RUN = "RUN"
    RETRY = "RETRY"
    ROLLBACK = "ROLLBACK"
    CANCEL = "CANCEL"
    PASS = "PASS"  # noqa: S105 - the agent's word for "skip", not a password
    OTHER = "OTHER"


class Maintenance(IntEnum):
    """Which lock a DAG takes (`maintenance_type`); agents before 4.3.1.0 do not say."""

    UNKNOWN = 0
    NONE = 1
    GLOBAL = 2
    TENANT = 3
    OBPROXY = 4


class Outcome(StrEnum):
    """How a run ended, in the product's words."""

    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    PASSED = "passed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    FORGOTTEN = "forgotten"


class Host(msgspec.Struct, frozen=True, order=True):
    """The agent that executes a sub-task."""

    ip: str
    port: int

    def __str__(self) -> str:
        """Return `ip:port`, with the brackets that an IPv6 address needs."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


class SubTask(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a stage, run by one host.

    `lines` mixes all runs since creation and is `None` while the sub-task waits, even if it logged before.
    `line_attempts` says beside each line which attempt wrote it, where the agent told its log as rows; None
    where the lines came with the DAG, without a number. `attempts` is the agent's `execute_times`: +1 per
    dispatch, so a retry adds two (undo, then run).
    """

    id: str
    name: str
    state: State
    operator: Operator = Operator.RUN
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    host: Host | None = None
    lines: tuple[str, ...] | None = None
    line_attempts: tuple[int, ...] | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the DAG at its position."""

    position: int
    id: str
    name: str
    state: State
    operator: Operator = Operator.RUN
    started_at: datetime | None = None
    ended_at: datetime | None = None
    sub_tasks: tuple[SubTask, ...] = ()


class DagSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One DAG in one answer of an agent; `stages` is `None` in an answer without details."""

    id: str
    name: str
    stage: int
    max_stage: int
    state: State
    operator: Operator
    started_at: datetime | None = None
    ended_at: datetime | None = None
    maintenance: Maintenance = Maintenance.UNKNOWN
    maintenance_key: str = ""
    main_dag_id: str | None = None
    stages: tuple[Stage, ...] | None = None

    def stage_at(self, position: int) -> Stage | None:
        """Return the stage at a position counted from 1, or None when this answer does not hold it."""
        if self.stages is None or not 1 <= position <= len(self.stages):
            return None
        return self.stages[position - 1]

    @property
    def current(self) -> Stage | None:
        """The stage that the DAG stands at, if this answer has details."""
        return self.stage_at(self.stage)

    @property
    def stage_name(self) -> str | None:
        """Name of the stage that the DAG stands at, if known."""
        return stage.name if (stage := self.current) else None


TERMINAL: dict[tuple[State, Operator], Outcome] = {
    (State.SUCCEED, Operator.RUN): Outcome.SUCCEEDED,
    (State.SUCCEED, Operator.ROLLBACK): Outcome.ROLLED_BACK,
    (State.SUCCEED, Operator.PASS): Outcome.PASSED,
    (State.FAILED, Operator.CANCEL): Outcome.CANCELLED,
    (State.FAILED, Operator.RUN): Outcome.FAILED,
    (State.FAILED, Operator.ROLLBACK): Outcome.FAILED,
}
"""The terminal reading of a DAG's (state, operator); anything else is under way."""


def reading(snapshot: DagSnapshot) -> Outcome | None:
    """Return what a DAG's state and operator mean for people, or None while it is under way."""
    return TERMINAL.get((snapshot.state, snapshot.operator))


def undone_stages(snapshot: DagSnapshot) -> tuple[str, ...]:
    """Return the names of stages whose work is undone although the DAG says SUCCEED/RUN.

    A RETRY after a half rollback never runs the undone stages again (recording `retry-after-half-rollback`).
    """
    if reading(snapshot) is not Outcome.SUCCEEDED:
        return ()
    return tuple(s.name for s in snapshot.stages or () if s.operator is Operator.ROLLBACK)
