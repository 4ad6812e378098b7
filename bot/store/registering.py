"""Registering clusters: what must happen in one transaction."""

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from bot.core.views import ClusterState
from bot.store import clusters
from bot.store.clusters import Cluster, HealthRow, Registration


def add_new(connection: Connection, registration: Registration, now: datetime) -> bool:
    """Store a cluster unless its name is taken; return whether it was stored."""
    if clusters.find(connection, registration.name) is not None:
        return False
    clusters.add(connection, registration, now)
    return True


def overview(connection: Connection) -> list[tuple[Cluster, HealthRow]]:
    """Return all clusters by name, each with what its last polls came to."""
    healths = clusters.all_health(connection)
    return [(each, healths.get(each.id, HealthRow())) for each in clusters.load(connection)]


def renew_secret(connection: Connection, cluster_id: int, secret: str | None, user: str) -> None:
    """Store a new password, and forget that the old one was refused."""
    clusters.set_secret(connection, cluster_id, secret, user)
    clusters.clear_trouble(connection, cluster_id)


def remember_refusal(
    connection: Connection, cluster_id: int, *, agent: str, error: str, at: datetime
) -> None:
    """Store that an agent refused the password: nobody sends it again."""
    row = clusters.health_of(connection, cluster_id)
    refused = msgspec.structs.replace(
        row, state=ClusterState.AUTH_FAILED, agent=agent, error=error, attempted_at=at
    )
    clusters.save_health(connection, cluster_id, refused)
