"""The real process killed, again and again: the threads go on, nothing comes twice, nothing is missing."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.acceptance.service import Service, kept_running

pytestmark = pytest.mark.slow

PASSWORD = "made-up-Pa55word"
KILLS = 20
HOSTS = [Host(f"10.0.0.{n}", 2886) for n in (1, 2, 3)]


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
            watch = Watch(
                since=now, until=until, interval_s=1.0, stall_after_s=600.0, slack_s=8.0, blind_s=20.0
            )
            lives = [lived(cluster, watch)]
            for _ in range(60):
                if not differences(lives, threads(workspace, channel)):
                    break
                await asyncio.sleep(1)
            await asyncio.sleep(5)
    assert differences(lives, threads(workspace, channel)) == []
    assert service.kills >= KILLS
