"""Puts a `Workspace` on a loopback port: Web API, Socket Mode, response addresses, uploads and the page.

Thin: what is answered is decided in `Workspace`; here is only aiohttp. Requests are served under loopback
names alone, so that a web page elsewhere cannot reach it by rebinding its name.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Self

from aiohttp import WSMsgType, web

from bot.clock import Clock, system_clock
from bot.sandbox.interactions import ACK_S, Interaction
from bot.sandbox.messages import Json
from bot.sandbox.page_routes import PageRoutes
from bot.sandbox.webapi.answers import ApiResponse
from bot.sandbox.workspace import Workspace

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
MOST_BODY = 8 * 1024 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WorkspaceServer:
    """Serves a workspace until closed; also an async context manager.

    `port=0` takes a free one. `ack_s` is how long the app has to acknowledge (Slack: 3 s).
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = system_clock,
        ack_s: float = ACK_S,
    ) -> None:
        self.workspace = workspace
        self._host, self._port = host, port
        self._clock = clock
        self._ack_s = ack_s
        self._sockets: set[web.WebSocketResponse] = set()
        self._page = PageRoutes(workspace, clock, self.settled)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The address of the page, with a slash at the end."""
        return f"http://{self._host}:{self._port}/"

    @property
    def api_url(self) -> str:
        """The base address of the Web API: `base_url` of `slack_sdk`, `SLACK_API_URL` of the service."""
        return f"{self.url}api/"

    def now(self) -> datetime:
        """Return the present instant of the server's clock."""
        return self._clock()

    async def start(self) -> None:
        """Listen; raises `OSError` when the port is taken."""
        app = web.Application(middlewares=[_local_only], client_max_size=MOST_BODY)
        app.router.add_route("*", "/api/{method}", self._call)
        app.router.add_get("/link", self._link)
        app.router.add_post("/response/{key}", self._respond)
        app.router.add_post("/upload/{file}", self._upload)
        self._page.add_to(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError:
            await self.close()
            raise
        self._port = int(runner.addresses[0][1])
        self.workspace.base_url = self.url

    async def close(self) -> None:
        """End all connections and stop listening."""
        self._page.close()
        for socket in tuple(self._sockets):
            await socket.close()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def settled(self, interaction: Interaction) -> Interaction:
        """Wait until the app acknowledged an act, or the time for that is over; returns the act."""
        done = asyncio.Event()
        interaction.when_settled(done.set)
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), self._ack_s)
        self.workspace.expire(interaction, self._clock())
        return interaction

    async def slash_command(
        self, channel: str, text: str, *, user: str | None = None, command: str = "/obdag"
    ) -> Interaction:
        """Type a slash command and wait for its acknowledgement (or the lack of it)."""
        act = self.workspace.slash_command(channel, text, self._clock(), user=user, command=command)
        return await self.settled(act)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        """Answer a call of the Web API, or spoil the answer as a test wants."""
        params, token = await _params(request)
        answer = self.workspace.call(request.match_info["method"], params, token, self._clock())
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.drop and request.transport:
            request.transport.abort()
        return _response(answer)

    async def _link(self, request: web.Request) -> web.StreamResponse:
        """Serve one Socket Mode connection."""
        socket = web.WebSocketResponse(heartbeat=10.0)
        outgoing: asyncio.Queue[Json] = asyncio.Queue()
        connection = self.workspace.sockets.connect(request.query.get("ticket", ""), outgoing.put_nowait)
        if connection is None and outgoing.empty():
            raise web.HTTPForbidden(text="This ticket is unknown or used: call apps.connections.open again.")
        await socket.prepare(request)
        self._sockets.add(socket)
        sender = asyncio.create_task(_send_all(socket, outgoing))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and connection is not None:
                    self.workspace.receive(connection, message.data, self._clock())
        finally:
            if connection is not None:
                self.workspace.sockets.closed(connection)
            self._sockets.discard(socket)
            sender.cancel()
        return socket

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        """Take an answer at a response address."""
        try:
            body = await request.json()
        except json.JSONDecodeError:
            return web.Response(status=400, text="invalid_payload")
        if not isinstance(body, dict):
            return web.Response(status=400, text="invalid_payload")
        return _response(self.workspace.respond(request.match_info["key"], body, self._clock()))

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """Take the bytes of a file."""
        content = await request.read()
        return _response(self.workspace.api.uploads.receive(request.match_info["file"], content))


async def _send_all(socket: web.WebSocketResponse, outgoing: asyncio.Queue[Json]) -> None:
    """Send what is queued for a connection until it ends."""
    with suppress(ConnectionError):
        while True:
            message = await outgoing.get()
            await socket.send_json(message)
            if message.get("reason") in {"link_disabled", "too_many_websockets"}:
                await socket.close()  # at the other kinds the app closes, once it has a new connection


async def _params(request: web.Request) -> tuple[Json, str | None]:
    """Return the parameters and the token of a call, from query, form or JSON, and the header."""
    params: Json = dict(request.query)
    if request.content_type == "application/json":
        with suppress(json.JSONDecodeError):
            body = await request.json()
            params |= body if isinstance(body, dict) else {}
    else:
        params |= dict(await request.post())
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    given = token.strip() if scheme == "Bearer" else params.get("token")
    return params, str(given) if given else None


def _response(answer: ApiResponse) -> web.Response:
    default = "text/plain" if answer.raw is not None and answer.body is None else "application/json"
    kind = answer.headers.get("Content-Type", default)
    headers = {k: v for k, v in answer.headers.items() if k != "Content-Type"}
    return web.Response(
        status=answer.status, headers=headers, text=answer.content, content_type=kind, charset="utf-8"
    )


@web.middleware
async def _local_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests under a name that is not this machine's own, and acts of other web sites."""
    host = request.headers.get("Host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in LOOPBACK:
        raise web.HTTPForbidden(text="This page is served under 127.0.0.1 or localhost only.")
    if _of_another_site(request):
        raise web.HTTPForbidden(text="Other web sites may not act here.")
    return await handler(request)


def _of_another_site(request: web.Request) -> bool:
    """Say whether a page elsewhere makes this browser act here; following a link to the page is no act."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin != f"http://{request.headers.get('Host')}"
    crossing = foreign or request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}
    return crossing and (request.method != "GET" or request.path.startswith(("/api/", "/link")))
