"""Times of one moment that differ only by the zone that an agent labels them with.

Agents label the database's wall time with their own zone: two agents of one cluster may tell one instant as
two, some multiple of a quarter of an hour apart.
"""

from datetime import datetime

ZONE_STEP_S = 900.0
"""Time zones differ by multiples of a quarter of an hour."""
_EXACT_S = 2.0
"""Times of one moment differ by less."""


def _beside_zone(difference_s: float) -> bool:
    """Return whether two times differ by more than zones can explain."""
    return abs(difference_s - round(difference_s / ZONE_STEP_S) * ZONE_STEP_S) > _EXACT_S


def are_two(one: datetime | None, other: datetime | None) -> bool:
    """Return whether two times are known, and are two moments whatever zones they are labelled with."""
    return one is not None and other is not None and _beside_zone((other - one).total_seconds())


def is_earlier(one: datetime, other: datetime) -> bool:
    """Return whether a time is before another, and not only by its zone."""
    ahead = (other - one).total_seconds()
    return ahead > _EXACT_S and _beside_zone(ahead)
