"""The local Slack's Web API without any network: each supported method, and what it refuses."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.sandbox.messages import Json
from bot.sandbox.workspace import Channel, Message, Workspace, visible_text
from tests.sandbox.slack_payloads import home, modal, section

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
META = {"event_type": "notice_sent", "event_payload": {"id": "n1"}}

TESTED_BY = {
    "apps.connections.open": "test_connections_open",
    "auth.test": "test_auth_test",
    "chat.delete": "test_delete",
    "chat.getPermalink": "test_permalink",
    "chat.postEphemeral": "test_ephemeral",
    "chat.postMessage": "test_post",
    "chat.update": "test_update",
    "conversations.history": "test_history_pages",
    "conversations.info": "test_info",
    "conversations.join": "test_join",
    "conversations.list": "test_list",
    "conversations.members": "test_members",
    "conversations.open": "test_open_direct",
    "conversations.replies": "test_replies",
    "files.completeUploadExternal": "test_upload",
    "files.getUploadURLExternal": "test_upload",
    "reactions.add": "test_reaction",
    "users.info": "test_user_info",
    "views.open": "test_modal",
    "views.publish": "test_publish_home",
    "views.push": "test_push_modals",
    "views.update": "test_update_modal",
}


@pytest.fixture
def slack() -> Workspace:
    """Give an empty workspace."""
    return Workspace()


@pytest.fixture
def ops(slack: Workspace) -> Channel:
    """Give a channel with the bot in it."""
    return slack.add_channel("ops")


def call(slack: Workspace, method: str, after_s: float = 0, **params: Any) -> Json:
    """Call a method with the bot token."""
    answer = slack.call(method, params, slack.bot_token, NOW + timedelta(seconds=after_s))
    assert answer.status == 200
    return dict(answer.body)


def refused(slack: Workspace, method: str, **params: Any) -> str:
    """Return the error word of a call that is refused."""
    body = call(slack, method, **params)
    assert body["ok"] is False
    return str(body["error"])


def post(slack: Workspace, channel: Channel, text: str = "hello", **more: Any) -> Message:
    """Post as the bot."""
    body = call(slack, "chat.postMessage", channel=channel.id, text=text, **more)
    message = slack.message(channel.id, body["ts"])
    assert message is not None
    return message


def test_every_method_has_its_test(slack: Workspace) -> None:
    """The table above names a test of this module for each supported method."""
    assert set(TESTED_BY) == slack.api.methods
    assert all(name in globals() for name in TESTED_BY.values())


def test_unknown_method(slack: Workspace) -> None:
    """A method that does not exist is refused."""
    assert refused(slack, "chat.shout") == "unknown_method"


@pytest.mark.parametrize(
    ("token", "error"), [(None, "not_authed"), ("", "not_authed"), ("xoxb-wrong", "invalid_auth")]
)
def test_token(slack: Workspace, token: str | None, error: str) -> None:
    """A call needs the right token."""
    assert slack.call("auth.test", {}, token, NOW).body["error"] == error


def test_token_kinds(slack: Workspace) -> None:
    """The app token opens connections and does nothing else; the bot token does all else."""
    assert slack.call("chat.postMessage", {}, slack.app_token, NOW).body["error"] == "not_allowed_token_type"
    assert refused(slack, "apps.connections.open") == "not_allowed_token_type"


def test_dead_token(slack: Workspace) -> None:
    """A revoked token is refused for every method."""
    slack.api.dead_token = "token_revoked"
    assert refused(slack, "auth.test") == "token_revoked"


def test_auth_test(slack: Workspace) -> None:
    """`auth.test` tells who the bot is, and its scopes in a header."""
    answer = slack.call("auth.test", {}, slack.bot_token, NOW)
    assert (answer.body["user_id"], answer.body["bot_id"]) == (slack.bot.id, slack.bot_id)
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


def test_connections_open(slack: Workspace) -> None:
    """`apps.connections.open` gives an address whose ticket works once."""
    url = slack.call("apps.connections.open", {}, slack.app_token, NOW).body["url"]
    ticket = url.partition("ticket=")[2].partition("&")[0]
    assert url.startswith("ws://")
    assert slack.sockets.connect(ticket, lambda _: None) is not None
    assert slack.sockets.connect(ticket, lambda _: None) is None


def test_post(slack: Workspace, ops: Channel) -> None:
    """A post is there as it was sent, forms and JSON alike; ids are strings and rise."""
    first = post(slack, ops, "*hi*", metadata=META, unfurl_links=False)
    second = post(
        slack, ops, "x", blocks=json.dumps([section("<b>")]), metadata=json.dumps(META), unfurl_links="0"
    )
    assert first.ts < second.ts
    assert first.metadata == second.metadata == META
    assert (first.unfurl_links, second.unfurl_links, second.unfurl_media) == (False, False, None)
    assert visible_text(first) == "hi"
    assert slack.channel_messages(ops.id) == [first, second]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "C404", "text": "x"}, "channel_not_found"),
        ({"channel": "", "text": "x"}, "channel_not_found"),
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"text": "x", "blocks": "["}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x" * 3000)] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "metadata": "{"}, "invalid_metadata_format"),
        ({"text": "x", "markdown_text": "y"}, "markdown_text_conflict"),
    ],
)
def test_post_refused(slack: Workspace, ops: Channel, params: Json, error: str) -> None:
    """What Slack would not take is refused in its words, and nothing is posted."""
    assert refused(slack, "chat.postMessage", **{"channel": ops.id, **params}) == error
    assert slack.channel_messages(ops.id) == []


def test_invalid_blocks_say_where(slack: Workspace, ops: Channel) -> None:
    """A refusal of blocks names the place."""
    body = call(slack, "chat.postMessage", channel=ops.id, text="x", blocks=[section("x" * 3001)])
    assert body["response_metadata"]["messages"] == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    ]


def test_long_text_is_cut(slack: Workspace, ops: Channel) -> None:
    """Text over 40,000 characters is cut, with a warning."""
    body = call(slack, "chat.postMessage", channel=ops.id, text="x" * 40_001)
    assert body["warning"] == "message_truncated"
    assert len(body["message"]["text"]) == 40_000


def test_where_the_bot_may_post(slack: Workspace) -> None:
    """Private channels without the bot do not exist for it; public ones need membership or a scope."""
    private = slack.add_channel("secret", private=True, bot_is_member=False)
    public = slack.add_channel("general", bot_is_member=False)
    archived = slack.add_channel("old", archived=True)
    assert refused(slack, "chat.postMessage", channel=private.id, text="x") == "channel_not_found"
    assert refused(slack, "chat.postMessage", channel=archived.id, text="x") == "is_archived"
    assert call(slack, "chat.postMessage", channel=public.id, text="x")["ok"]
    slack.api.scopes.revoke("chat:write.public")
    assert refused(slack, "chat.postMessage", channel=public.id, text="x") == "not_in_channel"


def test_missing_scope(slack: Workspace, ops: Channel) -> None:
    """A missing scope is named together with what there is."""
    slack.api.scopes.revoke("chat:write")
    body = call(slack, "chat.postMessage", channel=ops.id, text="x")
    assert (body["error"], body["needed"]) == ("missing_scope", "chat:write")
    assert "channels:read" in body["provided"].split(",")


def test_threads(slack: Workspace, ops: Channel) -> None:
    """Replies stand in their thread, broadcast ones in the channel too."""
    root = post(slack, ops)
    reply = post(slack, ops, "reply", thread_ts=root.ts)
    loud = post(slack, ops, "loud", thread_ts=root.ts, reply_broadcast=True)
    assert slack.thread(ops.id, root.ts) == [root, reply, loud]
    assert slack.channel_messages(ops.id) == [root, loud]


def test_reply_to_a_reply_is_in_no_thread(slack: Workspace, ops: Channel) -> None:
    """Using a reply's own id as the thread makes a reply that the thread does not show."""
    root = post(slack, ops)
    reply = post(slack, ops, "reply", thread_ts=root.ts)
    post(slack, ops, "lost", thread_ts=reply.ts)
    assert slack.thread(ops.id, root.ts) == [root, reply]


