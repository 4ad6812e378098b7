"""The app as bolt runs it: over Socket Mode, or called by Slack over HTTP. Only here do the two differ.

Bolt reads the environment for whatever it is not given, so it is given everything.
"""

import asyncio
import logging

import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.connection import Watchdog, connect, identify
from bot.slack.listeners import Listeners

PING_S = 10.0

log = structlog.get_logger(__name__)


class SocketApp:
    """Listens over a socket of our own from `start` until `stop`."""

    def __init__(
        self, client: AsyncWebClient, app_token: str, listeners: Listeners, *, ping_s: float = PING_S
    ) -> None:
        self._client, self._app_token, self._listeners = client, app_token, listeners
        self._ping_s = ping_s
        self._handler: AsyncSocketModeHandler | None = None
        self._watchdog: Watchdog | None = None

    async def start(self) -> None:
        """Connect; raises `BadToken` for a token that Slack refuses, `NotReady` for trouble that may pass."""
        identity = await identify(self._client)
        app = _bolt(self._client, identity, self._listeners)
        self._handler = AsyncSocketModeHandler(app, self._app_token, ping_interval=self._ping_s)
        self._handler.client.proxy = self._client.proxy
        try:
            await connect(self._handler.client, self._client, self._app_token)
        except BaseException:
            await self._close()
            raise
        self._watchdog = Watchdog(self._handler.client, self._ping_s)
        log.info("slack.connected", bot=identity.bot_user_id, team=identity.team_id)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Take no more requests, and give those under way `grace_s` seconds to be answered."""
        await self._close()
        await self._listeners.drain(grace_s)

    async def healthy(self) -> bool:
        """Tell whether requests can arrive now."""
        return self._handler is not None and bool(await self._handler.client.is_connected())

    async def _close(self) -> None:
        if self._watchdog:
            await self._watchdog.stop()
            self._watchdog = None
        if self._handler:
            client = self._handler.client
            self._handler = None
            await client.close()  # type: ignore[no-untyped-call]
            tasks = (client.message_processor, client.current_session_monitor, client.message_receiver)
            await asyncio.gather(*filter(None, tasks), return_exceptions=True)


class HttpApp:
    """Answers the requests that Slack sends to our HTTP listener; `handle` is mounted there.

    Every request must carry Slack's signature, not older than five minutes; bolt checks it over the raw body.
    """

    def __init__(self, client: AsyncWebClient, signing_secret: str, listeners: Listeners) -> None:
        self._client, self._secret, self._listeners = client, signing_secret, listeners
        self._app: AsyncApp | None = None

    async def start(self) -> None:
        """Learn who we are; raises `BadToken` or `NotReady`."""
        identity = await identify(self._client)
        self._app = _bolt(self._client, identity, self._listeners, self._secret)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Give requests under way `grace_s` seconds to be answered."""
        await self._listeners.drain(grace_s)

    async def healthy(self) -> bool:
        """Tell whether requests can be answered now."""
        return self._app is not None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of Slack."""
        if self._app is None:
            raise web.HTTPServiceUnavailable(text="obdag cannot reach Slack yet")
        if not request.headers.get("X-Slack-Request-Timestamp", "").isdigit():
            # Bolt would answer 500 to a time that is no number, which Slack's own requests never carry.
            raise web.HTTPUnauthorized(text="not signed by Slack")
        answer = await self._app.async_dispatch(await to_bolt_request(request))
        return await to_aiohttp_response(answer)


def _bolt(
    client: AsyncWebClient, identity: AuthorizeResult, listeners: Listeners, signing_secret: str = ""
) -> AsyncApp:
    """Return the app with its listeners; it has no token of its own, so that it never asks who it is."""

    async def authorize() -> AuthorizeResult:
        return identity

    tokenless = AsyncWebClient(base_url=client.base_url, timeout=client.timeout, retry_handlers=[])
    tokenless.proxy = client.proxy
    logger = logging.getLogger("bot.slack.bolt_app")
    logger.setLevel(logging.ERROR)  # below: one line of advice about tokens, and each event nobody needs
    app = AsyncApp(
        client=tokenless, authorize=authorize, signing_secret=signing_secret, name="obdag", logger=logger
    )
    listeners.register(app)
    return app
