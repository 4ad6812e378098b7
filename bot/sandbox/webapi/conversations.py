"""`conversations.*`."""

from datetime import datetime

from bot.sandbox.messages import Json, Message
from bot.sandbox.team import Channel, Team, sort_key
from bot.sandbox.webapi.answers import Refusal, ok
from bot.sandbox.webapi.params import cursor, flag, number, page, position, word
from bot.sandbox.webapi.places import kind_of, known_channel, readable_channel, visible_channel
from bot.sandbox.webapi.scopes import Scopes
from bot.sandbox.webapi.wire import channel_json, message_json

TYPES = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def history(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`conversations.history`: what stands in the channel, newest first; replies only when broadcast."""
    channel = readable_channel(team, scopes, params)
    found = [m for m in team.channel_messages(channel.id) if _within(m, params)]
    newest_first = sorted(found, key=lambda m: sort_key(m.ts), reverse=True)
    if before := position(params):
        newest_first = [m for m in newest_first if sort_key(m.ts) < _ts(before, "invalid_cursor")]
    limit = _limit(params, most=999)
    return _answer(team, newest_first[:limit], params, more=len(newest_first) > limit)


def replies(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`conversations.replies`: a thread, oldest first; the parent heads each page and counts in the limit."""
    channel = readable_channel(team, scopes, params)
    asked = team.message(channel.id, word(params, "ts"))
    if asked is None:
        raise Refusal("thread_not_found")
    parent = team.message(channel.id, asked.thread_ts) if asked.thread_ts else asked
    if parent is None:
        raise Refusal("thread_not_found")
    found = [m for m in team.replies(channel.id, parent.ts) if _within(m, params)]
    if after := position(params):
        found = [m for m in found if sort_key(m.ts) > _ts(after, "invalid_cursor")]
    limit = max(1, _limit(params, most=1000) - 1)
    return _answer(team, [parent, *found[:limit]], params, more=len(found) > limit)


def _limit(params: Json, *, most: int) -> int:
    return max(1, min(number(params, "limit", 100, error="invalid_limit") or 100, most))


def _ts(text: str, error: str) -> tuple[int, int]:
    try:
        return sort_key(text)
    except ValueError as bad:
        raise Refusal(error) from bad


def _within(message: Message, params: Json) -> bool:
    """Say whether a message lies between `oldest` and `latest`; the bounds themselves only if `inclusive`."""
    own = sort_key(message.ts)
    oldest = _ts(word(params, "oldest") or "0", "invalid_ts_oldest")
    latest = _ts(word(params, "latest") or "9999999999", "invalid_ts_latest")
    return oldest <= own <= latest if flag(params, "inclusive") else oldest < own < latest


def _answer(team: Team, messages: list[Message], params: Json, *, more: bool) -> Json:
    all_metadata = bool(flag(params, "include_all_metadata"))
    shown = [message_json(team, m, all_metadata=all_metadata) for m in messages]
    answer = ok(messages=shown, has_more=more)
    if more:
        answer["response_metadata"] = {"next_cursor": cursor(messages[-1].ts)}
    return answer


def info(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`conversations.info`: one conversation."""
    return ok(channel=channel_json(team, known_channel(team, scopes, params)))


def list_all(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`conversations.list`: the conversations of the wanted types that the bot can see."""
    wanted = {t.strip() for t in (word(params, "types") or "public_channel").split(",")}
    if not wanted <= TYPES.keys():
        raise Refusal("invalid_types")
    stems = {TYPES[t] for t in wanted}
    for stem in sorted(stems):
        scopes.need(f"{stem}:read")
    seen = [c for c in team.channels.values() if kind_of(c) in stems and _seen(team, c)]
    if flag(params, "exclude_archived"):
        seen = [c for c in seen if not c.archived]
    channels, metadata = page(seen, params, default=100, most=1000)
    return ok(channels=[channel_json(team, c) for c in channels], response_metadata=metadata)


def _seen(team: Team, channel: Channel) -> bool:
    return not channel.private or team.bot.id in channel.members


def join(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`conversations.join`: become a member of a public channel; being one already is a warning."""
    scopes.need("channels:join")
    channel = visible_channel(team, params)
    if channel.private:
        raise Refusal("method_not_supported_for_channel_type")
    if channel.archived:
        raise Refusal("is_archived")
    already = team.bot.id in channel.members
    if not already:
        team.join(channel, team.bot.id)
    return ok(channel=channel_json(team, channel)) | ({"warning": "already_in_channel"} if already else {})


def open_direct(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`conversations.open`: the direct conversation with one person or several."""
    if word(params, "channel"):
        return ok(channel={"id": visible_channel(team, params).id})
    users = [u for u in word(params, "users").split(",") if u]
    scopes.need("im:write" if len(users) <= 1 else "mpim:write")
    if not users:
        raise Refusal("users_list_not_supplied")
    if any(user not in team.users for user in users):
        raise Refusal("user_not_found")
    channel = team.direct_channel(users)
    return ok(channel=channel_json(team, channel) if flag(params, "return_im") else {"id": channel.id})


def members(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`conversations.members`: who is in a conversation."""
    channel = known_channel(team, scopes, params)
    users, metadata = page(sorted(channel.members), params, default=100, most=1000)
    return ok(members=users, response_metadata=metadata)
