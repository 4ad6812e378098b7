"""Asking the agents from the command line: only when no service runs, and nothing is stored of it.

Except one thing: a refused password, which nobody may send again.
"""

import asyncio
from datetime import datetime, timedelta

from bot.cli.session import Office
from bot.core.dag import DagSnapshot
from bot.core.health import STATE_OF, Trouble
from bot.core.stall import Policy
from bot.core.tracked import Sight, TrackedDag
from bot.core.tracker import observe
from bot.core.views import ClusterState, ClusterView, DagView
from bot.obshell.client import AgentClient
from bot.obshell.errors import Gone
from bot.store import clusters as cluster_rows
from bot.store import dags as dag_rows
from bot.store import views
from bot.store.clusters import Cluster, Registration
from bot.usecases.clusters import open_client, remember_refusal
from bot.usecases.errors import Invalid, UnknownDag
from bot.watch.reading import Reader
from bot.watch.routes import AllRoutesFailed, CannotConnect, Routes

AT_ONCE = 16
"""So many clusters are asked at the same time."""


async def unfinished(office: Office, shown: tuple[ClusterView, ...]) -> tuple[ClusterView, ...]:
    """Return the stored views of clusters, brought up to date by their agents."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(view: ClusterView) -> ClusterView:
        cluster = await office.store.read(cluster_rows.find, view.name)
        if cluster is None or not _may_ask(view):
            return view
        async with turn:
            return await _ask(office, cluster, view)

    return tuple(await asyncio.gather(*map(one, shown)))


async def dag(office: Office, cluster_name: str, dag_id: str) -> DagView | None:
    """Return one DAG as an agent tells it now, or None when only the stored state can be shown.

    By id an agent is asked only for what an agent named before, or for an id that says "of the cluster" (its
    first digit is 1): it would call the address inside another. And only while its database is up, since
    agents without one ask each other in circles (recording `dag-by-id-without-database`).
    """
    now = office.registry.clock()
    stored = {view.name: view for view in await office.store.read(views.unfinished, now, [cluster_name])}
    fresh = await unfinished(office, tuple(stored.values()))
    found = next((d for view in fresh for d in view.dags if d.snapshot.id == dag_id), None)
    if found is not None or not fresh or fresh[0].state is not ClusterState.OK:
        return found
    known = await office.store.read(views.dag_pk, cluster_name, dag_id) is not None
    cluster = await office.store.read(cluster_rows.find, cluster_name)
    if cluster is None or fresh[0].agent is None or not (known or dag_id.startswith("1")):
        return None
    open_ids = tuple(d.snapshot.id for d in fresh[0].dags)
    return await _by_id(office, cluster, fresh[0].agent, dag_id, open_ids)


async def _by_id(
    office: Office, cluster: Cluster, agent: str, dag_id: str, open_ids: tuple[str, ...]
) -> DagView | None:
    async with open_client(office.registry, cluster.registration, agent) as client:
        if not dag_id.isascii() or not dag_id.isdigit() or not (await client.status()).database_usable:
            return None
        try:
            snapshot = await client.dag(dag_id)
        except Gone:
            raise UnknownDag(cluster.name, dag_id, known=open_ids) from None
        now = office.registry.clock()
        tracked = await _tracked(office, cluster, (dag_id,))
        return _view(cluster, client, snapshot, tracked.get(dag_id), now, listed=False)


def _may_ask(view: ClusterView) -> bool:
    """Return whether the agents may be asked: not when polling is paused, or the password was refused."""
    return view.state not in {ClusterState.PAUSED, ClusterState.AUTH_FAILED}


async def _ask(office: Office, cluster: Cluster, view: ClusterView) -> ClusterView:
    registration = cluster.registration
    reader = Reader(Routes(registration.urls, lambda url: _client(office, registration, url)))
    try:
        reading = await reader.read()
    except AllRoutesFailed as failed:
        failure = failed.failure
        if failure.trouble is Trouble.AUTH:
            await remember_refusal(office.registry, cluster, failure.agent, failure.error)
        return _troubled(view, STATE_OF[failure.trouble], failure.error)
    finally:
        await reader.routes.close()
    now = office.registry.clock()
    client, snapshots = reading.route.client, reading.snapshots
    tracked = await _tracked(office, cluster, tuple(s.id for s in snapshots))
    dags = tuple(_view(cluster, client, s, tracked.get(s.id), now, listed=True) for s in snapshots)
    return ClusterView(
        name=cluster.name,
        state=ClusterState.OK,
        agent=str(client.url),
        checked_at=now,
        channel=view.channel,
        dags=tuple(sorted(dags, key=lambda each: (each.first_seen_at, each.snapshot.id))),
    )


def _client(office: Office, registration: Registration, url: str) -> AgentClient:
    try:
        return open_client(office.registry, registration, url)
    except Invalid as error:
        raise CannotConnect(str(error)) from error


def _troubled(view: ClusterView, state: ClusterState, error: str) -> ClusterView:
    return ClusterView(
        name=view.name,
        state=state,
        agent=view.agent,
        checked_at=view.checked_at,
        error=error,
        channel=view.channel,
        dags=view.dags,
    )


async def _tracked(office: Office, cluster: Cluster, ids: tuple[str, ...]) -> dict[str, TrackedDag]:
    stored = await office.store.read(dag_rows.load_open, cluster.id, cluster.generation, ids)
    return {dag_id: each.tracked for dag_id, each in stored.items()}


def _view(
    cluster: Cluster,
    client: AgentClient,
    snapshot: DagSnapshot,
    known: TrackedDag | None,
    now: datetime,
    *,
    listed: bool,
) -> DagView:
    """Return a DAG as it would be stored now: what was known of its runs and stalls still counts."""
    sight = Sight(
        cluster=cluster.name,
        snapshot=snapshot,
        at=now,
        agent_now=now + timedelta(seconds=client.skew_s or 0.0),
        listed=listed,
        first_poll=known is None,
    )
    tracked = observe(known, sight, Policy()).tracked
    return DagView(
        cluster=cluster.name,
        snapshot=tracked.snapshot,
        run=tracked.run,
        outcome=tracked.ending,
        stalled=tracked.stalled,
        quiet_s=tracked.quiet_s,
        first_seen_at=tracked.first_seen_at,
        checked_at=now,
        elapsed_s=views.elapsed_s(tracked, now if tracked.closed else None, now),
    )
