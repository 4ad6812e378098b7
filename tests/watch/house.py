"""A store with clusters, agents as a test sets them, and a watcher that is driven by hand."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, select

from bot.core.dag import DagSnapshot
from bot.core.events import AnyEvent, decode
from bot.metrics import Metrics
from bot.obshell.client import AgentClient
from bot.store import clusters as cluster_rows
from bot.store.clusters import Cluster, HealthRow, Registration
from bot.store.commit import commit_poll
from bot.store.engine import Store
from bot.store.schema import outbox
from bot.watch.routes import CannotConnect, Routes
from bot.watch.watcher import Defaults, Watcher
from tests.watch.fake import FakeAgent
from tests.watch.replay import ManualClock

P = ParamSpec("P")
T = TypeVar("T")

URL = "http://10.0.0.1:2886"
OTHER = "http://10.0.0.2:2886"


class TroubledStore(Store):
    """A store whose disk is full, or which is slow to store, when a test says so.

    What is `unreadable` cannot be read.
    """

    full = False

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.unreadable: set[Callable[..., Any]] = set()
        self.storing, self.may_store = asyncio.Event(), asyncio.Event()
        self.may_store.set()

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` in a committed transaction, sooner or later."""
        if self.full:
            raise OSError("disk full")
        if work is commit_poll:
            self.storing.set()
            await self.may_store.wait()
        return await super().write(work, *args, **kwargs)

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` in a transaction that only reads."""
        if work in self.unreadable:
            raise OSError("disk broken")
        return await super().read(work, *args, **kwargs)


class House:
    """A store with clusters, one agent for each URL, and a watcher that is driven by hand."""

    def __init__(self, store: TroubledStore) -> None:
        self.store, self.clock = store, ManualClock()
        self.agents: dict[str, FakeAgent] = {}
        self.cannot_connect: set[str] = set()
        self.nudges = 0
        self.metrics = Metrics()
        self.watcher = self.another_watcher()

    def another_watcher(self) -> Watcher:
        """Return a watcher as a restarted process has it: with nothing in memory."""
        return Watcher(
            store=self.store,
            connect=self._routes,
            clock=self.clock,
            random=lambda: 0.5,
            defaults=Defaults(channel="C0OPS"),
            metrics=self.metrics,
            nudge=self._nudge,
        )

    async def register(self, name: str = "prod", url: str = URL, **members: Any) -> Cluster:
        """Register a cluster with one agent."""
        wanted = Registration(name=name, urls=(url,), **members)
        await self.store.write(cluster_rows.add, wanted, self.clock())
        self.agent(url)
        return await self.cluster(name)

    async def cluster(self, name: str = "prod") -> Cluster:
        """Return a cluster as it is registered now."""
        found = await self.store.read(cluster_rows.find, name)
        assert found is not None
        return found

    def agent(self, url: str = URL) -> FakeAgent:
        """Return the agent at a URL."""
        return self.agents.setdefault(url, FakeAgent(self.clock, url))

    def shows(self, *snapshots: DagSnapshot) -> None:
        """Set what the first agent lists; what it listed before stays known by its id."""
        agent = self.agent()
        now = {snapshot.id for snapshot in snapshots}
        agent.known = tuple(d for d in (*agent.listed, *agent.known) if d.id not in now)
        agent.listed = snapshots

    async def wait(self, seconds: float = 10, step: float = 0.5) -> None:
        """Let time pass step by step, polling what is due."""
        for _ in range(int(seconds / step)):
            self.clock.now += timedelta(seconds=step)
            await self.watcher.refresh()
            for cluster_id in self.watcher.due(self.clock()):
                await self.watcher.poll(cluster_id)

    async def wait_for_poll(self) -> None:
        """Let time pass until the first agent was asked once more."""
        asked = self.agent().lists()
        while self.agent().lists() == asked:
            await self.wait(0.5)

    async def restart(self) -> None:
        """End the process without a goodbye, and begin another."""
        self.watcher = self.another_watcher()

    async def events(self) -> list[AnyEvent]:
        """Return what was told, in order, without what the root messages tell."""
        texts = await self.store.read(lambda c: [*c.scalars(select(outbox.c.event).order_by(outbox.c.id))])
        return list(dict.fromkeys(map(decode, texts)))

    async def told(self) -> list[str]:
        """Return the words of what was told."""
        return [event.kind for event in await self.events()]

    async def health(self, name: str = "prod") -> HealthRow:
        """Return the stored health of a cluster."""
        return await self.store.read(cluster_rows.health_of, (await self.cluster(name)).id)

    def _routes(self, cluster: Cluster) -> Routes:
        def open_client(url: str) -> AgentClient:
            if cluster.name in self.cannot_connect:
                raise CannotConnect("cannot read ca.pem: No such file or directory")
            return self.agent(url).client()

        return Routes(cluster.registration.urls, open_client)

    def _nudge(self) -> None:
        self.nudges += 1
