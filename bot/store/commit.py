"""The one transaction of a poll: state, notices and wanted root messages together, or nothing.

A crash before the commit makes the next poll observe the same again; a crash after it leaves notices that
delivery finds. There is no moment in between.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import Connection, select

from bot.core.events import ClusterEvent, Digest, Event, event_id
from bot.core.routing import Level, destinations, hears
from bot.core.tracked import Observation
from bot.store import dags as dag_rows
from bot.store import outbox, subscriptions
from bot.store import threads as thread_rows
from bot.store.clusters import Cluster, HealthRow, new_generation, save_health
from bot.store.dags import StoredDag
from bot.store.schema import clusters


class LostOwnership(Exception):
    """The cluster was removed, or another process watches it now: nothing of this poll was stored."""


class PollResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll came to. `observations` holds only DAGs with something to store, by DAG id.

    `rebuilt` says that the cluster is another one than before: a new generation of DAGs begins.
    """

    at: datetime
    health: HealthRow
    observations: dict[str, Observation] = {}
    cluster_events: tuple[ClusterEvent, ...] = ()
    out_of_sight_changed: bool = False
    rebuilt: bool = False


def commit_poll(
    connection: Connection,
    cluster: Cluster,
    remembered: Mapping[str, StoredDag],
    result: PollResult,
    default_channel: str | None,
) -> dict[str, StoredDag]:
    """Store a poll; return the DAGs as they are remembered now.

    Raises `LostOwnership` or `StaleSave`, and then stores nothing.
    """
    _check_owner(connection, cluster)
    channels = destinations(
        cluster.name, cluster.registration.channel, default_channel, subscriptions.load(connection)
    )
    saved = {
        dag_id: _commit_dag(connection, cluster, remembered.get(dag_id), observation, channels, result.at)
        for dag_id, observation in result.observations.items()
    }
    for event in result.cluster_events:
        _tell_cluster(connection, cluster, event, channels, result.at)
    if result.out_of_sight_changed:
        thread_rows.want_cluster(connection, cluster.id)
    save_health(connection, cluster.id, result.health)
    if result.rebuilt:
        new_generation(connection, cluster.id)
    return saved


def _check_owner(connection: Connection, cluster: Cluster) -> None:
    """Make sure that the cluster is ours, and registered as it was when the poll began.

    A poll with a password that was replaced meanwhile must not store the old one's refusal.
    """
    query = (
        select(clusters.c.owner_epoch, clusters.c.revision)
        .where(clusters.c.id == cluster.id)
        .with_for_update()
    )
    row = connection.execute(query).one_or_none()
    if row is None or tuple(row) != (cluster.owner_epoch, cluster.revision):
        raise LostOwnership(f"cluster {cluster.name} was edited or removed, or another process watches it")


def _commit_dag(
    connection: Connection,
    cluster: Cluster,
    stored: StoredDag | None,
    observation: Observation,
    channels: Mapping[str, Level],
    at: datetime,
) -> StoredDag:
    saved = dag_rows.save(
        connection,
        cluster_id=cluster.id,
        generation=cluster.generation,
        stored=stored,
        observation=observation,
        at=at,
    )
    for channel, event in _told(observation.events, channels):
        thread_id = thread_rows.of_dag(connection, cluster.id, saved.pk, channel, at)
        key = event_id(cluster.id, cluster.generation, event)
        outbox.add(connection, event=event, event_id=key, channel=channel, thread_id=thread_id, now=at)
    if observation.changed:
        thread_rows.want(connection, [saved.pk])
    return saved


def _tell_cluster(
    connection: Connection, cluster: Cluster, event: ClusterEvent, channels: Mapping[str, Level], at: datetime
) -> None:
    key = event_id(cluster.id, cluster.generation, event)
    subject = "digest" if isinstance(event, Digest) else "trouble"
    episode = f"{cluster.id}/{cluster.generation}/{subject}/{event.episode}"
    for channel, _ in _told((event,), channels):
        thread_id = thread_rows.of_episode(connection, cluster.id, episode, channel, at)
        outbox.add(connection, event=event, event_id=key, channel=channel, thread_id=thread_id, now=at)


def _told(events: Iterable[Event], channels: Mapping[str, Level]) -> list[tuple[str, Event]]:
    return [(channel, e) for channel, level in channels.items() for e in events if hears(level, e)]
