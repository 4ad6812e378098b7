"""Slack as a `Notifier`: renders, makes one call, and reads the answer.

It never waits and never repeats a call that may have been taken; the outbox owns both.

Every post carries its notice's id as message metadata, so that `find` can tell later whether it arrived.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.views import DagView
from bot.delivery.notifier import Lookup, Notice, NotSent, Outcome, Reason, Refused, Sent, Unclear
from bot.slack.blocks import Message
from bot.slack.errors import CALL_ERRORS, METADATA_CODES, Failure, outcome, read
from bot.slack.lookup import EVENT_TYPE, find
from bot.slack.messages import Layout, brief, reply, root

SLACK_API = "https://slack.com/api/"
SlackClient = AsyncWebClient
"""The client, named for those who only hand it on."""
TIMEOUT_S = 30

log = structlog.get_logger(__name__)


def make_client(token: str | None, base_url: str = SLACK_API) -> AsyncWebClient:
    """Return a client that never repeats a call by itself (slack_sdk's default posts twice on a lost answer).

    It takes HTTPS_PROXY from the environment but ignores NO_PROXY: a loopback address gets no proxy.
    """
    client = AsyncWebClient(token=token, base_url=base_url, timeout=TIMEOUT_S, retry_handlers=[])
    if is_loopback(base_url):
        client.proxy = None
    return client


def is_loopback(url: str) -> bool:
    """Tell whether an address leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class SlackNotifier:
    """Posts, edits and finds messages in one workspace."""

    def __init__(self, client: AsyncWebClient, *, layout: Layout = Layout.PLAN) -> None:
        self._client = client
        self._layout = Layout(layout)

    async def post_root(self, *, channel: str, view: DagView, notice_id: str) -> Outcome:
        """Post the root message of a DAG."""
        arguments = _posting(channel, notice_id)
        return await self._send_root("chat.postMessage", arguments, view)

    async def edit_root(self, *, channel: str, ts: str, view: DagView) -> Outcome:
        """Replace the root message; its metadata stay."""
        return await self._send_root("chat.update", {"channel": channel, "ts": ts, "parse": "none"}, view)

    async def post(self, notice: Notice) -> Outcome:
        """Post one part of an event, as a reply when the notice names a thread."""
        arguments = _posting(notice.channel, notice.notice_id)
        if notice.thread_ts:
            arguments |= {"thread_ts": notice.thread_ts, "reply_broadcast": notice.broadcast}
        message = reply(notice.event, notice.part)
        return (await self._send("chat.postMessage", arguments, [message, brief(message)]))[0]

    async def find(self, *, channel: str, thread_ts: str | None, notice_id: str, since: datetime) -> Lookup:
        """Look for the message of a notice that may have been sent at or after `since`."""
        return await find(
            self._client, channel=channel, thread_ts=thread_ts, notice_id=notice_id, since=since
        )

    async def _send_root(self, method: str, arguments: dict[str, Any], view: DagView) -> Outcome:
        classic = root(view, layout=Layout.CLASSIC)
        messages = [classic, brief(classic)]
        if self._layout is Layout.PLAN:
            messages.insert(0, root(view, layout=Layout.PLAN))
        result, taken = await self._send(method, arguments, messages)
        if self._layout is Layout.PLAN and isinstance(result, Sent) and taken is classic:
            self._layout = Layout.CLASSIC
            log.warning("slack.plan_block_refused", channel=arguments["channel"], layout=self._layout.value)
        return result

    async def _send(
        self, method: str, arguments: dict[str, Any], messages: Sequence[Message]
    ) -> tuple[Outcome, Message]:
        """Send the first of `messages` whose content Slack does not refuse; return which one it was."""
        result: Outcome = Refused(Reason.CONTENT, "nothing to send")
        message = messages[0]
        for message in messages:
            result = await self._deliver(method, {**arguments, **_content(message)})
            if not (isinstance(result, Refused) and result.reason is Reason.CONTENT):
                break
            log.warning(
                "slack.content_refused", method=method, detail=result.detail, blocks=len(message.blocks)
            )
        return result, message

    async def _deliver(self, method: str, arguments: dict[str, Any]) -> Outcome:
        """Make one call; what Slack refuses for a cause that can be removed is repeated once without it."""
        answer = await self._call(method, arguments)
        if isinstance(answer, Failure) and answer.code in METADATA_CODES:
            log.warning("slack.metadata_refused", method=method, detail=answer.detail)
            arguments = {key: value for key, value in arguments.items() if key != "metadata"}
            answer = await self._call(method, arguments)
        if isinstance(answer, Failure) and answer.code == "not_in_channel":
            joined = await self._call("conversations.join", {"channel": arguments["channel"]})
            if isinstance(joined, Failure):
                return _unjoined(answer, joined, method)
            answer = await self._call(method, arguments)
        if isinstance(answer, Failure):
            return outcome(answer, method)
        return _sent(answer, arguments)

    async def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any] | Failure:
        try:
            response = await self._client.api_call(method, json=arguments)
        except CALL_ERRORS as error:
            return read(error)
        return response.data if isinstance(response.data, dict) else Failure(detail="Slack sent no JSON")


def _posting(channel: str, notice_id: str) -> dict[str, Any]:
    return {
        "channel": channel,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"id": notice_id}},
        "unfurl_links": False,
        "unfurl_media": False,
        "parse": "none",
    }


def _content(message: Message) -> dict[str, Any]:
    """Return text and blocks; text alone takes the blocks of an edited message away."""
    return {"text": message.text} | ({"blocks": list(message.blocks)} if message.blocks else {})


def _sent(answer: dict[str, Any], arguments: dict[str, Any]) -> Outcome:
    """Read a success. A reply whose parent is gone lands in the channel: then it has no `thread_ts`."""
    message = answer.get("message")
    threaded = isinstance(message, dict) and bool(message.get("thread_ts"))
    return Sent(str(answer.get("ts", "")), in_thread=threaded or "thread_ts" not in arguments)


def _unjoined(refused: Failure, joined: Failure, method: str) -> Outcome:
    """Tell why the bot could not join; whatever became of that, nothing was posted."""
    result = outcome(joined, "conversations.join")
    if isinstance(result, Unclear):
        return NotSent(Reason.SERVICE, result.detail)
    if isinstance(result, Refused) and result.reason in {Reason.CHANNEL, Reason.SCOPE}:
        return outcome(refused, method)
    return result
