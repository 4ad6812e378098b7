"""The limits of the chat service, kept on our side: which call may be made when.

One post per second and channel; 45 edits a minute in all; a method that answered "too many" rests, for the
whole workspace, until it said. The figures are Slack's (tier 3 is 50 a minute) with a margin.
"""

from collections import deque
from datetime import datetime, timedelta

POST_EVERY = timedelta(seconds=1)
EDITS_PER_MINUTE = 45
EDIT_SAME_EVERY = timedelta(seconds=3)
MINUTE = timedelta(minutes=1)

POST = "chat.postMessage"
EDIT = "chat.update"


class Pacing:
    """Remembers calls, and says when the next may follow. All times are the caller's."""

    def __init__(self) -> None:
        self._posted_at: dict[str, datetime] = {}
        self._edits: deque[datetime] = deque()
        self._resting: dict[str, datetime] = {}

    def may_post(self, channel: str, now: datetime) -> bool:
        """Return whether a post to the channel is within the limits now."""
        last = self._posted_at.get(channel)
        return not self._rests(POST, now) and (last is None or now - last >= POST_EVERY)

    def may_edit(self, now: datetime) -> bool:
        """Return whether one more edit is within the limits now."""
        while self._edits and now - self._edits[0] >= MINUTE:
            self._edits.popleft()
        return not self._rests(EDIT, now) and len(self._edits) < EDITS_PER_MINUTE

    def posted(self, channel: str, now: datetime) -> None:
        """Note a post."""
        self._posted_at[channel] = now

    def edited(self, now: datetime) -> None:
        """Note an edit."""
        self._edits.append(now)

    def rest(self, method: str, until: datetime) -> None:
        """Make no call of a method before `until`."""
        self._resting[method] = max(until, self._resting.get(method, until))

    def _rests(self, method: str, now: datetime) -> bool:
        until = self._resting.get(method)
        return until is not None and now < until
