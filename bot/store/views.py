"""What people look at, from the stored state."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from bot.core.ids import is_local
from bot.core.logs import LogLine
from bot.core.tracked import TrackedDag
from bot.core.views import ClusterState, ClusterView, DagView
from bot.store.clusters import Cluster, HealthRow, all_health, load
from bot.store.dags import decode
from bot.store.schema import clusters, dags, health, log_lines, runs

_UNSEEN = frozenset(
    state.value
    for state in (
        ClusterState.DEGRADED,
        ClusterState.UNREACHABLE,
        ClusterState.AUTH_FAILED,
        ClusterState.NOT_CLUSTER_AGENT,
    )
)

LOCAL_UNSEEN = timedelta(minutes=2)
"""The sight of an agent's own DAG is stored every half minute: this much later it is out of sight."""


def dag_view(connection: Connection, dag_pk: int, now: datetime) -> DagView | None:
    """Return one DAG by its row, or None when it is gone."""
    row = connection.execute(_dags().where(dags.c.id == dag_pk)).one_or_none()
    return _view(row, now) if row else None


def find_dag(connection: Connection, cluster: str, dag_id: str, now: datetime) -> DagView | None:
    """Return a cluster's DAG of the newest generation, finished or not."""
    query = (
        _dags()
        .where(clusters.c.name == cluster, dags.c.dag_id == dag_id)
        .order_by(dags.c.generation.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return _view(row, now) if row else None


def unfinished(
    connection: Connection, now: datetime, names: Iterable[str] | None = None
) -> list[ClusterView]:
    """Return clusters with the DAGs that their agents listed last, oldest first."""
    chosen = None if names is None else set(names)
    healths = all_health(connection)
    listed: dict[str, list[DagView]] = {}
    query = _dags().where(dags.c.listed, dags.c.closed_at.is_(None)).order_by(dags.c.first_seen_at, dags.c.id)
    for row in connection.execute(query):
        if chosen is None or row.cluster in chosen:
            listed.setdefault(row.cluster, []).append(_view(row, now))
    return [
        cluster_view(cluster, healths.get(cluster.id, HealthRow()), tuple(listed.get(cluster.name, ())))
        for cluster in load(connection)
        if chosen is None or cluster.name in chosen
    ]


def cluster_view(cluster: Cluster, row: HealthRow, dag_views: tuple[DagView, ...] = ()) -> ClusterView:
    """Return a cluster as people see it."""
    return ClusterView(
        name=cluster.name,
        state=ClusterState.PAUSED if cluster.paused else row.state,
        agent=row.agent,
        checked_at=row.checked_at,
        error=row.error,
        channel=cluster.registration.channel,
        dags=dag_views,
    )


def log_of(connection: Connection, dag_pk: int, position: int | None = None) -> list[LogLine]:
    """Return the stored log lines of a DAG by stage, in the order in which they were seen."""
    query = select(log_lines.c.position, log_lines.c.sub_task_id, log_lines.c.host, log_lines.c.line).where(
        log_lines.c.dag == dag_pk
    )
    if position is not None:
        query = query.where(log_lines.c.position == position)
    rows = connection.execute(query.order_by(log_lines.c.position, log_lines.c.id))
    return [LogLine(position=p, sub_task_id=t, host=h, line=text) for p, t, h, text in rows]


def dag_pk(connection: Connection, cluster: str, dag_id: str) -> int | None:
    """Return the row of a cluster's DAG of the newest generation."""
    query = (
        select(dags.c.id)
        .join(clusters, clusters.c.id == dags.c.cluster_id)
        .where(clusters.c.name == cluster, dags.c.dag_id == dag_id)
        .order_by(dags.c.generation.desc())
        .limit(1)
    )
    return connection.scalar(query)


def _dags() -> Select[*tuple[Any, ...]]:
    return (
        select(
            dags.c.id,
            dags.c.tracking,
            dags.c.closed_at,
            runs.c.snapshot.label("last_seen"),
            clusters.c.name.label("cluster"),
            health.c.state.label("health"),
            health.c.checked_at,
            health.c.attempted_at,
        )
        .join(runs, (runs.c.dag == dags.c.id) & (runs.c.number == dags.c.run))
        .join(clusters, clusters.c.id == dags.c.cluster_id)
        .outerjoin(health, health.c.cluster_id == dags.c.cluster_id)
    )


def _view(row: Row[*tuple[Any, ...]], now: datetime) -> DagView:
    tracked = decode(row.tracking, row.last_seen)
    seen_at, unseen = _last_sight(row, tracked)
    checked_at = row.closed_at or seen_at
    return DagView(
        cluster=row.cluster,
        snapshot=tracked.snapshot,
        run=tracked.run,
        outcome=tracked.ending,
        stalled=tracked.stalled,
        quiet_s=tracked.quiet_s,
        first_seen_at=tracked.first_seen_at,
        checked_at=checked_at,
        elapsed_s=elapsed_s(tracked, row.closed_at, now),
        unknown_since=checked_at if unseen and row.closed_at is None else None,
    )


def _last_sight(row: Row[*tuple[Any, ...]], tracked: TrackedDag) -> tuple[datetime, bool]:
    """Return when an open DAG was last seen, and whether its state is unknown since then.

    An agent's own DAG is seen while that agent answers, whatever the state of the cluster.
    """
    if not is_local(tracked.snapshot.id):
        return row.checked_at or tracked.observed_at, row.health in _UNSEEN
    asked_at = row.attempted_at or tracked.observed_at
    return tracked.observed_at, asked_at - tracked.observed_at > LOCAL_UNSEEN


def elapsed_s(tracked: TrackedDag, closed_at: datetime | None, now: datetime) -> float:
    """Return the seconds from the start (or the first sight) to the end, or to now."""
    start, end = tracked.first_started_at, tracked.snapshot.ended_at
    if closed_at is not None and start is not None and end is not None and end >= start:
        return (end - start).total_seconds()
    began = tracked.began_at or tracked.first_seen_at
    return max(0.0, ((closed_at or now) - began).total_seconds())
