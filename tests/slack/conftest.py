"""Two Slacks on loopback: the local workspace, and one that answers as it is told.

The second is for shapes of failure that no proper stand-in produces.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from bot.sandbox.team import Channel
from bot.sandbox.workspace import Workspace
from bot.sandbox.workspace_server import WorkspaceServer

Answer = dict[str, Any] | web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]


class Scripted:
    """Answers each method with the next of its scripted answers, then with the last one again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def say(self, method: str, *answers: Answer) -> None:
        """Set what a method answers from now on."""
        self.answers[method] = list(answers)

    def called(self, method: str) -> list[dict[str, Any]]:
        """Return the arguments of the calls of a method so far."""
        return [arguments for name, arguments in self.calls if name == method]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        method = request.match_info["method"]
        body = await request.json() if request.content_type == "application/json" else await request.post()
        self.calls.append((method, {**request.query, **body}))
        waiting = self.answers[method] or [{"ok": False, "error": "unknown_method"}]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, dict):
            return web.json_response(answer)
        if isinstance(answer, web.Response):
            return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
        return await answer(request)


@pytest.fixture
async def server() -> AsyncIterator[WorkspaceServer]:
    """Run a local Slack of its own on a free port."""
    async with WorkspaceServer(Workspace(), ack_s=2.0) as running:
        yield running


@pytest.fixture
def workspace(server: WorkspaceServer) -> Workspace:
    """Return the state behind the server."""
    return server.workspace


@pytest.fixture
def channel(workspace: Workspace) -> Channel:
    """Return a public channel with the bot in it."""
    return workspace.add_channel("ops")


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """Run a scripted Slack on a free port."""
    slack = Scripted()
    app = web.Application()
    app.router.add_route("*", "/api/{method}", slack.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    slack.url = f"http://{host}:{port}/api/"
    yield slack
    await runner.cleanup()


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Take the call and close the connection without an answer."""
    if request.transport:
        request.transport.close()
    return web.Response()


async def never_answer(_request: web.Request) -> web.StreamResponse:
    """Take the call and keep silent."""
    await asyncio.sleep(60)
    return web.Response()
