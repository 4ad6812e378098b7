"""What people do in the local Slack, and what the app's answers do, without any network."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox.messages import Json
from bot.sandbox.workspace import Workspace
from tests.sandbox.slack_payloads import input_block, modal, plain, section

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHANNEL = "C1"


class Bot:
    """A connection of an app that keeps what it is sent."""

    def __init__(self, slack: Workspace) -> None:
        self.slack = slack
        self.got: list[Json] = []
        connection = slack.sockets.connect(slack.sockets.ticket(), self.got.append)
        assert connection is not None
        self.connection = connection

    def ack(self, payload: Json | None = None) -> None:
        """Acknowledge the last envelope."""
        body = {"envelope_id": self.got[-1]["envelope_id"]} | ({"payload": payload} if payload else {})
        self.slack.receive(self.connection, str(body).replace("'", '"'), NOW)


@pytest.fixture
def slack() -> Workspace:
    """Give a workspace with one channel."""
    slack = Workspace()
    slack.add_channel("ops", channel_id=CHANNEL)
    return slack


@pytest.fixture
def bot(slack: Workspace) -> Bot:
    """Give a connected app."""
    return Bot(slack)


def private(slack: Workspace) -> list[str]:
    """Return what only the person sees."""
    return [m.text for m in slack.ephemerals(CHANNEL, slack.person.id)]


def test_hello(bot: Bot) -> None:
    """A new connection is greeted."""
    assert (bot.got[0]["type"], bot.got[0]["num_connections"]) == ("hello", 1)


def test_command_payload(slack: Workspace, bot: Bot) -> None:
    """A command carries who typed what where."""
    slack.slash_command(CHANNEL, "status prod", NOW)
    envelope = bot.got[-1]
    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    payload = envelope["payload"]
    assert {k: payload[k] for k in ("command", "text", "user_id", "channel_id", "channel_name")} == {
        "command": "/obdag",
        "text": "status prod",
        "user_id": slack.person.id,
        "channel_id": CHANNEL,
        "channel_name": "ops",
    }


def test_answer_in_the_ack_is_ephemeral(slack: Workspace, bot: Bot) -> None:
    """Text in the acknowledgement is seen by the person alone."""
    act = slack.slash_command(CHANNEL, "", NOW)
    bot.ack({"text": "2 DAGs"})
    assert (act.outcome, private(slack)) == ("acked", ["2 DAGs"])
    assert slack.channel_messages(CHANNEL) == []


def test_public_answer_shows_the_command(slack: Workspace, bot: Bot) -> None:
    """An answer for the channel also shows what was typed."""
    slack.slash_command(CHANNEL, "public", NOW)
    bot.ack({"text": "2 DAGs", "response_type": "in_channel"})
    assert [m.text for m in slack.channel_messages(CHANNEL)] == ["/obdag public", "2 DAGs"]


def test_empty_ack_shows_nothing(slack: Workspace, bot: Bot) -> None:
    """An empty acknowledgement shows nothing."""
    act = slack.slash_command(CHANNEL, "", NOW)
    bot.ack()
    assert (act.outcome, private(slack)) == ("acked", [])


def test_refused_answer_is_told(slack: Workspace, bot: Bot) -> None:
    """Blocks that Slack would refuse are not shown."""
    slack.slash_command(CHANNEL, "", NOW)
    bot.ack({"text": "x", "blocks": [{"type": "nonsense"}]})
    assert private(slack) == ["The app's answer was refused: invalid_blocks"]


def test_no_connection(slack: Workspace) -> None:
    """Without a connection the command fails at once and the person is told."""
    act = slack.slash_command(CHANNEL, "", NOW)
    assert act.outcome == "dispatch_failed"
    assert "dispatch_failed" in private(slack)[0]


def test_no_ack_in_time(slack: Workspace, bot: Bot) -> None:
    """A command without acknowledgement ends; a later one changes nothing."""
    act = slack.slash_command(CHANNEL, "", NOW)
    slack.expire(act, NOW)
    bot.ack({"text": "too late"})
    assert act.outcome == "operation_timeout"
    assert [("operation_timeout" in text) for text in private(slack)] == [True]


def test_each_envelope_goes_to_one_connection(slack: Workspace) -> None:
    """Two connections share the work; one that closed gets nothing more."""
    first, second = Bot(slack), Bot(slack)
    for _ in range(4):
        slack.event({"type": "app_mention"}, NOW)
    assert [len([g for g in b.got if g["type"] == "events_api"]) for b in (first, second)] == [2, 2]
    slack.sockets.closed(first.connection)
    slack.event({"type": "app_mention"}, NOW)
    assert second.got[-1]["payload"]["event"]["type"] == "app_mention"


def test_at_most_ten_connections(slack: Workspace) -> None:
    """The eleventh connection is sent away."""
    for _ in range(10):
        Bot(slack)
    got: list[Json] = []
    assert slack.sockets.connect(slack.sockets.ticket(), got.append) is None
    assert got == [{"type": "disconnect", "reason": "too_many_websockets"}]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled"])
def test_disconnect(slack: Workspace, bot: Bot, reason: str) -> None:
    """Each kind of disconnect can be sent on demand."""
    slack.sockets.ask_to_leave(reason)
    assert (bot.got[-1]["type"], bot.got[-1]["reason"]) == ("disconnect", reason)


@pytest.mark.parametrize("text", ["not json", "[]", '{"type": "pong"}', '{"envelope_id": "unknown"}'])
def test_odd_messages_of_the_app(slack: Workspace, bot: Bot, text: str) -> None:
    """What is no acknowledgement of something open is ignored."""
    act = slack.slash_command(CHANNEL, "", NOW)
    slack.receive(bot.connection, text, NOW)
    assert act.outcome is None


def url_of(slack: Workspace, bot: Bot) -> str:
    """Type a command and return its response address."""
    slack.slash_command(CHANNEL, "", NOW)
    return str(bot.got[-1]["payload"]["response_url"])


def test_response_url(slack: Workspace, bot: Bot) -> None:
    """Answers come one after another; one can replace or take away the last."""
    url = url_of(slack, bot)
    for text in ("one", "two"):
        assert slack.respond(url, {"text": text}, NOW).content == "ok"
    slack.respond(url, {"text": "three", "replace_original": True}, NOW)
    assert private(slack) == ["one", "three"]
    slack.respond(url, {"delete_original": True}, NOW)
    assert private(slack) == ["one"]


def test_response_url_in_channel(slack: Workspace, bot: Bot) -> None:
    """An answer for all works where the bot is no member."""
    slack.leave(slack.channels[CHANNEL], slack.bot.id)
    slack.respond(url_of(slack, bot), {"text": "all", "response_type": "in_channel"}, NOW)
    assert [m.text for m in slack.channel_messages(CHANNEL)] == ["all"]


def test_response_url_ends(slack: Workspace, bot: Bot) -> None:
    """Five answers within thirty minutes, no more."""
    url = url_of(slack, bot)
    edge = NOW + timedelta(minutes=30)
    assert [slack.respond(url, {"text": "x"}, edge).status for _ in range(6)] == [200] * 5 + [404]
    late = url_of(slack, bot)
    assert slack.respond(late, {"text": "x"}, edge + timedelta(seconds=1)).body["error"] == "expired_url"
    assert slack.respond("unknown", {"text": "x"}, NOW).status == 404
    assert slack.respond(url_of(slack, bot), {"text": ""}, NOW).body["error"] == "no_text"


def test_press_of_a_button(slack: Workspace, bot: Bot) -> None:
    """A press carries the message, a trigger and a response address that replaces the message."""
    params = {"channel": CHANNEL, "text": "before"}
    ts = slack.call("chat.postMessage", params, slack.bot_token, NOW).body["ts"]
    act = slack.block_action(CHANNEL, ts, {"type": "button", "action_id": "a", "value": "1"}, NOW)
    payload = bot.got[-1]["payload"]
    assert (payload["type"], payload["message"]["ts"]) == ("block_actions", ts)
    assert payload["actions"][0]["value"] == "1"
    bot.ack()
    slack.respond(payload["response_url"], {"text": "noted"}, NOW)
    slack.respond(payload["response_url"], {"text": "after", "replace_original": True}, NOW)
    view = {"trigger_id": payload["trigger_id"], "view": modal()}
    assert slack.call("views.open", view, slack.bot_token, NOW).body["ok"]
    assert (act.outcome, [m.text for m in slack.channel_messages(CHANNEL)]) == ("acked", ["after"])
    assert private(slack) == ["noted"]


def test_press_in_a_gone_message(slack: Workspace) -> None:
    """There is no press in a message that is not there."""
    with pytest.raises(KeyError):
        slack.block_action(CHANNEL, "1.000000", {}, NOW)


def opened(slack: Workspace, **more: object) -> str:
    """Open a form and return its id."""
    trigger = slack.api.triggers.give(slack.person.id, NOW)
    view = modal(input_block(), submit=plain("Go"), **more)
    answer = slack.call("views.open", {"trigger_id": trigger, "view": view}, slack.bot_token, NOW)
    return str(answer.body["view"]["id"])


def test_submission_closes(slack: Workspace, bot: Bot) -> None:
    """A submitted form carries its values and closes with an empty acknowledgement."""
    values = {"b": {"i": {"type": "plain_text_input", "value": "1h"}}}
    slack.view_submission(opened(slack), values, NOW)
    assert bot.got[-1]["payload"]["view"]["state"]["values"] == values
    bot.ack()
    assert slack.views[slack.person.id] == []


def test_submission_with_errors_stays(slack: Workspace, bot: Bot) -> None:
    """A form with errors stays open and tells them."""
    act = slack.view_submission(opened(slack), {}, NOW)
    bot.ack({"response_action": "errors", "errors": {"b": "too long"}})
    assert (act.errors, len(slack.views[slack.person.id])) == ({"b": "too long"}, 1)


@pytest.mark.parametrize(("action", "left"), [("update", 1), ("push", 2), ("clear", 0)])
def test_submission_leads_on(slack: Workspace, bot: Bot, action: str, left: int) -> None:
    """An acknowledgement can replace the form, put another on it, or close all."""
    slack.view_submission(opened(slack), {}, NOW)
    bot.ack({"response_action": action, "view": modal(section("next"))})
    assert len(slack.views[slack.person.id]) == left


def test_closing_is_told_on_wish(slack: Workspace, bot: Bot) -> None:
    """The app hears that a form was closed only if it asked."""
    opened(slack)
    assert slack.close_view(NOW) is None
    opened(slack, notify_on_close=True)
    assert slack.close_view(NOW) is not None
    assert bot.got[-1]["payload"]["type"] == "view_closed"
    assert slack.close_view(NOW) is None


def test_home_opened(slack: Workspace, bot: Bot) -> None:
    """Opening the home is an event with the person's direct channel."""
    slack.app_home_opened(NOW)
    event = bot.got[-1]["payload"]["event"]
    assert (event["type"], event["user"], event["channel"][0]) == ("app_home_opened", slack.person.id, "D")


def test_mention_and_direct_message(slack: Workspace, bot: Bot) -> None:
    """Naming the bot, or writing to it, is an event; other words are not."""
    slack.say(CHANNEL, "just words", NOW)
    assert bot.got[-1]["type"] == "hello"
    slack.say(CHANNEL, f"<@{slack.bot.id}> status", NOW)
    assert bot.got[-1]["payload"]["event"]["type"] == "app_mention"
    slack.say(slack.direct_channel([slack.person.id]).id, "status", NOW)
    assert bot.got[-1]["payload"]["event"]["channel_type"] == "im"
