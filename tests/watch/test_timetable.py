"""When a cluster is polled next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.watch.timetable import first_poll, next_poll
from tests.factories import NOW, at


def wait_s(failures: int = 0, *, interval_s: float = 10, random: float = 0.5) -> float:
    """Return the seconds from the end of a poll to the next."""
    due = next_poll(NOW, interval_s=interval_s, failures=failures, again_at=None, random=lambda: random)
    return (due - NOW).total_seconds()


def test_good_polls_keep_the_interval_give_or_take_a_tenth() -> None:
    """Clusters that were polled together drift apart."""
    assert [wait_s(random=r) for r in (0, 0.5, 1)] == [9, 10, 11]


def test_first_failures_keep_the_pace_then_the_distance_doubles() -> None:
    """An outage is known after three failures in a row; only then the agents are left alone."""
    assert [wait_s(n) for n in range(6)] == [10, 10, 10, 10, 20, 40]


@given(
    st.integers(min_value=0, max_value=100_000),
    st.floats(min_value=1, max_value=60),
    st.floats(min_value=0, max_value=1),
)
def test_agent_that_is_back_is_seen_within_a_minute(failures: int, interval_s: float, random: float) -> None:
    """However long an outage lasts, the next poll is at most a minute away; with a longer interval, that."""
    longest = max(60.0, interval_s * 1.1)
    assert interval_s * 0.9 - 1e-6 <= wait_s(failures, interval_s=interval_s, random=random) <= longest + 1e-6


def test_long_interval_is_not_shortened_by_failures() -> None:
    """Who is polled every ten minutes is not polled more often because it fails."""
    assert [wait_s(n, interval_s=600) for n in (0, 3, 9)] == [600, 600, 600]


def test_failure_that_waits_for_its_last_line_is_looked_at_soon() -> None:
    """A wish for an earlier look is followed, one for a later look changes nothing."""

    def due(again: float) -> float:
        found = next_poll(NOW, interval_s=10, failures=0, again_at=at(again), random=lambda: 0.5)
        return (found - NOW).total_seconds()

    assert (due(1.5), due(15)) == (1.5, 10)


@pytest.mark.parametrize("failures", [0, 1, 9])
def test_wish_of_the_past_makes_no_loop(failures: int) -> None:
    """When the early look did not help, as in an outage, the usual pace goes on."""
    due = next_poll(NOW, interval_s=10, failures=failures, again_at=at(-20), random=lambda: 0.5)
    assert (due - NOW).total_seconds() == wait_s(failures)


def test_first_polls_are_spread() -> None:
    """At a start not all clusters are asked at once, and none is left waiting for long."""
    waits = [(first_poll(NOW, interval_s=s, random=lambda: 1) - NOW).total_seconds() for s in (2, 10, 600)]
    assert waits == [2, 5, 5]
    assert first_poll(NOW, interval_s=10, random=lambda: 0) == NOW
