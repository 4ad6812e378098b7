"""The limits of the chat service hold for any sequence of wishes."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.pacing import EDIT, EDITS_PER_MINUTE, MINUTE, POST, POST_EVERY, Pacing
from tests.factories import NOW, at

STEPS = st.floats(min_value=0, max_value=3, allow_nan=False)
CHANNELS = st.sampled_from(["C1", "C2"])


@given(st.lists(st.tuples(STEPS, CHANNELS), max_size=60))
def test_never_two_posts_in_a_channel_within_a_second(wishes: list[tuple[float, str]]) -> None:
    """Two posts of a channel are a second apart, and channels do not wait for each other."""
    pacing, now = Pacing(), NOW
    posted: dict[str, list[datetime]] = {"C1": [], "C2": []}
    for step, channel in wishes:
        now += timedelta(seconds=step)
        own = posted[channel]
        allowed = pacing.may_post(channel, now)
        assert allowed is (not own or now - own[-1] >= POST_EVERY)
        if allowed:
            pacing.posted(channel, now)
            own.append(now)


@given(st.lists(st.floats(min_value=0, max_value=2, allow_nan=False), min_size=46, max_size=150))
def test_never_more_edits_than_allowed_in_any_minute(steps: list[float]) -> None:
    """Whatever minute one picks, at most 45 edits fall into it; and no edit waits without need."""
    pacing, now, edited = Pacing(), NOW, list[datetime]()
    for step in steps:
        now += timedelta(seconds=step)
        recent = [then for then in edited if now - then < MINUTE]
        allowed = pacing.may_edit(now)
        assert allowed is (len(recent) < EDITS_PER_MINUTE)
        if allowed:
            pacing.edited(now)
            edited.append(now)
    for first in edited:
        assert sum(first <= other < first + MINUTE for other in edited) <= EDITS_PER_MINUTE


def test_edit_leaves_the_budget_after_a_minute_to_the_instant() -> None:
    """A minute after a full budget was spent at once, edits go on; not a moment before."""
    pacing = Pacing()
    for _ in range(EDITS_PER_MINUTE):
        pacing.edited(NOW)
    assert [pacing.may_edit(at(seconds)) for seconds in (0, 59.999999, 60)] == [False, False, True]


def test_budget_is_below_the_service_s_own() -> None:
    """50 edits a minute would be refused."""
    assert EDITS_PER_MINUTE <= 45


@given(st.lists(st.floats(min_value=0, max_value=100, allow_nan=False), min_size=1, max_size=6))
def test_no_call_while_a_method_rests(rests: list[float]) -> None:
    """The longest rest counts, in whatever order the service says so; no call before its end."""
    pacing = Pacing()
    for seconds in rests:
        pacing.rest(POST, at(seconds))
    end = at(max(rests))
    assert not pacing.may_post("C1", end - timedelta(microseconds=1))
    assert not pacing.may_post("C2", end - timedelta(microseconds=1))
    assert pacing.may_post("C1", end)


def test_methods_rest_apart() -> None:
    """Edits go on while posts rest, and the other way round."""
    pacing = Pacing()
    pacing.rest(POST, at(30))
    assert pacing.may_edit(NOW)
    pacing.rest(EDIT, at(60))
    assert not pacing.may_edit(at(59))
    assert pacing.may_post("C1", at(30))
    pacing.rest("conversations.replies", at(999))
    assert pacing.may_edit(at(60))
    assert pacing.may_post("C1", at(61))
