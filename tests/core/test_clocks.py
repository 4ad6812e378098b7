"""When an agent's clock is told to be wrong."""

import pytest

from bot.core.clocks import ClockWatch, measured
from bot.core.events import ClockSkewed, event_id
from tests.factories import at

COURSES: dict[str, tuple[list[float], list[int]]] = {
    "right": ([0, 3, -20], []),
    "at the limit": ([60, -60, 60], []),
    "wrong once": ([90, 0, 90, 0], []),
    "wrong twice": ([90, 90], [1]),
    "wrong for long": ([-90, -95, -100, -300], [1]),
    "near the limit it is one episode": ([61, 61, 59, 61, 61], [1]),
    "put right and wrong again": ([61, 61, 5, 61, 61], [1, 4]),
}


@pytest.mark.parametrize("name", COURSES)
def test_clock_is_told_once_per_episode(name: str) -> None:
    """Two measurements in a row over 60 s are told, until the clock was right again."""
    skews, expected = COURSES[name]
    watch, told = ClockWatch(), []
    for number, skew in enumerate(skews):
        watch, event = measured(watch, "prod", "http://10.0.0.1:2886", skew, at(10 * number))
        told += [(number, event)] if event else []
    assert [number for number, _ in told] == expected
    assert all(event.skew_s == skews[number] for number, event in told)
    keys = [event_id(1, 1, event) for _, event in told]
    assert len(set(keys)) == len(keys)
    assert all(isinstance(event, ClockSkewed) for _, event in told)
