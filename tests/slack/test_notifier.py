from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bot.clock import system_clock
from bot.core.events import AnyEvent
from bot.core.parts import WHOLE
from bot.delivery.notifier import (
    Absent,
    Found,
    Notice,
    Notifier,
    NotSent,
    Reason,
    Refused,
    RetryAfter,
    Sent,
    Unclear,
    Unknowable,
)
from bot.sandbox.messages import Message as SlackMessage
from bot.sandbox.team import Channel
from bot.sandbox.webapi.trouble import BrokenJson, DropAfter, DropBefore, HttpStatus, RateLimited, Says
from bot.sandbox.workspace import BOT_TOKEN, Workspace
from bot.sandbox.workspace_server import WorkspaceServer
from bot.slack.messages import Layout
from bot.slack.notifier import SlackNotifier, is_loopback, make_client
from tests.slack.samples import FAILED, ROOTS, SUCCEEDED

RUNNING = ROOTS["running"]
POST = "chat.postMessage"


@pytest.fixture
def notifier(server: WorkspaceServer) -> Notifier:
    """Return what delivery uses, in front of the local Slack."""
    return SlackNotifier(make_client(BOT_TOKEN, server.api_url), layout=Layout.PLAN)


def notice(
    channel: Channel,
    thread_ts: str | None,
    *,
    notice_id: str = "n1",
    event: AnyEvent = SUCCEEDED,
    broadcast: bool = False,
) -> Notice:
    """Return a notice of one whole event."""
    return Notice(
        notice_id=notice_id,
        channel=channel.id,
        thread_ts=thread_ts,
        event=event,
        part=WHOLE,
        broadcast=broadcast,
    )


async def rooted(notifier: Notifier, channel: Channel) -> str:
    """Post a root message and return its `ts`."""
    sent = await notifier.post_root(channel=channel.id, view=RUNNING, notice_id="root")
    assert isinstance(sent, Sent)
    return sent.ts


def kinds(message: SlackMessage | None) -> list[str]:
    """Return the kinds of blocks of a message."""
    assert message
    return [block["type"] for block in message.blocks]


