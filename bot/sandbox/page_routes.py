"""The page's own addresses: its pieces, a stream of changes, and what a person does there.

What changes something takes JSON alone; the server refuses what other web sites ask for.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from urllib.parse import parse_qs

from aiohttp import web

from bot.clock import Clock
from bot.sandbox.interactions import ACKED, Interaction
from bot.sandbox.messages import Json
from bot.sandbox.page import channel_html, thread_html
from bot.sandbox.page_feed import news, views_news
from bot.sandbox.page_shell import shell
from bot.sandbox.team import Change
from bot.sandbox.workspace import Workspace

STATIC = {"style.css": "text/css", "app.js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src * data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEARTBEAT_S = 15.0
Settled = Callable[[Interaction], Awaitable[Interaction]]
Feed = asyncio.Queue[str | None]


class PageRoutes:
    """Serves the page of a workspace for the person who looks at it."""

    def __init__(self, workspace: Workspace, clock: Clock, settled: Settled) -> None:
        self._workspace = workspace
        self._clock = clock
        self._settled = settled
        self._feeds: set[Feed] = set()
        self._unsubscribe: Callable[[], None] | None = None

    def add_to(self, app: web.Application) -> None:
        """Add the addresses, and begin to listen to changes."""
        self._unsubscribe = self._workspace.subscribe(self._changed)
        app.router.add_get("/", self._shell)
        app.router.add_get("/page/stream", self._stream)
        app.router.add_get("/page/channel/{channel}", self._channel)
        app.router.add_get("/page/thread/{channel}/{ts}", self._thread)
        app.router.add_get("/page/views", self._views)
        app.router.add_get("/page/{name}", _static)
        app.router.add_get("/files/{file}", self._file)
        app.router.add_get("/archives/{channel}/{message}", _permalink)
        for name, act in (
            ("send", self._send),
            ("action", self._action),
            ("submit", self._submit),
            ("close", self._close),
            ("home", self._home),
        ):
            app.router.add_post(f"/page/{name}", _takes_json(act))

    def close(self) -> None:
        """End all streams."""
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None
        for feed in self._feeds:
            feed.put_nowait(None)

    @property
    def _viewer(self) -> str:
        return self._workspace.person.id

    def _changed(self, change: Change) -> None:
        if not self._feeds:
            return
        for item in news(self._workspace, change, self._viewer):
            for feed in self._feeds:
                feed.put_nowait(json.dumps(item))

    # what the page shows

    async def _shell(self, _request: web.Request) -> web.Response:
        return _html(shell(self._workspace, self._viewer))

    async def _channel(self, request: web.Request) -> web.Response:
        channel = self._workspace.channels.get(request.match_info["channel"])
        if channel is None:
            raise web.HTTPNotFound(text="There is no such channel.")
        return _html(channel_html(self._workspace, channel, self._viewer))

    async def _thread(self, request: web.Request) -> web.Response:
        found = thread_html(
            self._workspace, request.match_info["channel"], request.match_info["ts"], self._viewer
        )
        if not found:
            raise web.HTTPNotFound(text="There is no such thread.")
        return _html(found)

    async def _views(self, _request: web.Request) -> web.Response:
        return web.json_response(views_news(self._workspace, self._viewer))

    async def _file(self, request: web.Request) -> web.Response:
        for channel in self._workspace.channels:
            for file in self._workspace.files(channel):
                if file.id == request.match_info["file"]:
                    return _download(file.content)
        raise web.HTTPNotFound(text="There is no such file.")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Tell changes as server-sent events until the page goes away."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        feed: Feed = asyncio.Queue()
        self._feeds.add(feed)
        try:
            await response.prepare(request)
            await response.write(b": hello\n\n")
            await _write_all(response, feed)
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._feeds.discard(feed)
        return response

    # what a person does

    async def _send(self, request: web.Request) -> web.Response:
        """Say something, or type a command."""
        given = await _body(request)
        channel, text = str(given.get("channel")), str(given.get("text", "")).strip()
        if channel not in self._workspace.channels or not text:
            raise web.HTTPBadRequest(text="A channel and a text are needed.")
        thread_ts = str(given["thread_ts"]) if given.get("thread_ts") else None
        if text.startswith("/") and not thread_ts:
            command, _, rest = text.partition(" ")
            act = self._workspace.slash_command(channel, rest.strip(), self._clock(), command=command)
            return await self._told(act)
        if self._workspace.channels[channel].archived:
            return web.json_response({"outcome": "is_archived"})
        self._workspace.say(channel, _escaped(text), self._clock(), thread_ts=thread_ts)
        return web.json_response({"outcome": ACKED})

    async def _action(self, request: web.Request) -> web.Response:
        """Press a button or choose in a menu."""
        given = await _body(request)
        action = given.get("action")
        if not isinstance(action, dict):
            raise web.HTTPBadRequest(text="An action is needed.")
        try:
            if given.get("view"):
                act = self._workspace.view_action(str(given["view"]), action, self._clock())
            else:
                act = self._workspace.block_action(
                    str(given.get("channel")), str(given.get("ts")), action, self._clock()
                )
        except KeyError:
            return web.json_response({"outcome": "message_not_found"})
        return await self._told(act)

    async def _submit(self, request: web.Request) -> web.Response:
        """Submit the open modal."""
        given = await _body(request)
        try:
            act = self._workspace.view_submission(
                str(given.get("view")), given.get("values") or {}, self._clock()
            )
        except KeyError:
            return web.json_response({"outcome": "not_found"})
        return await self._told(act)

    async def _close(self, request: web.Request) -> web.Response:
        await _body(request)
        self._workspace.close_view(self._clock())
        return web.json_response({"outcome": ACKED})

    async def _home(self, request: web.Request) -> web.Response:
        await _body(request)
        return await self._told(self._workspace.app_home_opened(self._clock()))

    async def _told(self, act: Interaction) -> web.Response:
        """Wait for the app, and say how it went."""
        await self._settled(act)
        return web.json_response({"outcome": act.outcome, "errors": act.errors})


def _escaped(text: str) -> str:
    """Return a person's text as Slack's own clients send it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def _write_all(response: web.StreamResponse, feed: Feed) -> None:
    """Write what a feed brings, and a sign of life when it brings nothing."""
    while True:
        try:
            item = await asyncio.wait_for(feed.get(), HEARTBEAT_S)
        except TimeoutError:
            await response.write(b": still here\n\n")
            continue
        if item is None:
            return
        await response.write(f"data: {item}\n\n".encode())


