"""The whole product on a clock that is moved by hand: simulated agents, the local Slack, real SDKs between.

Only two things are not as in the service: who drives the polls and the deliveries, and that requests to the
agents need no socket.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bot.core.dag import Host
from bot.delivery.worker import Worker
from bot.metrics import Metrics
from bot.obshell.connect import connect
from bot.sandbox.agents.agent import SimulatedAgent, make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.messages import Message
from bot.sandbox.reading import visible_text
from bot.sandbox.workspace import Workspace
from bot.sandbox.workspace_server import WorkspaceServer
from bot.slack.notifier import SlackNotifier, make_client
from bot.store import clusters as cluster_rows
from bot.store.clusters import Cluster, Registration
from bot.store.engine import Store, database_url, make_engine
from bot.store.migrate import prepare
from bot.watch.routes import Routes
from bot.watch.watcher import Defaults, Watcher
from tests.watch.replay import ManualClock

PASSWORD = "s3cret-of-the-lab"
HOSTS = tuple(Host(f"10.0.0.{n}", 2886) for n in (1, 2, 3))


class ToAgent(httpx.AsyncBaseTransport):
    """The way to a simulated agent, without a socket."""

    def __init__(self, agent: SimulatedAgent, clock: ManualClock) -> None:
        self.agent, self._clock = agent, clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let the agent answer."""
        target = request.url.raw_path.decode()
        try:
            answer = self.agent.respond(
                request.method, target, dict(request.headers), await request.aread(), self._clock()
            )
        except ConnectionRefusedError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return httpx.Response(
            answer.status, headers=dict(answer.headers), stream=httpx.ByteStream(answer.body)
        )


class Timeline:
    """One simulated cluster, one channel, and the product between them.

    `wait` lets time pass, half a second at a time; `restart` is a new process over the same database.
    """

    def __init__(self, store: Store, server: WorkspaceServer, clock: ManualClock) -> None:
        self.store, self.server, self.clock = store, server, clock
        self.workspace = server.workspace
        self.channel = self.workspace.add_channel("ops").id
        self.cluster = SimulatedCluster("prod", clock(), hosts=HOSTS, root_password=PASSWORD)
        self.agents = make_agents(self.cluster, clock(), key_bits=512)
        self.password = PASSWORD
        self._by_host = {str(agent.host): agent for agent in self.agents}
        self.restart()

    def restart(self) -> None:
        """Forget everything that a process holds in memory."""
        metrics = Metrics()
        client = make_client(self.workspace.bot_token, self.server.api_url)
        self.worker = Worker(
            store=self.store, notifier=SlackNotifier(client), clock=self.clock, metrics=metrics
        )
        self.watcher = Watcher(
            store=self.store,
            connect=self._routes,
            clock=self.clock,
            random=lambda: 0.5,
            defaults=Defaults(interval_s=1.0, stall_after_s=60.0),
            metrics=metrics,
            nudge=self.worker.nudge,
        )

    async def register(self, agents: int = 1) -> None:
        """Register the cluster with its first agents, and poll it for the first time."""
        urls = tuple(f"http://{host}" for host in HOSTS[:agents])
        await self.store.write(
            cluster_rows.add, Registration(name="prod", urls=urls, channel=self.channel), self.clock()
        )
        await self.wait(2)

    async def wait(self, seconds: float, *, watching: bool = True, delivering: bool = True) -> None:
        """Let time pass; without `watching` or `delivering` that part of the product is down."""
        for _ in range(int(seconds * 2)):
            self.clock.now += timedelta(seconds=0.5)
            self.cluster.tick(self.clock())
            if watching:
                await self.watcher.refresh()
                for cluster_id in self.watcher.due(self.clock()):
                    await self.watcher.poll(cluster_id)
            while delivering and await self.worker.deliver_one():
                pass

    def roots(self) -> list[Message]:
        """Return what stands in the channel by itself, not as a reply."""
        return [m for m in self.workspace.channel_messages(self.channel) if m.thread_ts is None]

    def replies(self, root: Message | None = None) -> list[str]:
        """Return the first lines of the replies to a root, by default to the first."""
        parent = root or self.roots()[0]
        return [first_line(m) for m in self.workspace.replies(self.channel, parent.ts)]

    def broadcast(self) -> list[str]:
        """Return the first lines of the replies that are shown in the channel too."""
        return [first_line(m) for m in self.workspace.channel_messages(self.channel) if m.thread_ts]

    def _routes(self, cluster: Cluster) -> Routes:
        urls = cluster.registration.urls
        return Routes(
            urls,
            lambda url: connect(
                url,
                user="root",
                password=lambda: self.password,
                clock=self.clock,
                transport=ToAgent(self._by_host[urlsplit(url).netloc], self.clock),
            ),
        )


def first_line(message: Message) -> str:
    """Return the first line that a person reads."""
    return visible_text(message).splitlines()[0]


@asynccontextmanager
async def timeline(folder: Path) -> AsyncIterator[Timeline]:
    """Have a timeline while the block runs."""
    clock = ManualClock()
    engine = make_engine(database_url(f"sqlite:///{folder / 'obdag.db'}"))
    prepare(engine)
    store = Store(engine)
    async with WorkspaceServer(Workspace(), clock=clock) as server:
        try:
            line = Timeline(store, server, clock)
            yield line
            await line.watcher.close()
        finally:
            store.close()