async def test_root_is_posted_then_edited_in_place(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """One message lives from the first stage to the outcome and keeps its metadata."""
    ts = await rooted(notifier, channel)
    posted = workspace.message(channel.id, ts)
    assert posted
    assert posted.metadata == {"event_type": "obdag_notice", "event_payload": {"id": "root"}}
    assert posted.unfurl_links is False
    assert posted.unfurl_media is False
    assert "plan" in kinds(posted)

    edited = await notifier.edit_root(channel=channel.id, ts=ts, view=ROOTS["succeeded"])
    assert edited == Sent(ts)
    now = workspace.message(channel.id, ts)
    assert now
    assert "9/9 done" in now.text
    assert now.metadata == posted.metadata
    assert len(workspace.channel_messages(channel.id)) == 1


async def test_replies_stay_in_the_thread_and_failures_are_shown_in_the_channel(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """A reply goes into the thread; a broadcast one into the channel too."""
    ts = await rooted(notifier, channel)
    quiet = await notifier.post(notice(channel, ts))
    loud = await notifier.post(notice(channel, ts, notice_id="n2", event=FAILED, broadcast=True))
    assert isinstance(quiet, Sent)
    assert isinstance(loud, Sent)
    assert quiet.in_thread
    assert loud.in_thread
    assert [m.ts for m in workspace.channel_messages(channel.id)] == [ts, loud.ts]


async def test_a_reply_to_a_root_that_is_gone_is_noticed(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """Slack posts such a reply in the channel and says ok: the answer tells, and so does a look-up."""
    ts = await rooted(notifier, channel)
    root = workspace.message(channel.id, ts)
    assert root
    workspace.remove_message(root)
    before = system_clock()
    sent = await notifier.post(notice(channel, ts))
    assert isinstance(sent, Sent)
    assert not sent.in_thread
    found = await notifier.find(channel=channel.id, thread_ts=ts, notice_id="n1", since=before)
    assert found == Found(sent.ts, in_thread=False)


async def test_a_workspace_that_refuses_the_plan_block_gets_the_classic_layout(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """The refusal costs one call once; from then on roots are classic."""
    workspace.api.trouble.add(POST, Says("invalid_blocks"))
    ts = await rooted(notifier, channel)
    assert "plan" not in kinds(workspace.message(channel.id, ts))
    calls = len(workspace.api.calls(POST))
    second = await rooted(notifier, channel)
    assert "plan" not in kinds(workspace.message(channel.id, second))
    assert len(workspace.api.calls(POST)) == calls + 1


async def test_blocks_that_are_refused_give_way_to_plain_text(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """The news arrives as text; blocks refused for another cause do not change the layout."""
    workspace.api.trouble.add(POST, Says("invalid_blocks"), times=2)
    ts = await rooted(notifier, channel)
    message = workspace.message(channel.id, ts)
    assert message
    assert message.blocks == ()
    assert "Cluster scale out" in message.text
    again = await rooted(notifier, channel)
    assert "plan" in kinds(workspace.message(channel.id, again))
    workspace.api.trouble.add(POST, Says("msg_blocks_too_long"))
    reply = await notifier.post(notice(channel, ts))
    assert isinstance(reply, Sent)
    assert workspace.thread(channel.id, ts)[-1].blocks == ()


async def test_text_that_is_refused_too_is_refused_for_good(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """Nothing is repeated for ever."""
    workspace.api.trouble.add(POST, Says("invalid_blocks"), times=3)
    result = await notifier.post_root(channel=channel.id, view=RUNNING, notice_id="root")
    assert isinstance(result, Refused)
    assert result.reason is Reason.CONTENT


async def test_metadata_that_are_refused_are_left_out(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """The news matters more than finding it again."""
    workspace.api.trouble.add(POST, Says("metadata_too_large"))
    ts = await rooted(notifier, channel)
    message = workspace.message(channel.id, ts)
    assert message
    assert message.metadata is None
    assert "plan" in kinds(message)


async def test_a_public_channel_is_joined_when_that_is_needed(
    notifier: Notifier, workspace: Workspace
) -> None:
    """The bot joins once and posts."""
    workspace.api.scopes.revoke("chat:write.public")
    channel = workspace.add_channel("public", bot_is_member=False)
    await rooted(notifier, channel)
    assert workspace.bot.id in channel.members


async def test_a_channel_that_cannot_be_joined_is_refused_with_the_remedy(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """Without the right to join, the operator is told to invite the bot."""
    workspace.api.trouble.add(POST, Says("not_in_channel"))
    workspace.api.scopes.revoke("channels:join")
    result = await notifier.post(notice(channel, None))
    assert isinstance(result, Refused)
    assert result.reason is Reason.CHANNEL
    assert "/invite" in result.detail


async def test_trouble_while_joining_is_not_sent(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """Whatever becomes of the joining, nothing was posted."""
    workspace.api.trouble.add(POST, Says("not_in_channel"))
    workspace.api.trouble.add("conversations.join", HttpStatus(503))
    result = await notifier.post(notice(channel, None))
    assert isinstance(result, NotSent)


async def test_refusals_and_limits(notifier: Notifier, workspace: Workspace, channel: Channel) -> None:
    """An archived channel, a dead token and a limit are told apart."""
    workspace.api.trouble.add(POST, RateLimited(7))
    assert await notifier.post(notice(channel, None)) == RetryAfter(POST, 7.0)
    workspace.api.trouble.add("chat.update", RateLimited(3, empty=True))
    edit = await notifier.edit_root(channel=channel.id, ts="1.0", view=RUNNING)
    assert edit == RetryAfter("chat.update", 3.0)
    gone = await notifier.edit_root(channel=channel.id, ts="1.000000", view=RUNNING)
    assert isinstance(gone, Refused)
    assert gone.reason is Reason.THREAD_LOST
    workspace.archive(channel)
    archived = await notifier.post(notice(channel, None))
    assert isinstance(archived, Refused)
    assert archived.reason is Reason.CHANNEL
    workspace.api.dead_token = "token_revoked"
    revoked = await notifier.post(notice(channel, None))
    assert isinstance(revoked, Refused)
    assert revoked.reason is Reason.AUTH


@pytest.mark.parametrize("trouble", [DropAfter(), BrokenJson()])
async def test_a_lost_answer_is_unclear_and_the_message_is_found(
    notifier: Notifier, workspace: Workspace, channel: Channel, trouble: Any
) -> None:
    """One call, one message; the look-up finds it, in the thread and in the channel."""
    ts = await rooted(notifier, channel)
    before = system_clock()
    workspace.api.trouble.add(POST, trouble, times=2)
    assert isinstance(await notifier.post(notice(channel, ts)), Unclear)
    top = await notifier.post_root(channel=channel.id, view=RUNNING, notice_id="n2")
    assert isinstance(top, Unclear)
    reply = await notifier.find(channel=channel.id, thread_ts=ts, notice_id="n1", since=before)
    assert reply == Found(workspace.thread(channel.id, ts)[-1].ts)
    root = await notifier.find(channel=channel.id, thread_ts=None, notice_id="n2", since=before)
    assert root == Found(workspace.channel_messages(channel.id)[-1].ts)
    assert len(workspace.all_messages(channel.id)) == 3


async def test_a_call_that_never_arrived_is_not_found(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """Absent means that it can be sent again."""
    ts = await rooted(notifier, channel)
    workspace.api.trouble.add(POST, DropBefore())
    assert isinstance(await notifier.post(notice(channel, ts)), Unclear)
    for thread in (ts, None):
        looked = await notifier.find(
            channel=channel.id, thread_ts=thread, notice_id="n1", since=system_clock()
        )
        assert looked == Absent()


async def test_a_thread_that_is_gone_holds_nothing(notifier: Notifier, channel: Channel) -> None:
    """No thread, no message in it."""
    looked = await notifier.find(
        channel=channel.id, thread_ts="1.000001", notice_id="n1", since=system_clock()
    )
    assert looked == Absent()


async def test_the_look_up_reads_all_pages(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """A message far down a busy channel or thread is found."""
    ts = await rooted(notifier, channel)
    before = system_clock()
    sent = await notifier.post(notice(channel, ts))
    assert isinstance(sent, Sent)
    for number in range(450):
        workspace.say(channel.id, f"chatter {number}", system_clock())
        workspace.say(channel.id, f"chatter {number}", system_clock() - timedelta(seconds=30), thread_ts=ts)
    root = await notifier.find(channel=channel.id, thread_ts=None, notice_id="root", since=before)
    assert root == Found(ts)
    reply = await notifier.find(channel=channel.id, thread_ts=ts, notice_id="n1", since=before)
    assert reply == Found(sent.ts)


async def test_what_somebody_else_marked_alike_is_not_ours(
    notifier: Notifier, workspace: Workspace, channel: Channel
) -> None:
    """Only our own bot's messages count."""
    ts = await rooted(notifier, channel)
    mine = workspace.message(channel.id, ts)
    assert mine
    workspace.replace_message(mine, msgspec.structs.replace(mine, by_app=False))
    looked = await notifier.find(channel=channel.id, thread_ts=None, notice_id="root", since=system_clock())
    assert looked == Absent()


@pytest.mark.parametrize(
    ("trouble", "retry_s"),
    [
        (Says("missing_scope", {"needed": "channels:history"}), None),
        (Says("not_in_channel"), None),
        (RateLimited(11), 11.0),
        (HttpStatus(503), 5.0),
        (Says("invalid_cursor"), 5.0),
        (Says("token_revoked"), 60.0),
    ],
)
async def test_a_look_up_that_is_impossible(
    notifier: Notifier, workspace: Workspace, channel: Channel, trouble: Any, retry_s: float | None
) -> None:
    """What cannot be read is unknowable, for now or for good."""
    workspace.api.trouble.add("conversations.history", trouble)
    looked = await notifier.find(channel=channel.id, thread_ts=None, notice_id="n1", since=system_clock())
    assert isinstance(looked, Unknowable)
    assert looked.retry_s == retry_s


def test_loopback_gets_no_proxy() -> None:
    """A proxy of the environment is for Slack, not for a stand-in on this machine."""
    assert is_loopback("http://127.0.0.1:80/api/")
    assert is_loopback("http://localhost/api/")
    assert is_loopback("http://[::1]:80/api/")
    assert not is_loopback("https://slack.com/api/")
