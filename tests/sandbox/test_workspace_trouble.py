"""What can be switched on in the local Slack: rate limits and scripted trouble; and the journal of calls."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.sandbox.webapi.answers import ApiResponse
from bot.sandbox.webapi.limits import RateLimits
from bot.sandbox.webapi.trouble import (
    EVERY,
    BrokenJson,
    Delay,
    DropAfter,
    DropBefore,
    HttpStatus,
    RateLimited,
    Says,
)
from bot.sandbox.workspace import Workspace

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHANNEL = "C1"


@pytest.fixture
def slack() -> Workspace:
    """Give a workspace with one channel."""
    slack = Workspace()
    slack.add_channel("ops", channel_id=CHANNEL)
    return slack


def post(slack: Workspace, after_s: float = 0, *, channel: str = CHANNEL, **params: Any) -> ApiResponse:
    """Post something."""
    now = NOW + timedelta(seconds=after_s)
    return slack.call("chat.postMessage", {"channel": channel, "text": "x", **params}, slack.bot_token, now)


def messages(slack: Workspace) -> int:
    """Count what was posted."""
    return len(slack.channel_messages(CHANNEL))


def test_posts_are_limited_by_channel(slack: Workspace) -> None:
    """A channel takes a burst of three, then one post a second; another channel is not affected."""
    slack.api.limits = RateLimits(burst=3)
    slack.add_channel("other", channel_id="C2")
    assert [post(slack).status for _ in range(4)] == [200, 200, 200, 429]
    assert post(slack, channel="C2").status == 200
    assert post(slack, 0.5).headers["Retry-After"] == "1"
    assert [post(slack, after).status for after in (1.1, 1.2, 2.2)] == [200, 429, 200]


def test_posts_are_limited_in_all(slack: Workspace) -> None:
    """The workspace takes so many posts in a minute."""
    slack.api.limits = RateLimits(burst=100, posts_per_minute=2)
    assert [post(slack).status for _ in range(3)] == [200, 200, 429]
    assert post(slack, 59).headers["Retry-After"] == "1"
    assert post(slack, 60).status == 200


def test_updates_are_limited_by_tier(slack: Workspace) -> None:
    """Fifty updates a minute pass; the next one is told when to come again."""
    slack.api.limits = RateLimits()
    ts = post(slack).body["ts"]
    update = {"channel": CHANNEL, "ts": ts, "text": "y"}
    answers = [slack.call("chat.update", update, slack.bot_token, NOW) for _ in range(51)]
    assert [a.status for a in answers[-2:]] == [200, 429]
    assert answers[-1].headers["Retry-After"] == "60"
    assert slack.call("auth.test", {}, slack.bot_token, NOW).status == 200


def test_no_limit_by_default(slack: Workspace) -> None:
    """Without limits all pass."""
    assert {post(slack).status for _ in range(100)} == {200}


@pytest.mark.parametrize(
    ("trouble", "status", "content"),
    [
        (RateLimited(7), 429, '{"ok": false, "error": "ratelimited"}'),
        (RateLimited(7, empty=True), 429, ""),
        (HttpStatus(503), 503, "<html><body>Service unavailable</body></html>"),
        (Says("internal_error"), 200, '{"ok": false, "error": "internal_error"}'),
    ],
)
def test_trouble_instead_of_work(slack: Workspace, trouble: Any, status: int, content: str) -> None:
    """Some trouble answers in place of the work, once; then all is well again."""
    slack.api.trouble.add("chat.postMessage", trouble)
    answer = post(slack)
    assert (answer.status, answer.content, messages(slack)) == (status, content, 0)
    assert post(slack).status == 200


def test_retry_after_is_told(slack: Workspace) -> None:
    """A scripted 429 names its seconds."""
    slack.api.trouble.add("chat.postMessage", RateLimited(7))
    assert post(slack).headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("trouble", "done"), [(DropBefore(), 0), (DropAfter(), 1), (BrokenJson(), 1), (Delay(2.0), 1)]
)
def test_trouble_around_work(slack: Workspace, trouble: Any, done: int) -> None:
    """Whether the message exists depends on when the trouble came."""
    slack.api.trouble.add("chat.postMessage", trouble)
    answer = post(slack)
    assert messages(slack) == done
    assert answer.drop or answer.delay_s or answer.content == '{"ok": tru'


def test_trouble_for_every_method(slack: Workspace) -> None:
    """Trouble can be for any method, several times, and be ended."""
    slack.api.trouble.add(EVERY, HttpStatus(502), times=3)
    assert [post(slack).status, slack.call("auth.test", {}, slack.bot_token, NOW).status] == [502, 502]
    slack.api.trouble.clear()
    assert post(slack).status == 200


def test_journal(slack: Workspace) -> None:
    """Each call is written down with its outcome, without the token."""
    slack.api.trouble.add("chat.postMessage", DropAfter())
    post(slack, token=slack.bot_token)
    slack.call("auth.test", {}, "xoxb-wrong", NOW)
    slack.api.trouble.add("auth.test", HttpStatus(503))
    slack.call("auth.test", {}, slack.bot_token, NOW)
    assert [(c.method, c.outcome) for c in slack.api.journal] == [
        ("chat.postMessage", "dropped"),
        ("auth.test", "invalid_auth"),
        ("auth.test", "http 503"),
    ]
    assert slack.api.calls("chat.postMessage")[0].params == {"channel": CHANNEL, "text": "x"}
