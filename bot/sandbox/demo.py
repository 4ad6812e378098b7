"""The demo: the whole product against simulated clusters and a local Slack, with nothing left behind.

The service is the real one, started through the composition root; only the agents and Slack are stand-ins,
and both speak real HTTP on this machine alone.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bot import log
from bot.app import Service, StartError, running
from bot.clock import Clock, system_clock
from bot.config import Settings
from bot.core.dag import Host
from bot.keys import load_vault
from bot.sandbox.agents.agent import make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.lived import Watch, lived
from bot.sandbox.agents.player import Player
from bot.sandbox.agents.scenarios import SCENARIOS
from bot.sandbox.agents.server import DEMO_PASSWORD, AgentServer, living
from bot.sandbox.check import differences, threads
from bot.sandbox.console import ChannelPrinter
from bot.sandbox.workspace import Workspace
from bot.sandbox.workspace_server import WorkspaceServer
from bot.store import outbox
from bot.store.clusters import Registration
from bot.usecases.clusters import Registry, add

INTERVAL_S = 1.0
STALL_S = 8.0
AGAIN_AFTER_S = 45.0
FINISH_S = 60.0
DRAIN_S = 60.0
QUIET_S = 8.0
"""So long nothing must wait for delivery: after an outage the service looks twice before it tells what it
missed.
"""

CAST = (("prod-east", "scale-out", 1.0), ("prod-west", "upgrade", 3.0), ("test-lab", "stall", 5.0))
"""Clusters with their story and the second at which it begins."""

OUTAGE = ("prod-north", "backup", 16.0, 21.0, 32.0)
"""A cluster whose agents go away during its story and come back: name, story, begin, away, back."""


@dataclass
class Stage:
    """The simulated clusters, their agents behind ports, and what moves them."""

    clusters: list[SimulatedCluster]
    servers: list[AgentServer]
    players: list[Player]
    away: SimulatedCluster
    leaves: datetime
    returns: datetime

    def step(self, now: datetime) -> None:
        """Live until now."""
        for player in self.players:
            player.play(now)
        for agent in self.away.agents:
            if agent.listening and self.leaves <= now < self.returns:
                agent.unplug(now)
            elif not agent.listening and now >= self.returns:
                agent.plug(now)

    async def finish(self, now: datetime) -> None:
        """Let what is under way come to its end, and begin nothing more."""
        if self.leaves > now:
            self.returns = self.leaves
        for player in self.players:
            player.finish()
        for _ in range(int(FINISH_S / 0.5)):
            if all(player.idle for player in self.players) and not self.is_away:
                return
            await asyncio.sleep(0.5)

    @property
    def is_away(self) -> bool:
        """Whether the agents that go away are away now."""
        return not all(agent.listening for agent in self.away.agents)


async def run_demo(
    *,
    port: int,
    headless: bool,
    duration: float | None,
    speed: float,
    check: bool,
    slack: Settings | None,
    clock: Clock = system_clock,
) -> int:
    """Run the demo and return the exit status; raises `StartError`.

    `speed` is how many seconds of the story pass in one; `slack` are the settings of a real workspace.
    """
    if check and slack is not None:
        raise StartError("--check reads the local Slack: leave out --slack", status=2)
    if slack is not None and slack.channel is None:
        raise StartError("OBDAG_CHANNEL: not set; the demo posts there with --slack", status=2)
    log.configure("warning")
    console = Console(soft_wrap=True)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="obdag-demo-")))
        workspace, server = await _local_slack(stack, port) if slack is None else (None, None)
        if workspace is not None and headless:
            workspace.subscribe(ChannelPrinter(workspace, console))
        settings = _settings(folder, server, slack, speed)
        service = await stack.enter_async_context(running(settings, clock=clock))
        scene = await _set_stage(stack, service, speed, clock)
        since = clock()
        if not headless:
            _invite(console, server, slack)
        async with living(lambda: scene.step(clock()), scene.servers):
            await _wait(duration)
            if not check or workspace is None:
                return 0
            await scene.finish(clock())
            await _drain(service)
        watch = Watch(since=since, until=clock(), interval_s=INTERVAL_S, stall_after_s=settings.stall_after_s)
        lives = [lived(cluster, watch) for cluster in scene.clusters]
        return _report(console, differences(lives, threads(workspace, str(settings.channel))))


async def _local_slack(stack: AsyncExitStack, port: int) -> tuple[Workspace, WorkspaceServer]:
    workspace = Workspace()
    workspace.add_channel("ops")
    server = WorkspaceServer(workspace, port=port)
    try:
        await stack.enter_async_context(server)
    except OSError as error:
        raise StartError(f"cannot listen on port {port}: {error.strerror}; choose another --port") from error
    return workspace, server


def _settings(folder: Path, server: WorkspaceServer | None, slack: Settings | None, speed: float) -> Settings:
    """Return the settings of the service: those of the real workspace, or of the local one."""
    ours = {
        "DATABASE_URL": f"sqlite:///{folder / 'obdag.db'}",
        "OBDAG_HTTP": "",
        "OBDAG_POLL_INTERVAL": str(INTERVAL_S),
        "OBDAG_STALL_AFTER": str(max(1.0, STALL_S / speed)),
    }
    if slack is not None:
        return slack.model_copy(
            update={
                name: getattr(Settings.from_env(ours), name)
                for name in ("database_url", "http", "poll_interval_s", "stall_after_s")
            }
            | {"secret_key": None}
        )
    if server is None:
        raise StartError("neither a local Slack nor a real one")
    workspace = server.workspace
    return Settings.from_env(
        ours
        | {
            "SLACK_BOT_TOKEN": workspace.bot_token,
            "SLACK_APP_TOKEN": workspace.app_token,
            "SLACK_API_URL": server.api_url,
            "OBDAG_CHANNEL": next(iter(workspace.channels)),
        }
    )


async def _set_stage(stack: AsyncExitStack, service: Service, speed: float, clock: Clock) -> Stage:
    """Start the simulated clusters and register them as a person would."""
    registry = Registry(store=service.store, vault=load_vault(service.settings), clock=clock)
    now = clock()
    names = [*CAST, OUTAGE[:3]]
    clusters, servers, players = [], [], []
    for number, (name, story, begins) in enumerate(names):
        hosts = [Host(f"10.0.{number}.{n}", 2886) for n in (1, 2, 3)]
        cluster = SimulatedCluster(name, now, hosts=hosts, root_password=DEMO_PASSWORD, tick_s=1.0 / speed)
        agents = make_agents(cluster, now, key_bits=512 if number % 2 else 1024)
        opened = [await stack.enter_async_context(AgentServer(agent, clock=clock)) for agent in agents[:2]]
        await add(registry, Registration(name=name, urls=tuple(s.url for s in opened)), DEMO_PASSWORD)
        clusters.append(cluster)
        servers += opened
        players.append(
            Player(
                cluster,
                SCENARIOS[story].on(hosts),
                starts_at=clock() + timedelta(seconds=2 + begins / speed),
                again_after_s=AGAIN_AFTER_S,
                pace=speed,
            )
        )
    leaves, returns = (clock() + timedelta(seconds=2 + at / speed) for at in OUTAGE[3:])
    return Stage(clusters, servers, players, clusters[-1], leaves, returns)


async def _wait(duration: float | None) -> None:
    if duration is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(duration)


async def _drain(service: Service) -> None:
    """Let the service see and tell all that has happened; the agents stand still meanwhile."""
    quiet_s = 0.0
    for _ in range(int(DRAIN_S / 0.5)):
        waiting = (await service.store.read(outbox.backlog)).waiting
        quiet_s = 0.0 if waiting else quiet_s + 0.5
        if quiet_s >= QUIET_S:
            return
        await asyncio.sleep(0.5)


def _invite(console: Console, server: WorkspaceServer | None, slack: Settings | None) -> None:
    if server is not None:
        console.print(f"Open {server.url} , watch #ops and type /obdag. Ctrl-C ends the demo.")
    elif slack is not None:
        console.print(f"Watch the channel {slack.channel} of your workspace. Ctrl-C ends the demo.")
    sys.stdout.flush()


def _report(console: Console, found: list[str]) -> int:
    for line in found:
        console.print(f"differs: {line}", markup=False, highlight=False)
    if not found:
        console.print("check: what people saw is what happened.", highlight=False)
    return 1 if found else 0
