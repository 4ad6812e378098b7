"""What delivery needs of a chat service, and the closed set of answers it understands.

A notifier renders and sends one thing at once; it never retries and never waits for a rate limit: the outbox
owns both. `notice_id` travels with each post as its metadata, so that a send whose answer was lost can be
looked up (`find`) before anything is sent again.
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from bot.core.events import AnyEvent
from bot.core.views import DagView


class Reason(StrEnum):
    """Why a send did not succeed: the same words in logs, metrics and the database."""

    CHANNEL = "channel"  # this destination refuses us for good: unknown, archived, private, not invited
    THREAD_LOST = "thread_lost"  # the root message is gone
    CONTENT = "content"  # the service refuses what we made, even as plain text
    AUTH = "auth"  # the token is refused: nothing can be sent at all
    SCOPE = "scope"  # a permission is missing
    RATE = "rate"
    SERVICE = "service"  # the service is in trouble; certainly not sent
    NETWORK = "network"  # certainly not sent: connection refused, name not resolved
    UNCLEAR = "unclear"  # may have been sent


class Sent(msgspec.Struct, frozen=True):
    """The service took it; `ts` names the message. `in_thread` is false when a reply landed top-level."""

    ts: str
    in_thread: bool = True


class RetryAfter(msgspec.Struct, frozen=True):
    """Over a limit: no call of `method` before `seconds` have passed."""

    method: str
    seconds: float


class NotSent(msgspec.Struct, frozen=True):
    """Certainly not sent, and worth another try later."""

    reason: Reason
    detail: str


class Refused(msgspec.Struct, frozen=True):
    """Refused for good, or until an operator acts; `detail` names the error and the remedy."""

    reason: Reason
    detail: str


class Unclear(msgspec.Struct, frozen=True):
    """Sent or not: nobody knows yet. `Notifier.find` may tell."""

    detail: str


Outcome = Sent | RetryAfter | NotSent | Refused | Unclear


class Found(msgspec.Struct, frozen=True):
    """The message of that notice exists."""

    ts: str
    in_thread: bool = True


class Absent(msgspec.Struct, frozen=True):
    """The message of that notice does not exist."""


class Unknowable(msgspec.Struct, frozen=True):
    """The bot may not read there (or a limit or fault stood in the way: `retry_s` says when to ask again)."""

    detail: str
    retry_s: float | None = None


Lookup = Found | Absent | Unknowable


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One post: an event's part. `thread_ts` is None for a post that starts a thread of its own."""

    notice_id: str
    channel: str
    thread_ts: str | None
    event: AnyEvent
    part: str
    broadcast: bool = False


class Notifier(Protocol):
    """The chat service."""

    async def post_root(self, *, channel: str, view: DagView, notice_id: str) -> Outcome:
        """Post the root message of a DAG."""
        ...

    async def edit_root(self, *, channel: str, ts: str, view: DagView) -> Outcome:
        """Replace the root message; editing is idempotent, so an unclear edit is simply repeated."""
        ...

    async def post(self, notice: Notice) -> Outcome:
        """Post one part of an event."""
        ...

    async def find(self, *, channel: str, thread_ts: str | None, notice_id: str, since: datetime) -> Lookup:
        """Look for the message of a notice that may have been sent at or after `since`."""
        ...