def test_reply_to_a_gone_parent(slack: Workspace, ops: Channel) -> None:
    """A reply whose parent is gone lands in the channel, and the answer has no `thread_ts`."""
    root = post(slack, ops)
    call(slack, "chat.delete", channel=ops.id, ts=root.ts)
    body = call(slack, "chat.postMessage", channel=ops.id, text="late", thread_ts=root.ts)
    assert "thread_ts" not in body["message"]
    assert [m.text for m in slack.channel_messages(ops.id)] == ["late"]


def test_reply_to_a_system_message(slack: Workspace, ops: Channel) -> None:
    """System messages take no replies."""
    joined = slack.say(ops.id, "joined", NOW, subtype="channel_join")
    error = refused(slack, "chat.postMessage", channel=ops.id, text="x", thread_ts=joined.ts)
    assert error == "cannot_reply_to_message"


def test_update(slack: Workspace, ops: Channel) -> None:
    """An update replaces in place, counts, and keeps what was there before and the metadata."""
    root = post(slack, ops, "1/9", blocks=[section("1")], metadata=META)
    call(slack, "chat.update", channel=ops.id, ts=root.ts, text="2/9", blocks=[section("2")])
    after = slack.channel_messages(ops.id)[0]
    assert (after.ts, after.text, after.edits, after.metadata) == (root.ts, "2/9", 1, META)
    assert [version.text for version in after.history] == ["1/9"]
    assert not after.edited_mark


