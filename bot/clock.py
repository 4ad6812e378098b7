"""The one place that reads a clock.

Everything else takes `now` as an argument, or a `Clock` where it lives longer than one cycle.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the current instant as an aware datetime in UTC."""


def system_clock() -> datetime:
    """Return the machine's idea of now, in UTC."""
    return datetime.now(UTC)
