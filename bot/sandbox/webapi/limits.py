"""Slack's rate limits, for whoever wants to live with them: off in a `Workspace` unless given."""

import math
from collections import deque
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
"""Calls per minute, method and workspace."""

METHOD_TIER = {
    "apps.connections.open": 3,
    "chat.delete": 3,
    "chat.postEphemeral": 4,
    "chat.update": 3,
    "conversations.history": 3,
    "conversations.info": 3,
    "conversations.join": 3,
    "conversations.list": 2,
    "conversations.members": 4,
    "conversations.open": 3,
    "conversations.replies": 3,
    "files.completeUploadExternal": 4,
    "files.getUploadURLExternal": 4,
    "reactions.add": 3,
    "users.info": 4,
    "views.open": 4,
    "views.publish": 4,
    "views.push": 4,
    "views.update": 4,
}
POST = "chat.postMessage"


class RateLimits:
    """Counts calls: per method by its tier, posts by channel (one a second, a small burst) and in all.

    `burst` is how many posts a channel takes at once after a rest; Slack publishes no number.
    """

    def __init__(self, *, burst: int = 3, posts_per_minute: int = 300) -> None:
        self._burst = burst
        self._posts_per_minute = posts_per_minute
        self._calls: dict[str, deque[datetime]] = {}
        self._credit: dict[str, tuple[float, datetime]] = {}

    def wait_s(self, method: str, channel: str, now: datetime) -> int:
        """Count a call made now; return 0, or the whole seconds to wait when it is one too many."""
        if method == POST:
            return self._window(method, self._posts_per_minute, now) or self._post(channel, now)
        tier = METHOD_TIER.get(method)
        return self._window(method, TIERS[tier], now) if tier else 0

    def _window(self, method: str, most: int, now: datetime) -> int:
        calls = self._calls.setdefault(method, deque())
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        if len(calls) >= most:
            return max(1, math.ceil((calls[0] + MINUTE - now).total_seconds()))
        calls.append(now)
        return 0

    def _post(self, channel: str, now: datetime) -> int:
        credit, at = self._credit.get(channel, (float(self._burst), now))
        credit = min(self._burst, credit + (now - at).total_seconds())
        if credit < 1:
            self._credit[channel] = (credit, now)
            return max(1, math.ceil(1 - credit))
        self._credit[channel] = (credit - 1, now)
        return 0