def test_update_text_alone_removes_blocks(slack: Workspace, ops: Channel) -> None:
    """Text without blocks takes the blocks away and shows the edited mark."""
    root = post(slack, ops, "a", blocks=[section("1")], attachments=[{"text": "kept"}])
    call(slack, "chat.update", channel=ops.id, ts=root.ts, text="b")
    after = slack.channel_messages(ops.id)[0]
    assert (after.blocks, after.edited_mark) == ((), True)
    assert after.attachments == ({"text": "kept"},)


def test_update_metadata(slack: Workspace, ops: Channel) -> None:
    """Metadata alone keeps text and blocks; empty metadata removes it."""
    root = post(slack, ops, "a", blocks=[section("1")], metadata=META)
    call(slack, "chat.update", channel=ops.id, ts=root.ts, metadata={})
    after = slack.channel_messages(ops.id)[0]
    assert (after.text, len(after.blocks), after.metadata) == ("a", 1, None)


def test_update_refused(slack: Workspace, ops: Channel) -> None:
    """Only the bot's own messages can be updated, with text that fits."""
    mine, theirs = post(slack, ops), slack.say(ops.id, "hi", NOW)
    assert refused(slack, "chat.update", channel=ops.id, ts="1.000000", text="x") == "message_not_found"
    assert refused(slack, "chat.update", channel=ops.id, ts=theirs.ts, text="x") == "cant_update_message"
    assert refused(slack, "chat.update", channel=ops.id, ts=mine.ts, text="x" * 4001) == "msg_too_long"
    assert refused(slack, "chat.update", channel=ops.id, ts=mine.ts) == "no_text"
    assert refused(slack, "chat.update", channel="#ops", ts=mine.ts, text="x") == "channel_not_found"


def test_update_broadcasts_a_reply(slack: Workspace, ops: Channel) -> None:
    """A reply can be broadcast later, but not with other content in the same call."""
    root = post(slack, ops)
    reply = post(slack, ops, "reply", thread_ts=root.ts)
    broadcast: Json = {"channel": ops.id, "ts": reply.ts, "reply_broadcast": True}
    assert refused(slack, "chat.update", **broadcast, text="new") == "no_dual_broadcast_content_update"
    assert refused(slack, "chat.update", **{**broadcast, "ts": root.ts}) == "cant_broadcast_message"
    assert call(slack, "chat.update", **broadcast, text="reply")["ok"]
    assert [m.text for m in slack.channel_messages(ops.id)] == ["hello", "reply"]


def test_ephemeral(slack: Workspace, ops: Channel) -> None:
    """An ephemeral message is seen by one member and cannot be updated."""
    ts = call(slack, "chat.postEphemeral", channel=ops.id, user=slack.person.id, text="psst")["message_ts"]
    assert [m.text for m in slack.ephemerals(ops.id, slack.person.id)] == ["psst"]
    assert slack.channel_messages(ops.id) == []
    assert refused(slack, "chat.update", channel=ops.id, ts=ts, text="x") == "message_not_found"
    assert (
        refused(slack, "chat.postEphemeral", channel=ops.id, user="U404", text="x") == "user_not_in_channel"
    )


