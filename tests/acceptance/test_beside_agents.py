"""The real process beside agents that restart, change their key, or come back as another cluster."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from bot.clock import system_clock
from bot.core.dag import Host
from bot.sandbox.agents.agent import make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.lived import Watch, lived
from bot.sandbox.agents.player import Player
from bot.sandbox.agents.scenarios import SCENARIOS
from bot.sandbox.agents.server import DEMO_PASSWORD, AgentServer, living
from bot.sandbox.check import differences, threads
from bot.sandbox.reading import visible_text
from bot.sandbox.workspace import Workspace
from bot.sandbox.workspace_server import WorkspaceServer
from tests.acceptance.service import Service, kept_running

pytestmark = pytest.mark.slow

PASSWORD = "made-up-Pa55word"
HOSTS = [Host(f"10.0.0.{n}", 2886) for n in (1, 2, 3)]
LOOK_S = 0.2
ENDS = ("succeeded", "rolled back", "skipped", "cancelled", "failed")


async def until(true: Callable[[], bool], seconds: float) -> None:
    """Wait until something is true, at most so long."""
    for _ in range(int(seconds / LOOK_S)):
        if true():
            return
        await asyncio.sleep(LOOK_S)
    assert true()


async def test_restarts_with_new_keys_are_no_end(tmp_path: Path) -> None:
    """An agent restarts twice, each time with another key: its DAG is told as it was lived, nothing twice."""
    now = system_clock()
    cluster = SimulatedCluster("prod", now, hosts=HOSTS, root_password=PASSWORD)
    agents = make_agents(cluster, now, key_bits=512)
    workspace = Workspace()
    channel = workspace.add_channel("ops").id
    async with WorkspaceServer(workspace) as slack, AgentServer(agents[0]) as served:
        service = Service(tmp_path, slack)
        added = await service.command(
            "clusters", "add", "prod", served.url, "--password-stdin", text=PASSWORD
        )
        assert added == 0
        player = Player(cluster, SCENARIOS["scale-out"].on(HOSTS))
        async with kept_running(service):
            await asyncio.sleep(5)
            since = system_clock()
            async with living(lambda: player.play(system_clock()), [served]):
                for _ in range(2):
                    await asyncio.sleep(6)
                    for agent in agents:
                        agent.stop(system_clock())
                    await asyncio.sleep(5)
                    for agent in agents:
                        agent.start(system_clock(), new_key=True)
                await until(lambda: all(dag.state == "SUCCEED" for dag in cluster.engine.store.dags), 60)
                await asyncio.sleep(8)
                watch = Watch(
                    since=since, until=system_clock(), interval_s=1.0, stall_after_s=600.0, slack_s=8.0
                )
                assert differences([lived(cluster, watch)], threads(workspace, channel)) == []


@asynccontextmanager
async def simulating(port: int) -> AsyncIterator[int]:
    """Have `obdag simulate` as a process of its own, on that port or any; gives the port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", "simulate", "--port", str(port)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            url = (await process.stdout.readline()).decode().strip()
        yield int(url.rpartition(":")[2])
    finally:
        process.kill()
        await process.wait()


async def test_simulate_that_is_started_again_is_another_cluster(tmp_path: Path) -> None:
    """A process without a memory counts its DAGs from 1 again: the old ones are forgotten, never ended."""
    workspace = Workspace()
    channel = workspace.add_channel("ops").id

    def roots() -> list[str]:
        return [visible_text(m) for m in workspace.channel_messages(channel) if m.thread_ts is None]

    def about_dags() -> list[str]:
        return [text for text in roots() if "Stage " in text]

    async with WorkspaceServer(workspace) as slack, AsyncExitStack() as stack:
        service = Service(tmp_path, slack)
        async with simulating(0) as port:
            url = f"http://127.0.0.1:{port}"
            added = await service.command(
                "clusters", "add", "lab", url, "--password-stdin", text=DEMO_PASSWORD
            )
            assert added == 0
            await stack.enter_async_context(kept_running(service))
            await until(lambda: len(about_dags()) == 1, 20)
        for number in (2, 3):
            await asyncio.sleep(4)
            async with simulating(port):
                await until(partial(lambda wanted: len(about_dags()) == wanted, number), 40)
                await asyncio.sleep(1.5)
    *old, last = about_dags()
    assert len(old) == 2
    assert all("no longer known" in text for text in old)
    assert not any(end in text for text in about_dags() for end in ENDS)
    assert "no longer known" not in last
