"""`chat.*` and `reactions.add`."""

from datetime import datetime
from typing import Any

import msgspec

from bot.sandbox.messages import Json, Message
from bot.sandbox.team import Channel, Team
from bot.sandbox.validate import validate_message
from bot.sandbox.webapi.answers import Refusal, ok, refuse
from bot.sandbox.webapi.params import decoded, flag, word
from bot.sandbox.webapi.places import visible_channel, writable_channel
from bot.sandbox.webapi.scopes import Scopes
from bot.sandbox.webapi.wire import message_json

MOST_TEXT = 40_000
UNANSWERABLE = frozenset({"channel_join", "channel_leave", "channel_name", "channel_archive"})
"""System messages, to which Slack takes no reply."""


def content(params: Json, *, update: bool = False) -> Json:
    """Return text, blocks, attachments and metadata of a call, or refuse them as Slack would."""
    payload: Json = {
        "text": params.get("text"),
        "markdown_text": params.get("markdown_text"),
        "blocks": decoded(params, "blocks", error="invalid_blocks_format"),
        "attachments": decoded(params, "attachments", error="invalid_attachments"),
        "metadata": decoded(params, "metadata", error="invalid_metadata_format"),
    }
    refuse(validate_message(payload, update=update))
    return payload


def post_message(team: Team, scopes: Scopes, params: Json, now: datetime) -> Json:
    """`chat.postMessage`: a message in a channel or a thread."""
    scopes.need("chat:write")
    channel = writable_channel(team, scopes, params)
    payload = content(params)
    thread = _thread_of(team, channel, word(params, "thread_ts"))
    text = str(payload["text"] or payload["markdown_text"] or "")
    message = team.add_message(
        Message(
            channel=channel.id,
            ts=team.next_ts(now),
            user=team.bot.id,
            by_app=True,
            text=text[:MOST_TEXT],
            blocks=tuple(payload["blocks"] or ()),
            attachments=tuple(payload["attachments"] or ()),
            metadata=payload["metadata"] or None,
            thread_ts=thread,
            broadcast=bool(thread and flag(params, "reply_broadcast")),
            unfurl_links=flag(params, "unfurl_links"),
            unfurl_media=flag(params, "unfurl_media"),
        )
    )
    answer = ok(channel=channel.id, ts=message.ts, message=message_json(team, message))
    return answer | ({"warning": "message_truncated"} if len(text) > MOST_TEXT else {})


def _thread_of(team: Team, channel: Channel, thread_ts: str) -> str | None:
    """Return the thread a post goes to; one whose parent is gone silently becomes a post in the channel."""
    parent = team.message(channel.id, thread_ts) if thread_ts else None
    if parent is None or parent.deleted:
        return None
    if parent.subtype in UNANSWERABLE:
        raise Refusal("cannot_reply_to_message")
    return thread_ts


def update(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`chat.update`: replace a message of the bot's own.

    Text without blocks takes the blocks away; attachments and metadata that are not given stay.
    """
    scopes.need("chat:write")
    channel = visible_channel(team, params)
    message = _own(team, channel, params, error="cant_update_message")
    if channel.archived:
        raise Refusal("is_archived")
    if flag(params, "reply_broadcast") and not message.broadcast:
        return _broadcast(team, message, params)
    if not any(key in params for key in ("text", "markdown_text", "blocks", "attachments", "metadata")):
        raise Refusal("no_text")
    # an update that gives only metadata or blocks keeps the text, so the text that stays is validated too
    given = params if "text" in params or "markdown_text" in params else {**params, "text": message.text}
    payload = content(given, update=True)
    after = msgspec.structs.replace(
        message,
        text=str(payload["text"] or payload["markdown_text"] or ""),
        blocks=_kept(payload["blocks"], message.blocks if "text" not in params else ()),
        attachments=_kept(payload["attachments"], message.attachments),
        metadata=message.metadata if payload["metadata"] is None else payload["metadata"] or None,
    )
    after = msgspec.structs.replace(after, edited_mark=not after.blocks)
    after = team.replace_message(message, after)
    return ok(channel=channel.id, ts=after.ts, text=after.text, message=message_json(team, after))


def _kept(given: Any, before: tuple[Json, ...]) -> tuple[Json, ...]:
    return before if given is None else tuple(given)


def _own(team: Team, channel: Channel, params: Json, *, error: str) -> Message:
    message = team.message(channel.id, word(params, "ts"))
    if message is None or message.deleted:
        raise Refusal("message_not_found")
    if not message.by_app:
        raise Refusal(error)
    return message


def _broadcast(team: Team, message: Message, params: Json) -> Json:
    """Show a reply in the channel too; Slack does not change its content in the same call."""
    if not message.thread_ts:
        raise Refusal("cant_broadcast_message")
    if params.get("blocks") or word(params, "text") not in {"", message.text}:
        raise Refusal("no_dual_broadcast_content_update")
    after = team.replace_message(message, msgspec.structs.replace(message, broadcast=True), edited=False)
    return ok(channel=after.channel, ts=after.ts, text=after.text, message=message_json(team, after))


def post_ephemeral(team: Team, scopes: Scopes, params: Json, now: datetime) -> Json:
    """`chat.postEphemeral`: a message that one member of the channel sees."""
    scopes.need("chat:write")
    channel = writable_channel(team, scopes, params)
    user = word(params, "user")
    if user not in channel.members:
        raise Refusal("user_not_in_channel")
    payload = content(params)
    message = Message(
        channel=channel.id,
        ts=team.next_ts(now),
        user=team.bot.id,
        by_app=True,
        text=str(payload["text"] or payload["markdown_text"] or ""),
        blocks=tuple(payload["blocks"] or ()),
        attachments=tuple(payload["attachments"] or ()),
        thread_ts=_thread_of(team, channel, word(params, "thread_ts")),
        visible_to=user,
    )
    return ok(message_ts=team.show_ephemeral(message).ts)


def delete(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`chat.delete`: take a message of the bot's own away."""
    scopes.need("chat:write")
    channel = visible_channel(team, params)
    message = _own(team, channel, params, error="cant_delete_message")
    team.remove_message(message)
    return ok(channel=channel.id, ts=message.ts)


def permalink(team: Team, _scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`chat.getPermalink`: the address of a message on the local page."""
    channel = visible_channel(team, params)
    message = team.message(channel.id, word(params, "message_ts"))
    if message is None:
        raise Refusal("message_not_found")
    link = f"{team.base_url}archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return ok(channel=channel.id, permalink=link)


def add_reaction(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`reactions.add`: an emoji on a message."""
    scopes.need("reactions:write")
    channel = visible_channel(team, params)
    message = team.message(channel.id, word(params, "timestamp"))
    name = word(params, "name")
    if message is None:
        raise Refusal("message_not_found")
    if not name or ":" in name:
        raise Refusal("invalid_name")
    if (name, team.bot.id) in message.reactions:
        raise Refusal("already_reacted")
    reactions = (*message.reactions, (name, team.bot.id))
    team.replace_message(message, msgspec.structs.replace(message, reactions=reactions), edited=False)
    return ok()