def test_delete(slack: Workspace, ops: Channel) -> None:
    """A deleted parent leaves a placeholder for its replies; others' messages stay."""
    alone, root, theirs = post(slack, ops, "alone"), post(slack, ops, "root"), slack.say(ops.id, "hi", NOW)
    reply = post(slack, ops, "reply", thread_ts=root.ts)
    call(slack, "chat.delete", channel=ops.id, ts=alone.ts)
    call(slack, "chat.delete", channel=ops.id, ts=root.ts)
    assert [m.deleted for m in slack.channel_messages(ops.id)] == [True, False]
    assert slack.thread(ops.id, root.ts)[1] == reply
    assert refused(slack, "chat.delete", channel=ops.id, ts=root.ts) == "message_not_found"
    assert refused(slack, "chat.delete", channel=ops.id, ts=theirs.ts) == "cant_delete_message"


def test_permalink(slack: Workspace, ops: Channel) -> None:
    """A message has an address; a reply's leads to its thread."""
    root = post(slack, ops)
    reply = post(slack, ops, thread_ts=root.ts)
    link = call(slack, "chat.getPermalink", channel=ops.id, message_ts=reply.ts)["permalink"]
    assert link.endswith(f"/p{reply.ts.replace('.', '')}?thread_ts={root.ts}&cid={ops.id}")
    assert refused(slack, "chat.getPermalink", channel=ops.id, message_ts="1.0") == "message_not_found"


def test_history_pages(slack: Workspace, ops: Channel) -> None:
    """History is newest first, in pages, without replies."""
    posts = [post(slack, ops, str(i)) for i in range(5)]
    post(slack, ops, "reply", thread_ts=posts[0].ts)
    seen: list[str] = []
    cursor = ""
    while True:
        body = call(slack, "conversations.history", channel=ops.id, limit="2", cursor=cursor)
        seen += [m["text"] for m in body["messages"]]
        if not body["has_more"]:
            break
        cursor = body["response_metadata"]["next_cursor"]
    assert seen == ["4", "3", "2", "1", "0"]
    assert refused(slack, "conversations.history", channel=ops.id, cursor="?") == "invalid_cursor"


def test_history_bounds(slack: Workspace, ops: Channel) -> None:
    """The bounds themselves belong only to an inclusive history."""
    first, last = post(slack, ops, "a"), post(slack, ops, "b")
    bounds: Json = {"channel": ops.id, "oldest": first.ts, "latest": last.ts}
    assert call(slack, "conversations.history", **bounds)["messages"] == []
    inclusive = call(slack, "conversations.history", **bounds, inclusive="1")["messages"]
    assert [m["text"] for m in inclusive] == ["b", "a"]


def test_history_metadata(slack: Workspace, ops: Channel) -> None:
    """Metadata is whole only when asked for."""
    post(slack, ops, metadata=META)
    bare = call(slack, "conversations.history", channel=ops.id)["messages"][0]
    full = call(slack, "conversations.history", channel=ops.id, include_all_metadata="true")["messages"][0]
    assert bare["metadata"] == {"event_type": "notice_sent"}
    assert (full["metadata"], full["bot_id"]) == (META, slack.bot_id)


def test_who_may_read(slack: Workspace) -> None:
    """Reading needs membership and the scope for that kind of channel."""
    public = slack.add_channel("general", bot_is_member=False)
    private = slack.add_channel("secret", private=True)
    assert refused(slack, "conversations.history", channel=public.id) == "not_in_channel"
    slack.api.scopes.revoke("groups:history")
    body = call(slack, "conversations.history", channel=private.id)
    assert (body["error"], body["needed"]) == ("missing_scope", "groups:history")


def test_replies(slack: Workspace, ops: Channel) -> None:
    """The parent heads each page of a thread, found by any of its messages."""
    root = post(slack, ops, "root")
    replies = [post(slack, ops, str(i), thread_ts=root.ts) for i in range(3)]
    page = call(slack, "conversations.replies", channel=ops.id, ts=replies[1].ts, limit=3)
    assert [m["text"] for m in page["messages"]] == ["root", "0", "1"]
    assert page["messages"][0]["reply_count"] == 3
    cursor = page["response_metadata"]["next_cursor"]
    rest = call(slack, "conversations.replies", channel=ops.id, ts=root.ts, limit=3, cursor=cursor)
    assert [m["text"] for m in rest["messages"]] == ["root", "2"]
    assert refused(slack, "conversations.replies", channel=ops.id, ts="1.000000") == "thread_not_found"


