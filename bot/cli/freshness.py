"""How fresh what is shown may be, and who asks the agents for it.

Beside a running service only the service talks to the agents: it is asked for a poll, and after a short wait
the stored state is shown with its age. Without a service the agents are asked directly.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from bot.cli import direct
from bot.cli.session import Office
from bot.core.views import ClusterState, ClusterView
from bot.store import clusters as cluster_rows
from bot.store.clusters import HealthRow
from bot.usecases import status

WAIT_S = 2.5
"""How long the service gets for a poll that was asked for."""
LOOK_EVERY_S = 0.1


async def current(office: Office, name: str | None) -> tuple[ClusterView, ...]:
    """Return the unfinished DAGs, as fresh as they may be; raises `UnknownCluster`."""
    now = office.registry.clock
    views = await status.unfinished(office.store, now=now(), cluster=name)
    if office.service() is None:
        return await direct.unfinished(office, views)
    await freshen(office, [view.name for view in views])
    return await status.unfinished(office.store, now=now(), cluster=name)


async def freshen(office: Office, names: Sequence[str]) -> None:
    """Ask the running service to poll these clusters now, and wait for it, but not for long."""
    asked_at = office.registry.clock()
    ids = []
    for name in names:
        cluster = await office.store.read(cluster_rows.find, name)
        if cluster is not None and not cluster.paused:
            await office.store.write(cluster_rows.want_poll, cluster.id, asked_at)
            ids.append(cluster.id)
    try:
        async with asyncio.timeout(WAIT_S):
            while not await _all_asked(office, ids, asked_at):  # noqa: ASYNC110 - another process sets it
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        return


def note(office: Office) -> str:
    """Return what to say of where the answer comes from."""
    return "" if office.service() else "no obdag service is running: the agents were asked directly"


async def _all_asked(office: Office, ids: Sequence[int], since: datetime) -> bool:
    healths = await office.store.read(cluster_rows.all_health)
    return all(_asked(healths.get(each, HealthRow()), since) for each in ids)


def _asked(row: HealthRow, since: datetime) -> bool:
    """Return whether a poll was tried since; a refused password stops them."""
    if row.state is ClusterState.AUTH_FAILED:
        return True
    return row.attempted_at is not None and row.attempted_at >= since
