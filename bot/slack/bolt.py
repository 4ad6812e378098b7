"""The app that listens: slash commands and button presses, over Socket Mode.

Thin: a listener acknowledges, parses, asks `Queries`, and answers with what `replies` renders. Bolt reads
the environment for whatever it is not given, so it is given everything.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol, cast

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.clock import Clock
from bot.core.views import ClusterView, DagView
from bot.slack import replies
from bot.slack.blocks import Message
from bot.slack.commands import Clusters, Command, Help, Show, Status, Unavailable, Unknown, parse
from bot.slack.connection import Watchdog, connect, identify
from bot.slack.errors import CALL_ERRORS
from bot.usecases.errors import UsecaseError

ANYTHING = re.compile(".*")
PING_S = 10.0
RESPOND_TIMEOUT_S = 10
HTTP_OK = 200
Ack = Callable[..., Awaitable[Any]]

log = structlog.get_logger(__name__)


class Queries(Protocol):
    """What listeners ask of the rest of obdag; both raise `UsecaseError` for what cannot be done."""

    async def unfinished(self, *, cluster: str | None, channel: str | None) -> tuple[ClusterView, ...]:
        """Return one cluster, or those that tell `channel` (all when it has none), with unfinished DAGs."""
        ...

    async def dag(self, *, cluster: str, dag_id: str) -> DagView:
        """Return one DAG as last seen."""
        ...


class SlackApp:
    """Listens for one workspace from `start` until `stop`."""

    def __init__(
        self,
        client: AsyncWebClient,
        app_token: str,
        *,
        command: str,
        queries: Queries,
        clock: Clock,
        ping_s: float = PING_S,
    ) -> None:
        self._client, self._app_token = client, app_token
        self._command, self._queries, self._clock = command, queries, clock
        self._ping_s = ping_s
        self._handler: AsyncSocketModeHandler | None = None
        self._watchdog: Watchdog | None = None
        self._busy: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Connect; raises `BadToken` for a token that Slack refuses, `NotReady` for trouble that may pass."""
        identity = await identify(self._client)
        self._handler = AsyncSocketModeHandler(
            self._bolt(identity), self._app_token, ping_interval=self._ping_s
        )
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
        if self._busy:
            _, late = await asyncio.wait(set(self._busy), timeout=grace_s)
            for task in late:
                task.cancel()
            log.info("slack.stopped", unanswered=len(late))

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

    def _bolt(self, identity: AuthorizeResult) -> AsyncApp:
        """Return the app with its listeners; it has no token of its own, so that it never asks who it is."""

        async def authorize() -> AuthorizeResult:
            return identity

        tokenless = AsyncWebClient(
            base_url=self._client.base_url, timeout=self._client.timeout, retry_handlers=[]
        )
        tokenless.proxy = self._client.proxy
        logger = logging.getLogger("bot.slack.bolt_app")
        logger.setLevel(logging.ERROR)  # below: one line of advice about tokens, and each event nobody needs
        app = AsyncApp(client=tokenless, authorize=authorize, signing_secret="", name="obdag", logger=logger)
        app.command(ANYTHING)(self._on_command)
        app.action(ANYTHING)(self._on_action)
        app.event(ANYTHING)(self._on_event)
        return app

    async def _on_command(self, ack: Ack, body: dict[str, Any]) -> None:
        await ack()
        with self._tracked():
            command = parse(str(body.get("text", "")))
            message = await self._answer(command, str(body.get("channel_id", "")) or None)
            await self._respond(str(body["response_url"]), message, public=command.public)

    async def _on_action(self, ack: Ack, body: dict[str, Any]) -> None:
        await ack()
        if url := body.get("response_url"):
            with self._tracked():
                await self._respond(str(url), replies.no_button_yet(), public=False)

    async def _on_event(self) -> None:
        """Let bolt acknowledge what obdag does not need: an unacknowledged event comes again and again."""

    async def _answer(self, command: Command, channel: str | None) -> Message:
        try:
            return await self._rendered(command, channel)
        except UsecaseError as error:
            return replies.problem(str(error))
        except Exception:
            log.exception("slack.command_failed", command=type(command).__name__)
            return replies.apology()

    async def _rendered(self, command: Command, channel: str | None) -> Message:
        match command:
            case Status(cluster=cluster):
                found = await self._queries.unfinished(cluster=cluster, channel=channel)
                return replies.status(found, now=self._clock(), command=self._command, asked=cluster)
            case Show(cluster=cluster, dag_id=dag_id):
                view = await self._queries.dag(cluster=cluster, dag_id=dag_id)
                return replies.show(view, now=self._clock())
            case Clusters():
                views = await self._queries.unfinished(cluster=None, channel=None)
                return replies.clusters(views, now=self._clock(), command=self._command)
            case Unavailable():
                return replies.unavailable(command, command=self._command)
            case Unknown():
                return replies.unknown(command, command=self._command)
            case Help() | _:
                return replies.usage(self._command)

    async def _respond(self, url: str, message: Message, *, public: bool) -> None:
        """Answer at the request's own address, which works where the bot is no member."""
        webhook = AsyncWebhookClient(url, timeout=RESPOND_TIMEOUT_S, retry_handlers=[])
        webhook.proxy = self._client.proxy
        body: dict[str, Any] = {
            "text": message.text,
            "blocks": list(message.blocks),
            "response_type": "in_channel" if public else "ephemeral",
            "replace_original": False,
        }
        try:
            response = await webhook.send_dict(body)
        except CALL_ERRORS as error:
            log.warning("slack.answer_lost", error=type(error).__name__)
            return
        if response.status_code != HTTP_OK:
            log.warning("slack.answer_refused", status=response.status_code, says=response.body[:200])

    @contextlib.contextmanager
    def _tracked(self) -> Iterator[None]:
        """Keep the listener's task where `stop` can wait for it; bolt itself keeps no reference."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._busy.add(task)
        try:
            yield
        finally:
            self._busy.discard(task)
