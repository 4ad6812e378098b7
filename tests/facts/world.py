"""The watching product beside simulated agents, on a clock that is moved by hand; every request is noted."""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
from sqlalchemy import select

from bot.core.dag import Host, Maintenance
from bot.core.events import AnyEvent, decode
from bot.core.views import ClusterState, ClusterView, DagView
from bot.metrics import Metrics
from bot.obshell.client import AgentClient
from bot.obshell.connect import connect
from bot.sandbox.agents.agent import SimulatedAgent, make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.operators import operate_node
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from bot.sandbox.agents.release import LATEST, Release
from bot.sandbox.agents.rows import DagRow
from bot.store import clusters as cluster_rows
from bot.store import views
from bot.store.clusters import Cluster, HealthRow, Registration
from bot.store.engine import Store
from bot.store.schema import outbox
from bot.watch.routes import Routes
from bot.watch.watcher import Defaults, Watcher
from tests.watch.replay import ManualClock

PASSWORD = "s3cret-of-the-lab"
HOSTS = tuple(Host(f"10.0.0.{n}", 2886) for n in (1, 2, 3))
STALL_S = 60.0


class Asked(NamedTuple):
    """One request that obdag sent."""

    agent: str
    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class World(httpx.AsyncBaseTransport):
    """A cluster of simulated agents, of which the first `registered` are known to obdag.

    `instead` are answers given in the place of an agent's to targets that begin so; `after_list` is called
    when a cluster's list was answered.
    """

    def __init__(
        self,
        store: Store,
        *,
        scope: str = "cluster",
        registered: int = 1,
        hosts: tuple[Host, ...] = HOSTS,
        release: Release = LATEST,
        key_bits: int = 512,
        agent_password: str | None = None,
        user: str = "root",
        shift: timedelta = timedelta(),
    ) -> None:
        self.store, self.clock = store, ManualClock()
        self.cluster = SimulatedCluster(
            "prod", self.clock(), hosts=hosts, root_password=PASSWORD, shift=shift
        )
        self.agents = make_agents(
            self.cluster, self.clock(), release=release, key_bits=key_bits, agent_password=agent_password
        )
        self.password = PASSWORD
        self.registration = Registration(
            name="prod",
            urls=tuple(f"http://{host}" for host in hosts[:registered]),
            channel="C0OPS",
            scope=scope,
            user=user,
        )
        self.asked: list[Asked] = []
        self.after_list: Callable[[], None] = lambda: None
        self.instead: dict[str, tuple[int, dict[str, Any]]] = {}
        self.restart()

    async def begin(self) -> "World":
        """Register the cluster, and poll it for the first time."""
        await self.store.write(cluster_rows.add, self.registration, self.clock())
        await self.wait(2)
        return self

    def restart(self) -> None:
        """Forget everything that a process holds in memory."""
        self.watcher = Watcher(
            store=self.store,
            connect=lambda cluster: Routes(cluster.registration.urls, self.client),
            clock=self.clock,
            random=lambda: 0.5,
            defaults=Defaults(interval_s=1.0, stall_after_s=STALL_S),
            metrics=Metrics(),
            nudge=lambda: None,
        )

    def client(self, url: str) -> AgentClient:
        """Return a client of the agent at a URL."""
        return connect(
            url,
            user=self.registration.user,
            password=lambda: self.password,
            clock=self.clock,
            transport=self,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Note a request, and let the agent at its address answer."""
        target, headers = request.url.raw_path.decode(), dict(request.headers)
        self.asked.append(Asked(request.url.netloc.decode(), request.method, target, headers))
        agent = self.agent(request.url.netloc.decode())
        for beginning, (status, body) in self.instead.items():
            if target.startswith(beginning):
                return httpx.Response(status, stream=httpx.ByteStream(json.dumps(body).encode()))
        try:
            answer = agent.respond(request.method, target, headers, await request.aread(), self.clock())
        except ConnectionRefusedError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        if target.startswith("/api/v1/task/dag/ob/unfinish"):
            self.after_list()
        if answer.delay_s:
            raise httpx.ReadTimeout(f"no answer for {answer.delay_s} s", request=request)
        return httpx.Response(
            answer.status, headers=dict(answer.headers), stream=httpx.ByteStream(answer.body)
        )

    def agent(self, address: str) -> SimulatedAgent:
        """Return the agent at `ip:port`."""
        found = next((agent for agent in self.agents if str(agent.host) == address), None)
        if found is None:
            raise httpx.ConnectError(f"nobody lives at {address}")
        return found

    async def wait(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass step by step."""
        for _ in range(int(seconds / step)):
            self.clock.now += timedelta(seconds=step)
            self.cluster.tick(self.clock())
            await self.watcher.refresh()
            for cluster_id in self.watcher.due(self.clock()):
                await self.watcher.poll(cluster_id)

    async def look(self) -> None:
        """Poll the cluster now, whether it is time for it or not."""
        await self.watcher.poll((await self.registered()).id)

    async def events(self) -> list[AnyEvent]:
        """Return what was told, in order; starts are told by root messages and are not among it."""
        texts = await self.store.read(lambda c: [*c.scalars(select(outbox.c.event).order_by(outbox.c.id))])
        return list(dict.fromkeys(map(decode, texts)))

    async def told(self) -> list[str]:
        """Return the words of what was told."""
        return [event.kind for event in await self.events()]

    async def view(self) -> ClusterView:
        """Return the cluster with its unfinished DAGs as people see them."""
        await self.watcher.flush()
        (seen,) = await self.store.read(views.unfinished, self.clock())
        return seen

    async def dag(self, dag_id: str) -> DagView:
        """Return a DAG as people see it."""
        found = await self.store.read(views.find_dag, "prod", dag_id, self.clock())
        assert found is not None
        return found

    async def state(self) -> ClusterState:
        """Return the state of the cluster."""
        return (await self.view()).state

    async def health(self) -> HealthRow:
        """Return what the last polls came to."""
        return await self.store.read(cluster_rows.health_of, (await self.registered()).id)

    async def registered(self) -> Cluster:
        """Return the cluster as it is registered."""
        found = await self.store.read(cluster_rows.find, "prod")
        assert found is not None
        return found

    def create(self, plan: DagPlan) -> DagRow:
        """Begin a DAG."""
        return self.cluster.create(plan, self.clock())

    def operate(self, dag: DagRow, operator: str) -> None:
        """Do what an operator does with the agents' own tools."""
        self.cluster.operate(dag, operator, self.clock())

    def pass_stage(self, dag: DagRow, position: int) -> None:
        """Leave a failed stage out, as an operator can."""
        operate_node(self.cluster.engine, dag, dag.nodes[position - 1], "PASS", self.clock())

    def refuse(self, beginning: str, status: int, code: str, message: str, **members: Any) -> None:
        """Let agents refuse what they are asked by targets that begin so."""
        error = {"errCode": code, "message": message}
        told = {"timestamp": self.clock().isoformat(), "traceId": "9f1c0a77be5d2e31", **members}
        self.instead[beginning] = status, {"successful": False, "status": status, "error": error, **told}

    def paths(self) -> set[str]:
        """Return the paths that were asked for."""
        return {asked.path for asked in self.asked}


def work(*lines: str, seconds: float = 2.0, **members: Any) -> Work:
    """Return a run of a sub-task."""
    return Work(lines=lines, seconds=seconds, **members)


def stage(name: str, *runs: Work, hosts: Iterable[Host] = (HOSTS[0],), **flags: Any) -> StagePlan:
    """Return a stage whose sub-tasks, one per host, do the same."""
    return StagePlan(name=name, parts=tuple(PartPlan(host=host, runs=runs) for host in hosts), **flags)


def plan(*stages: StagePlan, name: str = "Cluster scale out", **members: Any) -> DagPlan:
    """Return a DAG that needs the cluster's lock, unless told otherwise."""
    return DagPlan(name=name, stages=stages, **{"maintenance": Maintenance.GLOBAL, **members})


BROKEN = work("checking", error="no space left")


def breaking(*later: Work) -> StagePlan:
    """Return a stage that fails at its first run, and does otherwise after that."""
    return stage("Check space", BROKEN, *(later or (work("checking", "enough space"),)))
