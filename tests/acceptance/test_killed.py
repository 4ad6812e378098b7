"""The real process killed, again and again: the threads go on, nothing comes twice, nothing is missing."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from bot.clock import system_clock
from bot.core.dag import Host
from bot.sandbox.agents.agent import make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.lived import Watch, lived
from bot.sandbox.agents.player import Player
from bot.sandbox.agents.scenarios import SCENARIOS
from bot.sandbox.agents.server import AgentServer, living
from bot.sandbox.check import differences, threads
from bot.sandbox.team import Change, Posted
from bot.sandbox.workspace import Workspace
from bot.sandbox.workspace_server import WorkspaceServer

pytestmark = pytest.mark.slow

PASSWORD = "made-up-Pa55word"
KILLS = 20
HOSTS = [Host(f"10.0.0.{n}", 2886) for n in (1, 2, 3)]


class Service:
    """`obdag run` as a process of its own, over one database; started again whenever it was killed."""

    def __init__(self, folder: Path, slack: WorkspaceServer) -> None:
        self._folder = folder
        self._environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "SLACK_BOT_TOKEN": slack.workspace.bot_token,
            "SLACK_APP_TOKEN": slack.workspace.app_token,
            "SLACK_API_URL": slack.api_url,
            "OBDAG_CHANNEL": next(iter(slack.workspace.channels)),
            "OBDAG_HTTP": "",
            "OBDAG_POLL_INTERVAL": "1",
            "OBDAG_LOG_LEVEL": "warning",
        }
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def command(self, *arguments: str, text: str = "") -> int:
        """Run another command to its end."""
        process = await self._start(*arguments, stdin=asyncio.subprocess.PIPE)
        await process.communicate(text.encode())
        return process.returncode or 0

    async def keep_running(self) -> None:
        """Start the service again and again, until this is cancelled."""
        while True:
            self._process = await self._start("run")
            try:
                await self._process.wait()
            finally:
                if self._process.returncode is None:
                    self._process.kill()
                    await self._process.wait()

    def kill(self) -> None:
        """Kill it now, if it lives."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            self.kills += 1

    async def _start(self, *arguments: str, stdin: int | None = None) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *arguments, cwd=self._folder, env=self._environment, stdin=stdin
        )


@contextmanager
def killing_on_posts(workspace: Workspace, service: Service, random_: random.Random) -> Iterator[None]:
    """Kill the service at some posts: Slack has taken the message, its answer never arrives."""

    def listener(change: Change) -> None:
        if isinstance(change, Posted) and random_.random() < 0.35:
            service.kill()

    unsubscribe = workspace.subscribe(listener)
    try:
        yield
    finally:
        unsubscribe()


@asynccontextmanager
async def kept_running(service: Service) -> AsyncIterator[None]:
    """Have the service running, whatever kills it, while the block runs."""
    task = asyncio.create_task(service.keep_running())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Killed at random moments and between Slack's acceptance and its answer, the story is told once."""
    random_ = random.Random(20261125)
    now = system_clock()
    cluster = SimulatedCluster("prod", now, hosts=HOSTS, root_password=PASSWORD)
    agents = make_agents(cluster, now)
    workspace = Workspace()
    channel = workspace.add_channel("ops").id
    async with WorkspaceServer(workspace) as slack, AgentServer(agents[0]) as agent:
        service = Service(tmp_path, slack)
        assert (
            await service.command("clusters", "add", "prod", agent.url, "--password-stdin", text=PASSWORD)
            == 0
        )
        player = Player(cluster, SCENARIOS["upgrade"].on(HOSTS), again_after_s=1.0)
        async with living(lambda: player.play(system_clock()), [agent]), kept_running(service):
            with killing_on_posts(workspace, service, random_):
                while service.kills < KILLS:
                    await asyncio.sleep(random_.uniform(1.5, 4.0))
                    service.kill()
            until = system_clock()
        async with kept_running(service):
            watch = Watch(since=now, until=until, interval_s=1.0, stall_after_s=600.0, slack_s=8.0)
            lives = [lived(cluster, watch)]
            for _ in range(60):
                if not differences(lives, threads(workspace, channel)):
                    break
                await asyncio.sleep(1)
            await asyncio.sleep(5)
    assert differences(lives, threads(workspace, channel)) == []
    assert service.kills >= KILLS