def test_info(slack: Workspace, ops: Channel) -> None:
    """A channel says what it is; one that the bot cannot see does not exist."""
    hidden = slack.add_channel("secret", private=True, bot_is_member=False)
    info = call(slack, "conversations.info", channel=ops.id)["channel"]
    assert (info["name"], info["is_member"], info["is_private"]) == ("ops", True, False)
    assert refused(slack, "conversations.info", channel=hidden.id) == "channel_not_found"


def test_list(slack: Workspace, ops: Channel) -> None:
    """The list holds the wanted kinds that the bot can see, in pages."""
    slack.add_channel("old", archived=True)
    slack.add_channel("secret", private=True)
    slack.add_channel("hidden", private=True, bot_is_member=False)
    types = "public_channel,private_channel"
    first = call(slack, "conversations.list", types=types, exclude_archived=True, limit=1)
    cursor = first["response_metadata"]["next_cursor"]
    rest = call(slack, "conversations.list", types=types, exclude_archived=True, cursor=cursor)
    assert [c["name"] for c in first["channels"] + rest["channels"]] == [ops.name, "secret"]
    assert refused(slack, "conversations.list", types="all") == "invalid_types"


def test_join(slack: Workspace) -> None:
    """The bot joins public channels; being there already is a warning."""
    public = slack.add_channel("general", bot_is_member=False)
    private = slack.add_channel("secret", private=True)
    archived = slack.add_channel("old", archived=True, bot_is_member=False)
    assert "warning" not in call(slack, "conversations.join", channel=public.id)
    assert call(slack, "conversations.join", channel=public.id)["warning"] == "already_in_channel"
    assert refused(slack, "conversations.join", channel=archived.id) == "is_archived"
    error = refused(slack, "conversations.join", channel=private.id)
    assert error == "method_not_supported_for_channel_type"


def test_open_direct(slack: Workspace) -> None:
    """A direct conversation is opened once, and can be posted to by the person's id too."""
    first = call(slack, "conversations.open", users=slack.person.id)["channel"]["id"]
    again = call(slack, "conversations.open", users=slack.person.id)["channel"]["id"]
    posted = call(slack, "chat.postMessage", channel=slack.person.id, text="hi")["channel"]
    assert first == again == posted
    assert first.startswith("D")
    assert refused(slack, "conversations.open", users="U404") == "user_not_found"


def test_members(slack: Workspace, ops: Channel) -> None:
    """Members are people and the bot."""
    assert set(call(slack, "conversations.members", channel=ops.id)["members"]) == {
        slack.bot.id,
        slack.person.id,
    }


def test_user_info(slack: Workspace) -> None:
    """A person has a name; the address needs a scope of its own."""
    user = call(slack, "users.info", user=slack.person.id)["user"]
    assert (user["name"], "email" in user["profile"]) == ("you", False)
    assert refused(slack, "users.info", user="U404") == "user_not_found"


def test_reaction(slack: Workspace, ops: Channel) -> None:
    """A reaction is there once."""
    root = post(slack, ops)
    react: Json = {"channel": ops.id, "timestamp": root.ts, "name": "eyes"}
    assert call(slack, "reactions.add", **react)["ok"]
    assert refused(slack, "reactions.add", **react) == "already_reacted"
    assert refused(slack, "reactions.add", **{**react, "name": ":eyes:"}) == "invalid_name"
    assert refused(slack, "reactions.add", **{**react, "timestamp": "1.0"}) == "message_not_found"