def _takes_json(
    act: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Take JSON only, which no form of another web site can send."""

    async def guarded(request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="JSON is needed.")
        return await act(request)

    return guarded


async def _body(request: web.Request) -> Json:
    try:
        body = await request.json()
    except json.JSONDecodeError as bad:
        raise web.HTTPBadRequest(text="This is not JSON.") from bad
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="A JSON object is needed.")
    return body


def _html(text: str) -> web.Response:
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return web.Response(text=text, content_type="text/html", headers=headers)


def _download(content: bytes) -> web.Response:
    """Return a file as plain text: nothing that an app uploads runs in the page."""
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    if content.startswith(b"\x89PNG"):
        return web.Response(body=content, content_type="image/png", headers=headers)
    return web.Response(body=content, content_type="text/plain", charset="utf-8", headers=headers)


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    kind = STATIC.get(name)
    if kind is None:
        raise web.HTTPNotFound(text="There is no such file.")
    text = files("bot.sandbox").joinpath("page", name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=kind, headers={"Cache-Control": "no-store"})


async def _permalink(request: web.Request) -> web.Response:
    """Lead from a message's address to the page; a reply's leads to its thread."""
    digits = request.match_info["message"].removeprefix("p")
    if not digits.isdigit():
        raise web.HTTPNotFound(text="This is no message's address.")
    ts = f"{digits[:-6]}.{digits[-6:]}"
    thread = parse_qs(request.query_string).get("thread_ts", [ts])[0]
    raise web.HTTPFound(f"/#{request.match_info['channel']}/{thread}")
