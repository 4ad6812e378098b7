"""The clockwork of watching: APScheduler ticks, and each tick starts the polls that are due.

The tick is synchronous and quick; a poll is a task of ours, kept by name. An asynchronous job slower than
its tick would be skipped with a warning, and cancelled at shutdown; our tasks are awaited instead.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.clock import Clock
from bot.watch.watcher import Watcher

TICK_S = 0.1
REFRESH_S = 0.5
FLUSH_S = 5.0
MAX_POLLS_AT_ONCE = 200

T = TypeVar("T")
log = structlog.get_logger()


class WatchScheduler:
    """Drives a watcher until `stop`."""

    def __init__(self, watcher: Watcher, clock: Clock) -> None:
        self._watcher, self._clock = watcher, clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._scheduler = AsyncIOScheduler(
            timezone="UTC",
            # Runs a job where it is due, in the loop's thread; the default would take it to another one.
            executors={"default": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        """Begin to tick; needs a running event loop."""
        self._scheduler.add_job(self._poll_due, "interval", seconds=TICK_S)
        self._scheduler.add_job(self._refresh, "interval", seconds=REFRESH_S)
        self._scheduler.add_job(self._flush, "interval", seconds=FLUSH_S)
        self._scheduler.start()
        self._refresh()

    async def stop(self, grace_s: float) -> None:
        """Start no more polls, and let those in flight end within `grace_s` seconds."""
        # The shutdown of APScheduler takes effect only later in the loop: a tick may still be on its way.
        self._stopping = True
        self._scheduler.shutdown(wait=False)
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._watcher.close()

    def _poll_due(self) -> None:
        for cluster_id in self._watcher.due(self._clock()):
            if len(self._tasks) >= MAX_POLLS_AT_ONCE:
                break
            self._begin(f"poll-{cluster_id}", self._watcher.poll, cluster_id)

    def _refresh(self) -> None:
        self._begin("refresh", self._guarded, self._watcher.refresh)

    def _flush(self) -> None:
        self._begin("flush", self._guarded, self._watcher.flush)

    def _begin(self, name: str, work: Callable[[T], Coroutine[Any, Any, None]], argument: T) -> None:
        if self._stopping or name in self._tasks:
            return
        task = asyncio.get_running_loop().create_task(work(argument), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _guarded(self, chore: Callable[[], Awaitable[None]]) -> None:
        try:
            await chore()
        except Exception:
            # The one boundary of these chores: a database out of reach must not end them for good.
            log.exception("watch.chore_broke", chore=getattr(chore, "__name__", "chore"))