def test_upload(slack: Workspace, ops: Channel) -> None:
    """A file goes up in three steps into a thread; the answer names no message."""
    root = post(slack, ops)
    step = call(slack, "files.getUploadURLExternal", filename="log.txt", length="3")
    share: Json = {
        "channel_id": ops.id,
        "thread_ts": root.ts,
        "files": json.dumps([{"id": step["file_id"], "title": "Log"}]),
    }
    assert refused(slack, "files.completeUploadExternal", **share) == "file_not_found"
    assert slack.api.uploads.receive(step["file_id"], b"four").status == 400
    assert slack.api.uploads.receive(step["file_id"], b"log").status == 200
    assert "ts" not in call(slack, "files.completeUploadExternal", **share)
    (file,) = slack.thread(ops.id, root.ts)[1].files
    assert (file.name, file.title, file.content) == ("log.txt", "Log", b"log")


def test_upload_needs_membership(slack: Workspace) -> None:
    """Sharing a file needs membership, whatever scope there is."""
    public = slack.add_channel("general", bot_is_member=False)
    step = call(slack, "files.getUploadURLExternal", filename="a", length=1)
    slack.api.uploads.receive(step["file_id"], b"x")
    share: Json = {"channel_id": public.id, "files": [{"id": step["file_id"]}]}
    assert refused(slack, "files.completeUploadExternal", **share) == "not_in_channel"
    assert refused(slack, "files.getUploadURLExternal", filename="a", length=0) == "invalid_arguments"


def trigger(slack: Workspace) -> str:
    """Return a fresh trigger id."""
    return slack.api.triggers.give(slack.person.id, NOW)


def test_modal(slack: Workspace) -> None:
    """A modal opens once per trigger id, within three seconds."""
    given = trigger(slack)
    assert call(slack, "views.open", 3, trigger_id=given, view=modal())["view"]["root_view_id"]
    assert refused(slack, "views.open", trigger_id=given, view=modal()) == "exchanged_trigger_id"
    assert (
        call(slack, "views.open", 3.1, trigger_id=trigger(slack), view=modal())["error"]
        == "expired_trigger_id"
    )
    assert refused(slack, "views.open", trigger_id="x", view=modal()) == "invalid_trigger_id"
    assert refused(slack, "views.open", trigger_id=trigger(slack), view=home()) == "invalid_arguments"
    assert len(slack.views[slack.person.id]) == 1


def test_update_modal(slack: Workspace) -> None:
    """A modal is replaced by its id; an old hash is refused, a closed one not found."""
    view = call(slack, "views.open", trigger_id=trigger(slack), view=modal(external_id="e"))["view"]
    after = call(slack, "views.update", view_id=view["id"], hash=view["hash"], view=modal(section("new")))[
        "view"
    ]
    assert after["blocks"][0]["text"]["text"] == "new"
    assert (
        refused(slack, "views.update", view_id=view["id"], hash=view["hash"], view=modal()) == "hash_conflict"
    )
    slack.close_view(NOW)
    assert refused(slack, "views.update", view_id=view["id"], view=modal()) == "not_found"


def test_external_ids_are_unique(slack: Workspace) -> None:
    """Two open views cannot share an external id, but one can keep its own."""
    call(slack, "views.open", trigger_id=trigger(slack), view=modal(external_id="e"))
    assert call(slack, "views.update", external_id="e", view=modal(external_id="e"))["ok"]
    error = refused(slack, "views.push", trigger_id=trigger(slack), view=modal(external_id="e"))
    assert error == "duplicate_external_id"


def test_push_modals(slack: Workspace) -> None:
    """At most three modals stand on each other."""
    assert refused(slack, "views.push", trigger_id=trigger(slack), view=modal()) == "not_found"
    call(slack, "views.open", trigger_id=trigger(slack), view=modal())
    for _ in range(2):
        assert call(slack, "views.push", trigger_id=trigger(slack), view=modal())["ok"]
    assert refused(slack, "views.push", trigger_id=trigger(slack), view=modal()) == "push_limit_reached"


def test_publish_home(slack: Workspace) -> None:
    """A home view is replaced as a whole, unless its hash is old or the tab is off."""
    user = slack.person.id
    first = call(slack, "views.publish", user_id=user, view=json.dumps(home()))["view"]
    call(slack, "views.publish", user_id=user, view=home(section("new")), hash=first["hash"])
    assert slack.homes[user].body["blocks"][0]["text"]["text"] == "new"
    assert refused(slack, "views.publish", user_id=user, view=home(), hash=first["hash"]) == "hash_conflict"
    slack.home_enabled = False
    assert refused(slack, "views.publish", user_id=user, view=home()) == "not_enabled"
