"""The events of the product: one class per kind, complete enough to be rendered years later.

An event is stored in its outbox rows as JSON (`encode`, `decode`), with the log lines that belong to it, so
that delivery never asks an agent. `decode` refuses a kind that a newer release wrote with `UnknownEvent`:
such a row is left for a newer instance. New members therefore always have defaults.

`kind` is the tag; `ordinal` tells apart events of one kind within a run (a stage's position, a stall's
episode); both are part of `event_id`, the key by which one fact is told once.
"""

from datetime import datetime
from typing import ClassVar

import msgspec

from bot.core.dag import Operator, Outcome, State


class UnknownEvent(Exception):
    """A stored event has a kind or shape that this release does not know."""


class DagRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which DAG an event is about, and where it stood then."""

    cluster: str
    dag_id: str
    name: str
    run: int
    stage: int
    max_stage: int
    stage_name: str | None = None


class HostLines(msgspec.Struct, frozen=True, kw_only=True):
    """Log lines of one sub-task: verbatim, in order."""

    host: str | None
    lines: tuple[str, ...]
    sub_task_id: str = ""


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finished stage: how long it took, where, and what it logged."""

    position: int
    name: str
    operator: Operator = Operator.RUN
    duration_s: float | None = None
    hosts: tuple[str, ...] = ()
    logs: tuple[HostLines, ...] = ()
    attempts: int = 1


class SubTaskEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a sub-task looked like when something was wrong: in a stall, or when it failed.

    `attempt` counts from 1 in people's terms. `limit_left_s` is the time before the agent ends the sub-task
    by itself (3600 s after its start), when that is known.
    """

    host: str | None
    state: State
    attempt: int
    since: datetime | None = None
    error_code: str | None = None
    last_lines: tuple[str, ...] = ()
    limit_left_s: float | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all events have: when obdag noticed (`at`), and the version of the shape."""

    at: datetime
    version: int = 1

    is_failure: ClassVar[bool] = False
    """Failures go first when a channel is behind, and are rather repeated than lost."""
    broadcast: ClassVar[bool] = False
    """Shown in the channel too, not only in the thread."""

    @property
    def kind(self) -> str:
        """The product's word for this event."""
        return str(self.__struct_config__.tag)

    @property
    def ordinal(self) -> str:
        """What tells this event apart from others of its kind in the same run."""
        return "0"


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """What happened while nobody looked: the kind of an event, and the stages that it is about."""

    kind: str
    stages: tuple[int, ...] = ()


class DagEvent(Event, frozen=True, kw_only=True):
    """An event of one DAG.

    `away_s` is set on the first event of a look that came after nobody had looked for so many seconds; that
    event then names everything that was missed.
    """

    dag: DagRef
    away_s: float | None = None
    missed: tuple[Missed, ...] = ()


class Started(DagEvent, frozen=True, kw_only=True, tag="started"):
    """A DAG first seen at its first stage."""


class Discovered(DagEvent, frozen=True, kw_only=True, tag="discovered"):
    """A DAG first seen when it was already under way, or at the first poll of its cluster."""

    state: State = State.RUNNING
    operator: Operator = Operator.RUN


class StageAdvanced(DagEvent, frozen=True, kw_only=True, tag="stage_advanced"):
    """One or more stages finished since the last look."""

    finished: tuple[StageReport, ...]

    @property
    def ordinal(self) -> str:
        """Position of the last stage that finished."""
        return str(self.finished[-1].position)


class LateLines(DagEvent, frozen=True, kw_only=True, tag="late_lines"):
    """Log lines of a stage that arrived after its end was told, as after an outage of the database.

    `known` counts the lines of the stage that were told before.
    """

    position: int
    stage_name: str
    known: int
    logs: tuple[HostLines, ...]

    @property
    def ordinal(self) -> str:
        """Position of the stage, and how many of its lines were told before."""
        return f"{self.position}.{self.known}"


class Retried(DagEvent, frozen=True, kw_only=True, tag="retried"):
    """A new run of a DAG that had failed; `passed_stage` names a failed stage that an operator skipped."""

    passed_stage: str | None = None


