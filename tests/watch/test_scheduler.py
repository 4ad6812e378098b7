"""The clockwork: polls begin when they are due, one at a time for a cluster, and end before the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from bot.watch.scheduler import WatchScheduler
from bot.watch.watcher import Watcher
from tests.factories import NOW

T = TypeVar("T")
SOON_S = 5.0


class Clusters(Watcher):
    """A watcher without agents: `dues` are due until polled, and a poll lasts until `gate` opens."""

    def __init__(self, *dues: int) -> None:
        self.dues = set(dues)
        self.again = False
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.running: list[int] = []
        self.calls: list[str] = []
        self.changed = asyncio.Condition()
        self.gate = asyncio.Event()
        self.breaks = False

    def due(self, now: datetime) -> list[int]:
        """Return what is due."""
        assert now == NOW
        return sorted(self.dues)

    async def poll(self, cluster_id: int) -> None:
        """Poll until the gate opens."""
        if not self.again:
            self.dues.discard(cluster_id)
        self.running.append(cluster_id)
        await self._note(self.begun, cluster_id)
        try:
            await self.gate.wait()
        finally:
            self.running.remove(cluster_id)
        await self._note(self.ended, cluster_id)

    async def refresh(self) -> None:
        """Look for clusters."""
        await self._note(self.calls, "refresh")
        if self.breaks:
            raise OSError("database out of reach")

    async def flush(self) -> None:
        """Store ages."""
        await self._note(self.calls, "flush")

    async def close(self) -> None:
        """End."""
        assert self.running == []
        await self._note(self.calls, "close")

    async def until(self, what: list[int] | list[str], count: int) -> None:
        """Wait until a list is so long."""
        async with asyncio.timeout(SOON_S), self.changed:
            await self.changed.wait_for(lambda: len(what) >= count)

    async def _note(self, where: list[T], what: T) -> None:
        async with self.changed:
            where.append(what)
            self.changed.notify_all()


@asynccontextmanager
async def started(clusters: Clusters) -> AsyncIterator[WatchScheduler]:
    """Have the clockwork run while the block does."""
    scheduler = WatchScheduler(clusters, lambda: NOW)
    scheduler.start()
    try:
        yield scheduler
    finally:
        clusters.gate.set()
        await scheduler.stop(SOON_S)


async def test_clusters_are_looked_for_at_once_and_due_ones_polled() -> None:
    """A start does not wait for the first tick of the refresh; all that is due is polled side by side."""
    clusters = Clusters(1, 2, 3)
    async with started(clusters):
        await clusters.until(clusters.begun, 3)
        assert sorted(clusters.running) == [1, 2, 3]
    assert clusters.calls[0] == "refresh"
    assert clusters.calls.count("close") == 1
    assert sorted(clusters.ended) == [1, 2, 3]


async def test_cluster_is_never_polled_twice_at_once() -> None:
    """A poll that outlasts many ticks is not begun again beside itself, however due the cluster is."""
    clusters = Clusters(1)
    clusters.again = True
    async with started(clusters):
        await clusters.until(clusters.begun, 1)
        refreshed = len(clusters.calls)
        await clusters.until(clusters.calls, refreshed + 1)
        assert clusters.begun == clusters.running == [1]
        clusters.gate.set()
        await clusters.until(clusters.begun, 2)


async def test_broken_chore_is_tried_again() -> None:
    """A database out of reach ends neither the looking for clusters nor the polls."""
    clusters = Clusters()
    clusters.breaks = True
    with capture_logs() as logs:
        async with started(clusters):
            await clusters.until(clusters.calls, 2)
            clusters.dues = {7}
            await clusters.until(clusters.begun, 1)
    assert {(entry["event"], entry.get("chore")) for entry in logs} == {("watch.chore_broke", "refresh")}


async def test_stop_waits_for_polls_in_flight() -> None:
    """What is in flight comes to its end before the connections are closed."""
    clusters = Clusters(1)
    scheduler = WatchScheduler(clusters, lambda: NOW)
    scheduler.start()
    await clusters.until(clusters.begun, 1)
    stopping = asyncio.create_task(scheduler.stop(SOON_S))
    await asyncio.sleep(0)
    assert not stopping.done()
    clusters.gate.set()
    await stopping
    assert clusters.ended == [1]
    assert clusters.calls[-1] == "close"


async def test_stop_does_not_wait_for_ever() -> None:
    """A poll that outlasts the grace is cancelled, and then the connections are closed."""
    clusters = Clusters(1)
    scheduler = WatchScheduler(clusters, lambda: NOW)
    scheduler.start()
    await clusters.until(clusters.begun, 1)
    await scheduler.stop(0.01)
    assert (clusters.ended, clusters.running) == ([], [])
    assert clusters.calls[-1] == "close"


@pytest.mark.parametrize("in_flight", [True, False])
async def test_nothing_begins_after_stop(*, in_flight: bool) -> None:
    """A tick that was on its way when the service stopped begins no poll."""
    clusters = Clusters(*[1] * in_flight)
    scheduler = WatchScheduler(clusters, lambda: NOW)
    scheduler.start()
    await clusters.until(clusters.begun, int(in_flight))
    stopping = asyncio.create_task(scheduler.stop(SOON_S))
    await asyncio.sleep(0)
    clusters.dues = {2}
    scheduler._poll_due()  # noqa: SLF001 - the tick that was on its way
    clusters.gate.set()
    await stopping
    await asyncio.sleep(0)
    assert clusters.begun == [1] * in_flight
