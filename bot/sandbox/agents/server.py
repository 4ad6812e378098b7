"""Puts a `SimulatedAgent` on a port of this machine; and `simulate`, one agent alone for trying clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from typing import Self

from aiohttp import web

from bot.clock import Clock, system_clock
from bot.core.dag import Host
from bot.sandbox.agents.agent import SimulatedAgent, make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.player import Player
from bot.sandbox.agents.scenarios import SCENARIOS

STEP_S = 0.05
DEMO_PASSWORD = "demo-password"  # noqa: S105 - guards simulated agents only, and is printed
MOST_BODY = 1024 * 1024
LOOPBACK = "127.0.0.1"
AGENT_PORT = 2886
"""The port of real agents."""


class AgentServer:
    """Serves an agent while it listens: `settle` opens or shuts the port as the agent lives or dies."""

    def __init__(
        self, agent: SimulatedAgent, *, host: str = "127.0.0.1", port: int = 0, clock: Clock = system_clock
    ) -> None:
        self.agent = agent
        self._host, self._port, self._clock = host, port, clock
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The base URL; the port stays the same over outages."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def settle(self) -> None:
        """Open the port if the agent listens, else shut it with all its connections; raises OSError."""
        if self.agent.listening and self._runner is None:
            await self._open()
        elif not self.agent.listening:
            await self.close()

    async def close(self) -> None:
        """Shut the port."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        """Open the port."""
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Shut the port."""
        await self.close()

    async def _open(self) -> None:
        app = web.Application(client_max_size=MOST_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._port = int(runner.addresses[0][1])
        self._runner = runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            answer = self.agent.respond(
                request.method, request.raw_path, dict(request.headers), body, self._clock()
            )
        except ConnectionRefusedError:
            return await _cut(request)
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.cut:
            return await _cut(request)
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))


async def _cut(request: web.Request) -> web.StreamResponse:
    """Break the connection off half-way."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def living(step: Callable[[], None], servers: list[AgentServer]) -> AsyncIterator[None]:
    """Call `step` twenty times a second while the block runs, and open and shut ports accordingly."""

    async def live() -> None:
        while True:
            step()
            for server in servers:
                await server.settle()
            await asyncio.sleep(STEP_S)

    task = asyncio.create_task(live(), name="simulated-agents")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def simulate(
    *, port: int, address: str, dag: str | None, say: Callable[[str], None], clock: Clock = system_clock
) -> None:
    """Run one agent until it is cancelled, after saying its address and password.

    Raises KeyError for an unknown story, and OSError for an address that cannot be bound.
    """
    now, host = clock(), _identity(address, port)
    scenario = SCENARIOS[dag or "scale-out"].on((host,))
    cluster = SimulatedCluster("simulated", now, hosts=[host], root_password=DEMO_PASSWORD)
    (agent,) = make_agents(cluster, now)
    async with AgentServer(agent, host=address, port=port, clock=clock) as server:
        player = Player(cluster, scenario, again_after_s=5.0)
        async with living(lambda: player.play(clock()), [server]):
            say(server.url)
            say(f"password: {DEMO_PASSWORD}")
            await asyncio.Event().wait()


def _identity(address: str, port: int) -> Host:
    """Return the address that an agent behind this one says of itself, which is always one of a machine."""
    try:
        ip = ip_address(address)
    except ValueError:
        return Host(LOOPBACK, port or AGENT_PORT)
    return Host(LOOPBACK if ip.is_unspecified else str(ip), port or AGENT_PORT)