class RollbackStarted(DagEvent, frozen=True, kw_only=True, tag="rollback_started"):
    """An operator asked for ROLLBACK."""


class Cancelling(DagEvent, frozen=True, kw_only=True, tag="cancelling"):
    """An operator asked for CANCEL."""


class Stalled(DagEvent, frozen=True, kw_only=True, tag="stalled"):
    """No progress for the stage's stall time while the cluster was observed."""

    episode: int
    quiet_s: float
    waiting: tuple[SubTaskEvidence, ...] = ()

    broadcast: ClassVar[bool] = True

    @property
    def ordinal(self) -> str:
        """Number of the stall."""
        return str(self.episode)


class Resumed(DagEvent, frozen=True, kw_only=True, tag="resumed"):
    """Progress after a stall."""

    episode: int
    quiet_s: float

    @property
    def ordinal(self) -> str:
        """Number of the stall that ended."""
        return str(self.episode)


class Failed(DagEvent, frozen=True, kw_only=True, tag="failed"):
    """A DAG is FAILED: in the list, or found so after it vanished.

    `operators` are those that make sense now (`RETRY`, `ROLLBACK`, `PASS`); the agent alone knows which it
    allows. `listed` is false when the DAG left the unfinished list by failing. `holding` are agents on which
    sub-DAGs of it stay behind, FAILED too, with the lock of their agent.
    """

    operator: Operator = Operator.RUN
    ended_at: datetime | None = None
    failures: tuple[SubTaskEvidence, ...] = ()
    operators: tuple[str, ...] = ()
    holds_lock: bool | None = None
    listed: bool = True
    holding: tuple[str, ...] = ()
    agent_url: str | None = None
    runbook: str | None = None

    is_failure: ClassVar[bool] = True
    broadcast: ClassVar[bool] = True

    @property
    def ordinal(self) -> str:
        """The instant at which the agent says it failed: a second failure of one run has another."""
        return self.ended_at.isoformat() if self.ended_at else "0"


class Reminder(DagEvent, frozen=True, kw_only=True, tag="reminder"):
    """A failed DAG still waits for an operator; `number` counts from 1, the gaps between them grow.

    `failed_at` is when obdag saw it FAILED.
    """

    number: int
    failed_at: datetime
    holds_lock: bool | None = None

    broadcast: ClassVar[bool] = True

    @property
    def ordinal(self) -> str:
        """Number of the reminder since this failure."""
        return f"{self.failed_at.isoformat()}.{self.number}"


class Finished(DagEvent, frozen=True, kw_only=True):
    """The end of a DAG; `total_s` is from the first sight or start to the end."""

    total_s: float | None = None
    outcome: ClassVar[Outcome]


class Succeeded(Finished, frozen=True, kw_only=True, tag="succeeded"):
    """Done; `undone` names stages that a half rollback undid and a retry never ran again."""

    undone: tuple[str, ...] = ()
    outcome: ClassVar[Outcome] = Outcome.SUCCEEDED


class RolledBack(Finished, frozen=True, kw_only=True, tag="rolled_back"):
    """Undone: the requested change did not happen."""

    outcome: ClassVar[Outcome] = Outcome.ROLLED_BACK


class Passed(Finished, frozen=True, kw_only=True, tag="passed"):
    """Skipped by an operator; some stages never ran."""

    outcome: ClassVar[Outcome] = Outcome.PASSED


class Cancelled(Finished, frozen=True, kw_only=True, tag="cancelled"):
    """Given up by an operator.

    `elsewhere` are hosts on which its work may still run; `holding` is as in `Failed`.
    """

    elsewhere: tuple[str, ...] = ()
    holding: tuple[str, ...] = ()
    outcome: ClassVar[Outcome] = Outcome.CANCELLED


class Forgotten(Finished, frozen=True, kw_only=True, tag="forgotten"):
    """The agent proves that it no longer knows the DAG, or the cluster was rebuilt."""

    reason: str = ""
    outcome: ClassVar[Outcome] = Outcome.FORGOTTEN


