"""Registered clusters and their agents; the health that the watcher last saw."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, extract, func, insert, select, update

from bot.core.health import Health, another_password
from bot.core.views import ClusterState
from bot.store.schema import agents, clusters, health


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster as registered. `secret` is the encrypted password; None means an empty root password.

    `interval_s` and `stall_after_s` are seconds; None follows the service's default.
    """

    name: str
    urls: tuple[str, ...]
    scope: str = "cluster"
    user: str = "root"
    secret: str | None = None
    channel: str | None = None
    interval_s: float | None = None
    stall_after_s: float | None = None
    runbook: str | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        """Leave the secret out, though it is encrypted."""
        return f"Registration({self.name!r}, {self.urls!r})"


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """A registered cluster with its identity in the database."""

    id: int
    registration: Registration
    paused: bool
    generation: int
    revision: int
    owner_epoch: int
    poll_wanted_at: datetime | None = None

    @property
    def name(self) -> str:
        """The unique name."""
        return self.registration.name


class HealthRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the last polls of a cluster came to.

    `checked_at` is the last time that an agent answered, `attempted_at` the last time that one was asked.
    """

    state: ClusterState = ClusterState.UNKNOWN
    tracking: Health = Health()
    agent: str | None = None
    error: str | None = None
    checked_at: datetime | None = None
    attempted_at: datetime | None = None


_COLUMNS = tuple(f for f in Registration.__struct_fields__ if f != "urls")


def add(connection: Connection, registration: Registration, now: datetime) -> int:
    """Store a new cluster and return its id; a duplicate name raises SQLAlchemy's IntegrityError."""
    values = {name: getattr(registration, name) for name in _COLUMNS}
    statement = insert(clusters).values(**values, created_at=now).returning(clusters.c.id)
    cluster_id: int = connection.execute(statement).scalar_one()
    _add_agents(connection, cluster_id, registration.urls)
    return cluster_id


def edit(connection: Connection, cluster_id: int, registration: Registration) -> None:
    """Replace what is registered; a running service picks it up by the raised revision."""
    values = {name: getattr(registration, name) for name in _COLUMNS}
    connection.execute(
        update(clusters).where(clusters.c.id == cluster_id).values(**values, revision=clusters.c.revision + 1)
    )
    connection.execute(delete(agents).where(agents.c.cluster_id == cluster_id))
    _add_agents(connection, cluster_id, registration.urls)


def set_secret(connection: Connection, cluster_id: int, secret: str | None, user: str) -> None:
    """Store a new password; the revision tells the service that it may try again."""
    connection.execute(
        update(clusters)
        .where(clusters.c.id == cluster_id)
        .values(secret=secret, user=user, revision=clusters.c.revision + 1)
    )


def set_paused(connection: Connection, cluster_id: int, *, paused: bool) -> None:
    """Stop or resume polling."""
    connection.execute(
        update(clusters)
        .where(clusters.c.id == cluster_id)
        .values(paused=paused, revision=clusters.c.revision + 1)
    )


def remove(connection: Connection, cluster_id: int) -> None:
    """Forget a cluster with all that is stored about it."""
    connection.execute(delete(clusters).where(clusters.c.id == cluster_id))


def want_poll(connection: Connection, cluster_id: int, now: datetime) -> None:
    """Ask the process that watches the cluster for a poll now."""
    connection.execute(update(clusters).where(clusters.c.id == cluster_id).values(poll_wanted_at=now))


def find(connection: Connection, name: str) -> Cluster | None:
    """Return the cluster of that name."""
    found = load(connection, name)
    return found[0] if found else None


def load(connection: Connection, name: str | None = None) -> list[Cluster]:
    """Return all clusters, or the one of that name, ordered by name."""
    query = select(clusters).order_by(clusters.c.name)
    urls = select(agents.c.cluster_id, agents.c.url).order_by(agents.c.cluster_id, agents.c.position)
    if name is not None:
        query = query.where(clusters.c.name == name)
        urls = urls.join(clusters).where(clusters.c.name == name)
    by_cluster: dict[int, list[str]] = {}
    for cluster_id, url in connection.execute(urls):
        by_cluster.setdefault(cluster_id, []).append(url)
    return [_cluster(row, by_cluster.get(row.id, [])) for row in connection.execute(query)]


