"""What is unfinished now, and one DAG with its logs, from the stored state."""

from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches

from bot.core.logs import LogLine
from bot.core.routing import destinations
from bot.core.views import ClusterView, DagView
from bot.store import clusters as cluster_rows
from bot.store import subscriptions, views
from bot.store.engine import Store
from bot.usecases.errors import UnknownCluster, UnknownDag

KNOWN_SHOWN = 20


async def unfinished(
    store: Store,
    *,
    now: datetime,
    cluster: str | None = None,
    channel: str | None = None,
    default_channel: str | None = None,
) -> tuple[ClusterView, ...]:
    """Return clusters with their unfinished DAGs, by name.

    All clusters; or the one named (a unique beginning of its name will do), else `UnknownCluster`; or, for
    somebody who asks in a channel, those that the channel hears of, and all when it hears of none.
    """
    if cluster is not None:
        name = await resolve(store, cluster)
        return tuple(await store.read(views.unfinished, now, [name]))
    if channel is None:
        return tuple(await store.read(views.unfinished, now))
    heard = await _heard_in(store, channel, default_channel)
    return tuple(await store.read(views.unfinished, now, heard or None))


async def dag(store: Store, *, now: datetime, cluster: str, dag_id: str) -> DagView:
    """Return one DAG, finished or not; raises `UnknownCluster` or `UnknownDag`."""
    name = await resolve(store, cluster)
    found = await store.read(views.find_dag, name, dag_id, now)
    if found is None:
        raise await _unknown_dag(store, name, dag_id, now)
    return found


async def log_lines(
    store: Store, *, now: datetime, cluster: str, dag_id: str, stage: int | None = None
) -> list[LogLine]:
    """Return the stored log lines of a DAG, or of one of its stages; raises as `dag`."""
    name = await resolve(store, cluster)
    pk = await store.read(views.dag_pk, name, dag_id)
    if pk is None:
        raise await _unknown_dag(store, name, dag_id, now)
    return await store.read(views.log_of, pk, stage)


async def resolve(store: Store, asked: str) -> str:
    """Return the full name of the cluster that was meant; raises `UnknownCluster`."""
    names = await store.read(cluster_rows.names)
    wanted = asked.lower()
    if wanted in names:
        return wanted
    beginning = [name for name in names if name.startswith(wanted)]
    if len(beginning) == 1:
        return beginning[0]
    near = tuple(beginning or get_close_matches(wanted, names, n=3))[:3]
    raise UnknownCluster(asked, near=near, known=tuple(names[:KNOWN_SHOWN]))


async def _heard_in(store: Store, channel: str, default_channel: str | None) -> list[str]:
    subscribed = await store.read(subscriptions.load)
    return [
        cluster.name
        for cluster in await store.read(cluster_rows.load)
        if channel in destinations(cluster.name, cluster.registration.channel, default_channel, subscribed)
    ]


async def _unknown_dag(store: Store, cluster: str, dag_id: str, now: datetime) -> UnknownDag:
    open_views: Iterable[ClusterView] = await store.read(views.unfinished, now, [cluster])
    known = tuple(view.snapshot.id for c in open_views for view in c.dags)
    return UnknownDag(cluster, dag_id, known=known)
