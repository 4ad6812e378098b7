"""The local Slack's values as Slack's JSON."""

from bot.sandbox.messages import Json, Message
from bot.sandbox.team import Channel, Team, User, View


def message_json(team: Team, message: Message, *, all_metadata: bool = True) -> Json:
    """Return a message as history, replies and the posting methods show it.

    Without `all_metadata` only the `event_type` of its metadata is there.
    """
    fields: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
    if message.by_app:
        fields |= {"bot_id": team.bot_id, "app_id": team.app_id, "team": team.id}
    if message.subtype or message.broadcast:
        fields["subtype"] = message.subtype or "thread_broadcast"
    if message.blocks:
        fields["blocks"] = list(message.blocks)
    if message.attachments:
        fields["attachments"] = list(message.attachments)
    if message.files:
        fields["files"] = [{"id": f.id, "name": f.name, "title": f.title} for f in message.files]
    if message.metadata is not None:
        kept = message.metadata if all_metadata else {"event_type": message.metadata["event_type"]}
        fields["metadata"] = kept
    if message.edited_mark:
        fields["edited"] = {"user": message.user, "ts": message.ts}
    return fields | _thread_fields(team, message) | _reactions(message)


def _thread_fields(team: Team, message: Message) -> Json:
    if message.thread_ts:
        return {"thread_ts": message.thread_ts}
    replies = team.replies(message.channel, message.ts)
    if not replies:
        return {}
    authors = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": authors,
        "reply_users_count": len(authors),
        "latest_reply": replies[-1].ts,
    }


def _reactions(message: Message) -> Json:
    if not message.reactions:
        return {}
    names = dict.fromkeys(name for name, _ in message.reactions)
    who = {name: [user for given, user in message.reactions if given == name] for name in names}
    return {"reactions": [{"name": name, "users": users, "count": len(users)} for name, users in who.items()]}


def channel_json(team: Team, channel: Channel) -> Json:
    """Return a conversation as `conversations.info` shows it."""
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": channel.kind == "channel" and not channel.private,
        "is_group": channel.kind == "channel" and channel.private,
        "is_im": channel.kind == "im",
        "is_mpim": channel.kind == "mpim",
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_member": team.bot.id in channel.members,
        "is_ext_shared": False,
        "num_members": len(channel.members),
    }


def user_json(user: User, *, email: bool) -> Json:
    """Return a user as `users.info` shows it; the address needs a scope of its own."""
    profile = {"display_name": user.name, "real_name": user.real_name}
    if email and not user.is_bot:
        profile["email"] = f"{user.name}@example.com"
    return {
        "id": user.id,
        "name": user.name,
        "real_name": user.real_name,
        "profile": profile,
        "tz": "Etc/UTC",
        "tz_offset": 0,
        "deleted": False,
        "is_bot": user.is_bot,
    }


def view_json(team: Team, view: View) -> Json:
    """Return a view as the views methods and interactions show it."""
    return {
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "state": {"values": {}},
        **view.body,
        "id": view.id,
        "team_id": team.id,
        "app_id": team.app_id,
        "bot_id": team.bot_id,
        "hash": view.hash,
        "root_view_id": view.root_id,
        "previous_view_id": view.previous_id,
    }
