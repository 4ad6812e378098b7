"""Whether an agent's clock is worth a word: more than 60 s from ours, measured twice."""

from datetime import datetime

import msgspec

from bot.core.events import ClockSkewed

TOLD_ABOVE_S = 60.0
OVER_BELOW_S = 30.0
"""An episode ends well below the limit, so that a clock near it is told once."""
MEASURED = 2


class ClockWatch(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured so far: how often in a row it was too much, and whether that was told."""

    beyond: int = 0
    episode: int = 0
    told: bool = False


def measured(
    watch: ClockWatch, cluster: str, agent: str, skew_s: float, at: datetime
) -> tuple[ClockWatch, ClockSkewed | None]:
    """Return what is remembered after a measurement, and the event if it is time for it."""
    if abs(skew_s) <= TOLD_ABOVE_S:
        over = abs(skew_s) < OVER_BELOW_S
        return ClockWatch(episode=watch.episode, told=watch.told and not over), None
    beyond = min(watch.beyond + 1, MEASURED)
    if watch.told or beyond < MEASURED:
        return msgspec.structs.replace(watch, beyond=beyond), None
    episode = watch.episode + 1
    event = ClockSkewed(cluster=cluster, episode=episode, at=at, agent=agent, skew_s=skew_s)
    return ClockWatch(beyond=beyond, episode=episode, told=True), event
