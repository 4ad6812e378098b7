"""A chat service for tests: answers as scripted, and remembers what stands in it."""

from collections import deque
from datetime import datetime

from bot.core.views import DagView
from bot.delivery.notifier import Absent, Found, Lookup, Notice, Outcome, Sent, Unclear


class Killed(BaseException):
    """The process died after the service had taken the message."""


class Ledger:
    """Takes everything, unless the script holds another outcome for the next call.

    An `Unclear` of the script loses the answer; `lost_after` says whether the message was made all the same.
    """

    def __init__(self) -> None:
        self.script: deque[Outcome] = deque()
        self.lost_after = True
        self.kill_next = False
        self.lookup: Lookup | None = None
        self.posts: list[tuple[str, str | None, str]] = []
        self.edits: list[tuple[str, int]] = []
        self._by_notice: dict[str, str] = {}

    async def post_root(self, *, channel: str, view: DagView, notice_id: str) -> Outcome:
        """Post the root message of a DAG."""
        return self._make(channel, None, f"root of {view.snapshot.id}", notice_id)

    async def edit_root(self, *, channel: str, ts: str, view: DagView) -> Outcome:
        """Edit a root message."""
        del channel
        outcome = self.script.popleft() if self.script else Sent(ts)
        if isinstance(outcome, Sent):
            self.edits.append((ts, view.snapshot.stage))
        return outcome

    async def post(self, notice: Notice) -> Outcome:
        """Post one part of an event."""
        text = f"{notice.event.kind} {notice.part}"
        return self._make(notice.channel, notice.thread_ts, text, notice.notice_id)

    async def find(self, *, channel: str, thread_ts: str | None, notice_id: str, since: datetime) -> Lookup:
        """Look a message up."""
        del channel, thread_ts, since
        if self.lookup is not None:
            return self.lookup
        ts = self._by_notice.get(notice_id)
        return Found(ts) if ts else Absent()

    def texts(self, thread_ts: str | None = None) -> list[str]:
        """Return the texts posted in a thread, or top-level."""
        return [text for _, thread, text in self.posts if thread == thread_ts]

    def _make(self, channel: str, thread_ts: str | None, text: str, notice_id: str) -> Outcome:
        outcome = self.script.popleft() if self.script else None
        if outcome is not None and not (isinstance(outcome, Unclear) and self.lost_after):
            return outcome
        ts = f"{len(self.posts) + 1}.000000"
        self.posts.append((channel, thread_ts, text))
        self._by_notice[notice_id] = ts
        if self.kill_next:
            self.kill_next = False
            raise Killed
        return outcome or Sent(ts)
