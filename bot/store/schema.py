"""The tables, declared once; `migrations/` must lead to exactly this (a test compares the two).

Times are aware UTC in Python and naive UTC in the database (`UtcDateTime`): SQLite keeps no zone. Values of
`core` are stored as JSON text where nothing queries inside them.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept as UTC; a naive one is a bug and refused."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to naive UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value!r}: all times are aware")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


class ForeignText(TypeDecorator[str]):
    """Text that an agent wrote: PostgreSQL holds no NUL, so its picture stands for it (in SQLite too)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace each NUL by U+2400."""
        del dialect
        return value.replace("\0", "\u2400") if value is not None else None


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _reference(name: str, target: str, **options: Any) -> Column[int]:
    return Column(name, Integer, ForeignKey(target, ondelete="CASCADE"), **options)


clusters = Table(
    "clusters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("scope", String(16), nullable=False, server_default="cluster"),
    Column("user", String(16), nullable=False, server_default="root"),
    Column("secret", Text),
    Column("channel", String(64)),
    Column("interval_s", Float),
    Column("stall_after_s", Float),
    Column("runbook", Text),
    Column("ca_file", Text),
    Column("client_cert", Text),
    Column("client_key", Text),
    Column("insecure", Boolean, nullable=False, server_default=false()),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("created_at", UtcDateTime, nullable=False),
    # Raised by every edit: a running service sees that its copy is old.
    Column("revision", Integer, nullable=False, server_default=text("1")),
    # A person asked for a poll now; the owner compares it with health.checked_at.
    Column("poll_wanted_at", UtcDateTime),
    # Which process watches the cluster; a save of an owner of the past is refused by the epoch.
    Column("owner", String(64)),
    Column("owner_epoch", Integer, nullable=False, server_default=text("0")),
    # Ids are never used again: the keys of events begin with them.
    sqlite_autoincrement=True,
)

agents = Table(
    "agents",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("cluster_id", "clusters.id", nullable=False),
    Column("position", Integer, nullable=False),
    Column("url", Text, nullable=False),
    UniqueConstraint("cluster_id", "url"),
)

health = Table(
    "health",
    metadata,
    _reference("cluster_id", "clusters.id", primary_key=True, autoincrement=False),
    Column("state", String(32), nullable=False),
    # JSON of core.health.Health: what has been told of the present trouble.
    Column("tracking", Text, nullable=False),
    Column("agent", Text),
    Column("error", ForeignText),
    Column("checked_at", UtcDateTime),
    Column("attempted_at", UtcDateTime),
)

dags = Table(
    "dags",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("cluster_id", "clusters.id", nullable=False),
    Column("generation", Integer, nullable=False),
    Column("dag_id", String(80), nullable=False),
    Column("name", ForeignText, nullable=False),
    Column("max_stage", Integer, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("run", Integer, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("outcome", String(16)),
    Column("closed_at", UtcDateTime),
    # Raised by every save; a save that saw an older version is dropped.
    Column("version", Integer, nullable=False),
    # JSON of core.tracker.TrackedDag without its snapshot, which stands in `runs`.
    Column("tracking", Text, nullable=False),
    UniqueConstraint("cluster_id", "generation", "dag_id"),
    Index("ix_dags_open", "cluster_id", "closed_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("dag", "dags.id", nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("outcome", String(16)),
    # JSON of core.dag.DagSnapshot: the last seen state of this run.
    Column("snapshot", Text, nullable=False),
    UniqueConstraint("dag", "number"),
)

stage_runs = Table(
    "stage_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("run", "runs.id", nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", ForeignText, nullable=False),
    Column("operator", String(16), nullable=False),
    Column("duration_s", Float),
    # JSON list of `ip:port`.
    Column("hosts", Text, nullable=False),
    UniqueConstraint("run", "position"),
)

log_lines = Table(
    "log_lines",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("dag", "dags.id", nullable=False),
    Column("run", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("sub_task_id", String(80), nullable=False),
    Column("host", Text),
    Column("line", ForeignText, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Index("ix_log_lines_dag", "dag", "position"),
)

threads = Table(
    "threads",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("cluster_id", "clusters.id", nullable=False),
    # The root message of a DAG is a projection of its stored state, posted and edited when `wanted_version`
    # is ahead of `sent_version`. A thread of a cluster's trouble has no DAG: its first post starts it.
    _reference("dag", "dags.id"),
    Column("episode", String(64)),
    Column("channel", String(64), nullable=False),
    Column("ts", String(32)),
    Column("wanted_version", Integer, nullable=False, server_default=text("0")),
    Column("sent_version", Integer, nullable=False, server_default=text("0")),
    Column("notice_id", String(32), nullable=False),
    # Set, durably, before the root is sent; found set after a restart, the send was interrupted.
    Column("sending_since", UtcDateTime),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error", Text),
    UniqueConstraint("dag", "channel"),
    UniqueConstraint("episode", "channel"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("event_id", String(200), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("part", String(64), nullable=False),
    _reference("thread", "threads.id", nullable=False),
    # JSON of the event, with its log lines: delivery never asks an agent.
    Column("event", Text, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("broadcast", Boolean, nullable=False),
    # pending, sent, refused
    Column("state", String(16), nullable=False),
    Column("notice_id", String(32), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sending_since", UtcDateTime),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error", Text),
    Column("ts", String(32)),
    Column("settled_at", UtcDateTime),
    UniqueConstraint("event_id", "channel", "part"),
    Index("ix_outbox_thread", "state", "thread", "id"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Integer, primary_key=True),
    # A cluster's name, or `*` for all.
    Column("cluster", String(63), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("level", String(16), nullable=False, server_default="all"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(64), nullable=False),
    UniqueConstraint("cluster", "channel"),
)
