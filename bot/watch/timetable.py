"""When a cluster is polled next."""

from collections.abc import Callable
from datetime import datetime, timedelta

from bot.core.health import FAILURES_BEFORE_ALARM

JITTER = 0.1
MAX_BACKOFF_S = 60.0 / (1 + JITTER)
"""With the jitter on top an ailing agent is asked at least once a minute."""

Random = Callable[[], float]
"""Gives a number from 0 to 1."""


def next_poll(
    now: datetime, *, interval_s: float, failures: int, again_at: datetime | None, random: Random
) -> datetime:
    """Return when to poll next, after a poll that ended at `now`.

    Clusters are spread by a tenth of the interval. The first failures are followed at the usual pace, so that
    an outage is known soon; then the distance doubles up to a minute, so that an ailing agent is left alone.
    `again_at` asks for one poll earlier than that; a past one had its poll, and must not make a loop of them.
    """
    doublings = max(0, failures - FAILURES_BEFORE_ALARM)
    wait = min(interval_s * 2.0 ** min(doublings, 10), max(MAX_BACKOFF_S, interval_s))
    wait *= 1 + JITTER * (2 * random() - 1)
    due = now + timedelta(seconds=wait)
    return min(due, again_at) if again_at is not None and again_at > now else due


def first_poll(now: datetime, *, interval_s: float, random: Random) -> datetime:
    """Return when to poll a cluster first: within its interval, at most 5 s from now."""
    return now + timedelta(seconds=min(interval_s, 5.0) * random())
