"""What the page is told when something changes: small JSON objects with the HTML that belongs there."""

from collections.abc import Iterator

from bot.sandbox.messages import Json, Message
from bot.sandbox.page import channels_html, home_html, message_html, modal_html
from bot.sandbox.team import (
    Change,
    ChannelChanged,
    Deleted,
    Edited,
    Ephemeral,
    EphemeralGone,
    Posted,
    Team,
    ViewsChanged,
)


def news(team: Team, change: Change, viewer: str) -> Iterator[Json]:
    """Yield what a viewer's page must hear of a change."""
    match change:
        case Posted(message) | Edited(_, message):
            yield _message(team, message)
            if message.thread_ts and (parent := team.message(message.channel, message.thread_ts)):
                yield _message(team, parent)
        case Deleted(message, placeholder):
            yield _message(team, placeholder) if placeholder else _gone(message)
        case Ephemeral(message) if message.visible_to == viewer:
            yield _message(team, message)
        case EphemeralGone(message) if message.visible_to == viewer:
            yield _gone(message)
        case ViewsChanged(user) if user == viewer:
            yield views_news(team, viewer)
        case ChannelChanged():
            yield {"kind": "channels", "html": channels_html(team, viewer)}
        case _:
            pass


def views_news(team: Team, viewer: str) -> Json:
    """Return the top modal (empty when none is open) and the home view of a viewer."""
    stack = team.views.get(viewer, [])
    return {
        "kind": "views",
        "modal": modal_html(team, stack[-1]) if stack else "",
        "home": home_html(team, team.homes.get(viewer)),
    }


def _message(team: Team, message: Message) -> Json:
    """Return a message for each place it stands in: the channel, its thread, or both."""
    told: Json = {"kind": "message", "channel": message.channel, "ts": message.ts, "by_app": message.by_app}
    told["thread"] = message.thread_ts or message.ts
    told["in_thread"] = message_html(team, message, in_thread=True)
    if message.thread_ts is None or message.broadcast:
        told["in_channel"] = message_html(team, message)
    return told


def _gone(message: Message) -> Json:
    return {"kind": "gone", "channel": message.channel, "ts": message.ts}
