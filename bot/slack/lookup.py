"""Finds a message again by the notice id in its metadata, after a send whose answer was lost."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.delivery.notifier import (
    Absent,
    Found,
    Lookup,
    NotSent,
    Outcome,
    Reason,
    Refused,
    RetryAfter,
    Unknowable,
)
from bot.slack.errors import CALL_ERRORS, Failure, outcome, read

EVENT_TYPE = "obdag_notice"
CLOCKS_DIFFER = timedelta(seconds=60)
"""Slack's clock and ours may differ: the search begins that much earlier."""
PAGE = 200
MAX_PAGES = 25
SOON_S = 5.0
AFTER_REPAIR_S = 60.0


class _Failed(Exception):
    def __init__(self, method: str, failure: Failure) -> None:
        self.method, self.failure = method, failure
        super().__init__(failure.detail)


async def find(
    client: AsyncWebClient, *, channel: str, thread_ts: str | None, notice_id: str, since: datetime
) -> Lookup:
    """Return whether the message of a notice exists, as far as the bot may read."""
    search = _Search(client, channel, notice_id, since)
    try:
        if thread_ts is None:
            return await search.in_channel()
        return await search.in_thread(thread_ts)
    except _Failed as failed:
        return _unknowable(outcome(failed.failure, failed.method))


class _Search:
    def __init__(self, client: AsyncWebClient, channel: str, notice_id: str, since: datetime) -> None:
        self._client, self._channel, self._notice_id = client, channel, notice_id
        self._oldest = f"{(since - CLOCKS_DIFFER).timestamp():.6f}"
        self._bot_id: str | None = None

    async def in_channel(self) -> Lookup:
        async for message in self._pages("conversations.history", {}):
            if await self._is_ours(message):
                return Found(str(message["ts"]))
        return Absent()

    async def in_thread(self, thread_ts: str) -> Lookup:
        """Look into a thread; when its parent is gone, a reply may have landed in the channel instead."""
        try:
            parent_gone = False
            async for message in self._pages("conversations.replies", {"ts": thread_ts}):
                if await self._is_ours(message):
                    return Found(str(message["ts"]))
                parent_gone |= message.get("ts") == thread_ts and message.get("subtype") == "tombstone"
        except _Failed as failed:
            if failed.failure.code != "thread_not_found":
                raise
            parent_gone = True
        if not parent_gone:
            return Absent()
        found = await self.in_channel()
        return Found(found.ts, in_thread=False) if isinstance(found, Found) else found

    async def _pages(self, method: str, arguments: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        cursor = ""
        for _ in range(MAX_PAGES):
            answer = await self._call(method, arguments | ({"cursor": cursor} if cursor else {}))
            for message in answer.get("messages") or ():
                yield message
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return
        raise _Failed(method, Failure(detail=f"more than {MAX_PAGES} pages of messages since the send"))

    async def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        reading = {
            "channel": self._channel,
            "oldest": self._oldest,
            "inclusive": "true",
            "include_all_metadata": "true",
            "limit": PAGE,
        }
        try:
            response = await self._client.api_call(method, http_verb="GET", params=reading | arguments)
        except CALL_ERRORS as error:
            raise _Failed(method, read(error)) from error
        return response.data if isinstance(response.data, dict) else {}

    async def _is_ours(self, message: dict[str, Any]) -> bool:
        metadata = message.get("metadata") or {}
        if metadata.get("event_type") != EVENT_TYPE:
            return False
        if (metadata.get("event_payload") or {}).get("id") != self._notice_id:
            return False
        if self._bot_id is None:
            self._bot_id = await self._who_am_i()
        return message.get("bot_id") == self._bot_id

    async def _who_am_i(self) -> str:
        try:
            return str((await self._client.auth_test()).get("bot_id", ""))
        except CALL_ERRORS as error:
            raise _Failed("auth.test", read(error)) from error


def _unknowable(result: Outcome) -> Unknowable:
    """Say when to ask again: soon after a fault, later if the token is refused, never without the right."""
    match result:
        case RetryAfter(method, seconds):
            return Unknowable(f"over Slack's limit for {method}", retry_s=seconds)
        case Refused(Reason.AUTH, detail):
            return Unknowable(detail, retry_s=AFTER_REPAIR_S)
        case Refused(_, detail):
            return Unknowable(detail)
        case NotSent(_, detail):
            return Unknowable(detail, retry_s=SOON_S)
        case _:
            return Unknowable(getattr(result, "detail", ""), retry_s=SOON_S)
