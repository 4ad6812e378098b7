"""DAGs, their runs, stages and log lines: loading what is remembered, saving what was observed."""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Row, insert, or_, select, update

from bot.core.dag import DagSnapshot, Outcome
from bot.core.events import DagEvent, StageAdvanced, StageReport
from bot.core.logs import new_lines
from bot.core.tracked import Observation, TrackedDag
from bot.store.schema import dags, log_lines, runs, stage_runs
from bot.store.upsert import upsert


class StaleSave(Exception):
    """Another process saved the DAG since it was loaded: the poll is dropped, the next one observes anew."""


class StoredDag(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG as remembered, with its identity in the database."""

    pk: int
    version: int
    tracked: TrackedDag


_LOADED = select(
    dags.c.id, dags.c.dag_id, dags.c.version, dags.c.tracking, runs.c.snapshot.label("last_seen")
).join(runs, (runs.c.dag == dags.c.id) & (runs.c.number == dags.c.run))


def load_open(
    connection: Connection, cluster_id: int, generation: int, ids: Collection[str] = ()
) -> dict[str, StoredDag]:
    """Return the DAGs of a cluster that are not closed, and those of the given ids, by DAG id."""
    is_open = dags.c.closed_at.is_(None)
    query = _LOADED.where(
        dags.c.cluster_id == cluster_id,
        dags.c.generation == generation,
        or_(is_open, dags.c.dag_id.in_(sorted(ids))) if ids else is_open,
    )
    return {row.dag_id: _stored(row) for row in connection.execute(query)}


def load_given_up(connection: Connection, cluster_id: int, generation: int) -> dict[str, StoredDag]:
    """Return the DAGs that are closed without being through, failed or cancelled: somebody may go on."""
    query = _LOADED.where(
        dags.c.cluster_id == cluster_id,
        dags.c.generation == generation,
        dags.c.closed_at.is_not(None),
        dags.c.outcome.in_([Outcome.FAILED.value, Outcome.CANCELLED.value]),
    )
    return {row.dag_id: _stored(row) for row in connection.execute(query)}


def stored_ids(connection: Connection, cluster_id: int, generation: int) -> set[str]:
    """Return the ids of all DAGs of a cluster that were ever stored."""
    query = select(dags.c.dag_id).where(dags.c.cluster_id == cluster_id, dags.c.generation == generation)
    return set(connection.scalars(query))


def save(
    connection: Connection,
    *,
    cluster_id: int,
    generation: int,
    stored: StoredDag | None,
    observation: Observation,
    at: datetime,
) -> StoredDag:
    """Store what was observed of one DAG; raises `StaleSave` when somebody else was quicker."""
    tracked = observation.tracked
    values = {
        "name": tracked.snapshot.name,
        "max_stage": tracked.snapshot.max_stage,
        "run": tracked.run,
        "listed": tracked.listed,
        "outcome": tracked.outcome.value if tracked.outcome else None,
        "closed_at": at if tracked.closed else None,
        "tracking": _encode(tracked),
    }
    if stored is None:
        key = {"cluster_id": cluster_id, "generation": generation, "dag_id": tracked.snapshot.id}
        saved = _insert(connection, {**key, **values}, tracked)
    else:
        saved = _update(connection, values, stored, tracked)
    _save_run(connection, saved.pk, tracked)
    _save_lines(connection, saved.pk, stored.tracked.snapshot if stored else None, tracked, at)
    for event in observation.events:
        _save_reports(connection, saved.pk, event)
    return saved


def _insert(connection: Connection, values: dict[str, object], tracked: TrackedDag) -> StoredDag:
    statement = (
        insert(dags).values(**values, first_seen_at=tracked.first_seen_at, version=1).returning(dags.c.id)
    )
    return StoredDag(pk=connection.execute(statement).scalar_one(), version=1, tracked=tracked)


def _update(
    connection: Connection, values: dict[str, object], stored: StoredDag, tracked: TrackedDag
) -> StoredDag:
    version = stored.version + 1
    result = connection.execute(
        update(dags)
        .where(dags.c.id == stored.pk, dags.c.version == stored.version)
        .values(**values, version=version)
    )
    if result.rowcount != 1:
        raise StaleSave(f"DAG {tracked.snapshot.id} was saved by another process meanwhile")
    return StoredDag(pk=stored.pk, version=version, tracked=tracked)


def _save_run(connection: Connection, pk: int, tracked: TrackedDag) -> None:
    ended = tracked.snapshot.ended_at if tracked.outcome else None
    upsert(
        connection,
        runs,
        key={"dag": pk, "number": tracked.run},
        values={
            "started_at": tracked.snapshot.started_at,
            "ended_at": ended,
            "outcome": tracked.outcome.value if tracked.outcome else None,
            "snapshot": msgspec.json.encode(tracked.snapshot).decode(),
        },
    )


def _save_lines(
    connection: Connection, pk: int, old: DagSnapshot | None, tracked: TrackedDag, at: datetime
) -> None:
    rows = [
        {"dag": pk, "run": tracked.run, "seen_at": at, **msgspec.structs.asdict(line)}
        for line in new_lines(old, tracked.snapshot)
    ]
    if rows:
        connection.execute(insert(log_lines), rows)


def _save_reports(connection: Connection, pk: int, event: DagEvent) -> None:
    if not isinstance(event, StageAdvanced):
        return
    run = select(runs.c.id).where(runs.c.dag == pk, runs.c.number == event.dag.run).scalar_subquery()
    run_id = connection.execute(select(run)).scalar_one()
    for report in event.finished:
        _save_report(connection, run_id, report)


def _save_report(connection: Connection, run_id: int, report: StageReport) -> None:
    upsert(
        connection,
        stage_runs,
        key={"run": run_id, "position": report.position},
        values={
            "name": report.name,
            "operator": report.operator.value,
            "duration_s": report.duration_s,
            "hosts": msgspec.json.encode(report.hosts).decode(),
        },
    )


def _encode(tracked: TrackedDag) -> str:
    """Return the memory of a DAG as JSON, without its snapshot: that stands in its run."""
    members = msgspec.structs.asdict(tracked)
    del members["snapshot"]
    return msgspec.json.encode(members).decode()


def decode(tracking: str, snapshot: str) -> TrackedDag:
    """Return the memory of a DAG from its two columns."""
    members = msgspec.json.decode(tracking)
    members["snapshot"] = msgspec.json.decode(snapshot)
    return msgspec.convert(members, TrackedDag, strict=False)


def _stored(row: Row[int, str, int, str, str]) -> StoredDag:
    return StoredDag(pk=row.id, version=row.version, tracked=decode(row.tracking, row.last_seen))
