"""The channels in a terminal."""

from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from bot.sandbox.console import ChannelPrinter
from bot.sandbox.workspace import Workspace
from tests.sandbox.slack_payloads import section

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Call = Callable[..., str]


@pytest.fixture
def out() -> StringIO:
    """Give what the terminal shows."""
    return StringIO()


@pytest.fixture
def call(out: StringIO) -> Call:
    """Give a way to call the Web API of a printed workspace; it returns the message's id."""
    slack = Workspace()
    slack.add_channel("ops", channel_id="C1")
    slack.subscribe(ChannelPrinter(slack, Console(file=out, width=40)))

    def call(method: str, **params: Any) -> str:
        body = slack.call(method, {"channel": "C1", **params}, slack.bot_token, NOW).body
        return str(body.get("ts") or body.get("message_ts"))

    return call


def test_messages_and_replies(call: Call, out: StringIO) -> None:
    """Each message is one line, replies are indented, markup is gone, long lines are not broken."""
    root = call(
        "chat.postMessage", text=":hourglass: *Cluster scale out* · prod-east  3/9 Wait scale out ready"
    )
    call("chat.postMessage", text="stage 3 &lt;done&gt;\nin 12 s", thread_ts=root)
    assert out.getvalue().splitlines() == [
        "#ops  ⌛ Cluster scale out · prod-east  3/9 Wait scale out ready",
        "#ops  ↳ stage 3 <done> in 12 s",
    ]


def test_edits_print_when_words_change(call: Call, out: StringIO) -> None:
    """An edit that changes only blocks is not worth a line."""
    root = call("chat.postMessage", text="1/9")
    call("chat.update", ts=root, text="1/9", blocks=[section("12 s")])
    call("chat.update", ts=root, text="2/9", blocks=[section("15 s")])
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["1/9", "2/9"]


def test_ephemeral_is_marked(call: Call, out: StringIO) -> None:
    """What only one person sees is marked; terminal markup in a text is only text."""
    call("chat.postEphemeral", user="U00000001", text="[red]psst[/red]")
    assert out.getvalue() == "#ops  [red]psst[/red]  (only visible to you)\n"
