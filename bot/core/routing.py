"""Who hears what: channels, subscriptions and levels."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from bot.core.events import (
    Cancelling,
    ClusterEvent,
    Digest,
    Discovered,
    Event,
    LateLines,
    Reminder,
    Resumed,
    StageAdvanced,
    Stalled,
    Started,
)


class Level(StrEnum):
    """How much a channel wants to hear."""

    ALL = "all"
    IMPORTANT = "important"
    FAILURES = "failures"


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One channel that hears one cluster, or all of them (`*`)."""

    cluster: str
    channel: str
    level: Level = Level.ALL


_ROUTINE = (StageAdvanced, LateLines, Started, Discovered, Digest, Cancelling, Resumed)


def hears(level: Level, event: Event) -> bool:
    """Return whether a channel of that level is told of an event."""
    match level:
        case Level.ALL:
            return True
        case Level.IMPORTANT:
            return not isinstance(event, _ROUTINE)
        case Level.FAILURES:
            alarm = event.is_failure or isinstance(event, Stalled | Reminder | ClusterEvent)
            return alarm and not isinstance(event, _ROUTINE)


def destinations(
    cluster: str, own_channel: str | None, default_channel: str | None, subscriptions: Iterable[Subscription]
) -> dict[str, Level]:
    """Return the channels of a cluster with their levels.

    The cluster's own channel, or else the default one, hears everything unless it subscribed otherwise.
    """
    chosen: dict[str, Level] = {}
    if home := own_channel or default_channel:
        chosen[home] = Level.ALL
    for subscription in sorted(subscriptions, key=lambda s: s.cluster != "*"):
        if subscription.cluster in {"*", cluster}:
            chosen[subscription.channel] = subscription.level
    return chosen