def names(connection: Connection) -> list[str]:
    """Return the names of all clusters, sorted."""
    return list(connection.scalars(select(clusters.c.name).order_by(clusters.c.name)))


def fingerprint(connection: Connection) -> tuple[object, ...]:
    """Return a cheap value that changes whenever a cluster is added, edited, removed or asked for.

    The latest request alone would hide others: of a process whose clock is behind, or several at one instant.
    """
    c = clusters.c
    requests = func.max(c.poll_wanted_at), func.sum(extract("epoch", c.poll_wanted_at))
    query = select(func.count(), func.max(c.id), func.sum(c.revision), *requests)
    return tuple(connection.execute(query).one())


def health_of(connection: Connection, cluster_id: int) -> HealthRow:
    """Return what the last polls came to; the default before the first."""
    row = connection.execute(select(health).where(health.c.cluster_id == cluster_id)).one_or_none()
    return _health(row) if row else HealthRow()


def all_health(connection: Connection) -> dict[int, HealthRow]:
    """Return the health of all clusters that were ever polled."""
    return {row.cluster_id: _health(row) for row in connection.execute(select(health))}


def save_health(connection: Connection, cluster_id: int, row: HealthRow) -> None:
    """Store what a poll came to."""
    values = {
        "state": row.state.value,
        "tracking": msgspec.json.encode(row.tracking).decode(),
        "agent": row.agent,
        "error": row.error,
        "checked_at": row.checked_at,
        "attempted_at": row.attempted_at,
    }
    changed = connection.execute(update(health).where(health.c.cluster_id == cluster_id).values(**values))
    if changed.rowcount == 0:
        connection.execute(insert(health).values(cluster_id=cluster_id, **values))


def save_ages(connection: Connection, rows: Mapping[int, HealthRow]) -> None:
    """Store when clusters were last asked and last answered, and nothing else."""
    connection.execute(
        update(health)
        .where(health.c.cluster_id == bindparam("of_cluster"))
        .values(checked_at=bindparam("checked"), attempted_at=bindparam("attempted")),
        [
            {"of_cluster": i, "checked": row.checked_at, "attempted": row.attempted_at}
            for i, row in rows.items()
        ],
    )


def clear_trouble(connection: Connection, cluster_id: int) -> None:
    """Let a cluster whose password was refused be polled again."""
    row = health_of(connection, cluster_id)
    if row.state is ClusterState.AUTH_FAILED:
        cleared = msgspec.structs.replace(
            row, state=ClusterState.UNKNOWN, error=None, tracking=another_password(row.tracking)
        )
        save_health(connection, cluster_id, cleared)


def new_generation(connection: Connection, cluster_id: int) -> None:
    """Begin a new generation: the cluster was rebuilt and its ids start again."""
    connection.execute(
        update(clusters)
        .where(clusters.c.id == cluster_id)
        .values(generation=clusters.c.generation + 1, revision=clusters.c.revision + 1)
    )


def _add_agents(connection: Connection, cluster_id: int, urls: tuple[str, ...]) -> None:
    rows = [{"cluster_id": cluster_id, "position": i, "url": url} for i, url in enumerate(urls)]
    if rows:
        connection.execute(insert(agents), rows)


def _cluster(row: Row[*tuple[Any, ...]], urls: list[str]) -> Cluster:
    mapping = row._mapping  # noqa: SLF001 - SQLAlchemy's public way to read a row by name
    registration = Registration(urls=tuple(urls), **{name: mapping[name] for name in _COLUMNS})
    return Cluster(
        id=mapping["id"],
        registration=registration,
        paused=mapping["paused"],
        generation=mapping["generation"],
        revision=mapping["revision"],
        owner_epoch=mapping["owner_epoch"],
        poll_wanted_at=mapping["poll_wanted_at"],
    )


def _health(row: Row[*tuple[Any, ...]]) -> HealthRow:
    mapping = row._mapping  # noqa: SLF001 - as above
    return HealthRow(
        state=ClusterState(mapping["state"]),
        tracking=msgspec.json.decode(mapping["tracking"], type=Health),
        agent=mapping["agent"],
        error=mapping["error"],
        checked_at=mapping["checked_at"],
        attempted_at=mapping["attempted_at"],
    )
