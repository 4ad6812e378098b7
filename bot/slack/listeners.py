"""What people do in Slack, answered: the same listeners in Socket Mode and HTTP mode.

Thin: a listener acknowledges, parses, asks `Queries`, and answers with what `replies` renders.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol, cast

import structlog
from slack_bolt.async_app import AsyncApp
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.clock import Clock
from bot.core.views import ClusterView, DagView
from bot.slack import replies
from bot.slack.blocks import Message
from bot.slack.commands import Clusters, Command, Help, Show, Status, Unavailable, Unknown, parse
from bot.slack.errors import CALL_ERRORS
from bot.usecases.errors import UsecaseError

ANYTHING = re.compile(".*")
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


class Listeners:
    """The listeners of one app; `proxy` is the way to the addresses at which answers are given."""

    def __init__(self, *, command: str, queries: Queries, clock: Clock, proxy: str | None) -> None:
        self._command, self._queries, self._clock, self._proxy = command, queries, clock, proxy
        self._busy: set[asyncio.Task[Any]] = set()

    def register(self, app: AsyncApp) -> None:
        """Let a bolt app call them."""
        app.command(ANYTHING)(self._on_command)
        app.action(ANYTHING)(self._on_action)
        app.event(ANYTHING)(self._on_event)

    async def drain(self, grace_s: float) -> None:
        """Give requests under way `grace_s` seconds to be answered."""
        if not self._busy:
            return
        _, late = await asyncio.wait(set(self._busy), timeout=grace_s)
        for task in late:
            task.cancel()
        log.info("slack.stopped", unanswered=len(late))

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
        webhook.proxy = self._proxy
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