class ClusterEvent(Event, frozen=True, kw_only=True):
    """An event of a cluster's health; `episode` numbers its troubles."""

    cluster: str
    episode: int

    @property
    def ordinal(self) -> str:
        """Number of the trouble."""
        return str(self.episode)


class ClusterUnreachable(ClusterEvent, frozen=True, kw_only=True, tag="cluster_unreachable"):
    """No agent of the cluster answered three times in a row; `since` is the first failure."""

    since: datetime
    error: str
    agents: tuple[str, ...] = ()
    open_dags: tuple[str, ...] = ()

    broadcast: ClassVar[bool] = True


class ClusterDegraded(ClusterEvent, frozen=True, kw_only=True, tag="cluster_degraded"):
    """Agents answer, but cannot read the cluster's DAGs (its database is down).

    `local` tells that the agents' own DAGs are read on.
    """

    since: datetime
    error: str
    agents: tuple[str, ...] = ()
    open_dags: tuple[str, ...] = ()
    local: bool = False


class AuthFailed(ClusterEvent, frozen=True, kw_only=True, tag="auth_failed"):
    """An agent refused the password; polling has stopped until `set-password`."""

    agent: str
    error: str


class NotClusterAgent(ClusterEvent, frozen=True, kw_only=True, tag="not_cluster_agent"):
    """The agent is not a member of a running cluster (any more)."""

    agent: str
    identity: str | None = None
    error: str = ""


class ClusterRecovered(ClusterEvent, frozen=True, kw_only=True, tag="cluster_recovered"):
    """The end of a trouble; `was` is the kind of the event that told its beginning."""

    was: str
    since: datetime


class ClockSkewed(ClusterEvent, frozen=True, kw_only=True, tag="clock_skewed"):
    """An agent's clock differs from ours by more than 60 s, measured twice."""

    agent: str
    skew_s: float


class DigestLine(msgspec.Struct, frozen=True, kw_only=True):
    """One DAG in a digest."""

    dag: DagRef
    state: State
    operator: Operator = Operator.RUN


class Digest(ClusterEvent, frozen=True, kw_only=True, tag="digest"):
    """More than three DAGs at once at the first poll of a cluster: one message for all."""

    lines: tuple[DigestLine, ...]


DAG_EVENTS: tuple[type[DagEvent], ...] = (
    Started, Discovered, StageAdvanced, LateLines, Retried, RollbackStarted, Cancelling, Stalled, Resumed,
    Failed, Reminder, Succeeded, RolledBack, Passed, Cancelled, Forgotten,
)  # fmt: skip
CLUSTER_EVENTS: tuple[type[ClusterEvent], ...] = (
    ClusterUnreachable, ClusterDegraded, AuthFailed, NotClusterAgent, ClusterRecovered, ClockSkewed, Digest,
)  # fmt: skip

AnyEvent = (
    Started | Discovered | StageAdvanced | LateLines | Retried | RollbackStarted | Cancelling | Stalled
    | Resumed | Failed | Reminder | Succeeded | RolledBack | Passed | Cancelled | Forgotten
    | ClusterUnreachable | ClusterDegraded | AuthFailed | NotClusterAgent | ClusterRecovered | ClockSkewed
    | Digest
)  # fmt: skip

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> str:
    """Return the event as JSON."""
    return msgspec.json.encode(event).decode()


def decode(text: str) -> AnyEvent:
    """Return the event that `encode` wrote; raises `UnknownEvent` for one of a newer release."""
    try:
        return _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise UnknownEvent(f"a stored event cannot be read: {error}") from error


def event_id(cluster_id: int, generation: int, event: Event) -> str:
    """Return the key of a fact: cluster / generation / DAG / run / kind / ordinal."""
    subject = f"{event.dag.dag_id}/{event.dag.run}" if isinstance(event, DagEvent) else "-/0"
    return f"{cluster_id}/{generation}/{subject}/{event.kind}/{event.ordinal}"
