"""Finding the conversation of a call, and whether the bot may write, read or look there."""

from bot.sandbox.messages import Json
from bot.sandbox.team import Channel, Team
from bot.sandbox.webapi.answers import Refusal
from bot.sandbox.webapi.params import word
from bot.sandbox.webapi.scopes import Scopes


def kind_of(channel: Channel) -> str:
    """Return the stem of the scopes for this kind of conversation."""
    if channel.kind != "channel":
        return channel.kind
    return "groups" if channel.private else "channels"


def visible_channel(team: Team, params: Json, *, key: str = "channel") -> Channel:
    """Return the conversation of a call by its id; one that the bot cannot see does not exist for it."""
    channel = team.channels.get(word(params, key))
    if channel is None or (channel.private and team.bot.id not in channel.members):
        raise Refusal("channel_not_found")
    return channel


def writable_channel(team: Team, scopes: Scopes, params: Json) -> Channel:
    """Return the conversation for a post: by id, by `#name`, or a person's id for a direct message."""
    given = word(params, "channel")
    if given in team.users:
        channel = team.direct_channel([given])
    else:
        named = [c.id for c in team.channels.values() if given and c.name == given.removeprefix("#")]
        channel = visible_channel(team, {"channel": named[0] if named and given[0] == "#" else given})
    if channel.archived:
        raise Refusal("is_archived")
    if team.bot.id not in channel.members and "chat:write.public" not in scopes:
        raise Refusal("not_in_channel")
    if channel.read_only:
        raise Refusal("restricted_action_read_only_channel")
    return channel


def readable_channel(team: Team, scopes: Scopes, params: Json) -> Channel:
    """Return the conversation whose messages a call reads."""
    channel = visible_channel(team, params)
    scopes.need(f"{kind_of(channel)}:history")
    if team.bot.id not in channel.members:
        raise Refusal("not_in_channel")
    return channel


def known_channel(team: Team, scopes: Scopes, params: Json) -> Channel:
    """Return the conversation whose description a call reads."""
    channel = visible_channel(team, params)
    scopes.need(f"{kind_of(channel)}:read")
    return channel
