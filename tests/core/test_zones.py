"""Which times are two moments, and which are one with two labels."""

from datetime import datetime, timedelta

import pytest

from bot.core.zones import are_two, is_earlier
from tests.factories import at

HOURS = timedelta(hours=1)


@pytest.mark.parametrize(
    ("one", "other", "two"),
    [
        (at(0), at(0), False),
        (at(0), at(1.9), False),
        (at(0), at(3), True),
        (at(0), at(0) + 8 * HOURS, False),
        (at(0), at(0) - 5.75 * HOURS, False),
        (at(0), at(1.9) + 8 * HOURS, False),
        (at(0), at(30) + 8 * HOURS, True),
        (at(0), None, False),
        (None, at(0), False),
        (None, None, False),
    ],
)
def test_moments_are_two_beyond_any_zone(one: datetime | None, other: datetime | None, *, two: bool) -> None:
    """Zones are quarters of an hour apart; a time that is not known proves nothing."""
    assert are_two(one, other) is two


@pytest.mark.parametrize(
    ("one", "other", "earlier"),
    [
        (at(0), at(30), True),
        (at(30), at(0), False),
        (at(0), at(1), False),
        (at(0), at(0) + 8 * HOURS, False),
        (at(0), at(30) + 8 * HOURS, True),
    ],
)
def test_earlier_is_more_than_a_zone(one: datetime, other: datetime, *, earlier: bool) -> None:
    """The same instant under another label is not earlier."""
    assert is_earlier(one, other) is earlier
