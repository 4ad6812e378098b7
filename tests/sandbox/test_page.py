"""The page's HTML: what is drawn, and that everything is escaped."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.markup import Html, el, join
from bot.sandbox.messages import Json
from bot.sandbox.page import channel_html, channels_html, home_html, message_html, modal_html, thread_html
from bot.sandbox.page_blocks import blocks_html
from bot.sandbox.page_shell import shell
from bot.sandbox.page_text import mrkdwn_html
from bot.sandbox.workspace import Message, Workspace
from tests.sandbox.slack_payloads import (
    actions,
    button,
    home,
    input_block,
    modal,
    mrkdwn,
    option,
    plain,
    plan,
    rich,
    rich_section,
    rich_words,
    section,
    select,
    task,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVIL = "<script>alert('x')</script>\"&"


@pytest.fixture
def slack() -> Workspace:
    """Give a workspace with one channel."""
    slack = Workspace()
    slack.add_channel("ops", channel_id="C1")
    return slack


def post(slack: Workspace, text: str = "hello", **more: Any) -> Message:
    """Post as the bot."""
    params = {"channel": "C1", "text": text, **more}
    body = slack.call("chat.postMessage", params, slack.bot_token, NOW).body
    message = slack.message("C1", body["ts"])
    assert message is not None
    return message


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*a* _b_ ~c~ `d`", "<strong>a</strong> <em>b</em> <s>c</s> <code>d</code>"),
        ("a &lt;b&gt;", "a &lt;b&gt;"),
        ("a <b> c", "a &lt;b&gt; c"),
        ("a\nb", "a<br>b"),
        ("```x\n<y>```", '<pre tabindex="0">x\n&lt;y&gt;</pre>'),
        ("> q", "<blockquote>q</blockquote>"),
        (
            "<https://x.example?a=1&amp;b=2|l>",
            '<a href="https://x.example?a=1&amp;b=2" rel="noopener noreferrer" target="_blank">l</a>',
        ),
        ("<javascript:alert(1)|l>", "&lt;javascript:alert(1)|l&gt;"),
        ("<#C1>", '<span class="mention">#ops</span>'),
        ("<@U0BOT>", '<span class="mention">@obdag</span>'),
        ("<!here>", '<span class="mention loud">@here</span>'),
        ("&lt;!here&gt;", "&lt;!here&gt;"),
        (
            "<!date^1700000000^{time}|22:13 UTC>",
            '<time datetime="2023-11-14T22:13:20Z" data-format="{time}" title="22:13 UTC">22:13 UTC</time>',
        ),
        ("<!date^99999999999999999^{time}|then>", "<span>then</span>"),
        (":x:", '<span role="img" aria-label="x">❌</span>'),
    ],
)
def test_mrkdwn(slack: Workspace, text: str, html: str) -> None:
    """Markup is drawn, everything else is escaped."""
    assert mrkdwn_html(slack, text) == html


EVERYWHERE: list[Json] = [
    {"type": "header", "text": plain(EVIL)},
    section(EVIL, fields=[mrkdwn(EVIL)], accessory=button(value=EVIL, url="https://x/" + EVIL)),
    {"type": "context", "elements": [mrkdwn(EVIL)]},
    {"type": "context", "elements": [{"type": "image", "image_url": "javascript:x", "alt_text": EVIL}]},
    actions(
        button(action_id=EVIL, text=plain(EVIL), accessibility_label=EVIL, confirm={"text": plain(EVIL)}),
        {**select(0, placeholder=plain(EVIL)), "options": [option(EVIL, EVIL)]},
        {"type": EVIL},
    ),
    {"type": "image", "image_url": "https://x.example/" + EVIL, "alt_text": EVIL, "title": plain(EVIL)},
    rich(rich_section(rich_words(EVIL)), {"type": "rich_text_preformatted", "elements": [rich_words(EVIL)]}),
    rich(rich_section({"type": "link", "url": "javascript:alert(1)", "text": EVIL})),
    rich(rich_section({"type": "user", "user_id": EVIL})),
    plan(task(title=EVIL, status="error", output=rich(rich_section(rich_words(EVIL)))), title=EVIL),
    {"type": "table", "rows": [[{"type": "raw_text", "text": EVIL}]]},
    {"type": "markdown", "text": EVIL},
    {"type": EVIL},
    input_block(label=plain(EVIL), hint=plain(EVIL), block_id=EVIL),
]  # fmt: skip


@pytest.mark.parametrize("block", EVERYWHERE, ids=lambda b: b["type"][:10])
def test_every_block_escapes(slack: Workspace, block: Json) -> None:
    """Nothing that an app sends becomes markup of the page, nor a link that runs something."""
    html = blocks_html(slack, [block])
    assert "script&gt;" in html
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert 'src="javascript' not in html


@given(st.text(alphabet="ab<>&\"'`*_~|!@#:/\n", max_size=40))
def test_any_text_is_escaped(text: str) -> None:
    """Without its own tags, the HTML of any text holds no markup sign."""
    html = mrkdwn_html(Workspace(), text)
    assert not re.search(
        r"[<>]", re.sub(r"</?(strong|em|s|code|pre|blockquote|br|span|a)\b[^<>]*>", "", html)
    )


def test_markup_escapes_text_once() -> None:
    """Text is escaped, markup is not escaped again; attributes follow Python's names."""
    assert el("a", "<", Html("<b>"), class_='"', data_x="1", hidden=True, title=None) == (
        '<a class="&quot;" data-x="1" hidden>&lt;<b></a>'
    )
    assert join(["<", None, el("br")]) == "&lt;<br>"


def test_task_states_have_words(slack: Workspace) -> None:
    """A screen reader hears the state of each task."""
    html = blocks_html(slack, [plan(task(status="in_progress"), task(status="error"))])
    assert 'aria-label="in progress"' in html
    assert 'aria-label="error"' in html


def test_buttons_tell_what_they_do(slack: Workspace) -> None:
    """A button carries its action and style."""
    block = {**actions(button("go", value="1", style="danger")), "block_id": "b"}
    html = blocks_html(slack, [block])
    assert 'class="btn danger"' in html
    assert "&quot;action_id&quot;: &quot;go&quot;" in html
    assert "&quot;block_id&quot;: &quot;b&quot;" in html


def test_inputs(slack: Workspace) -> None:
    """Each kind of input is a form field that keeps what was chosen before."""
    chosen = option("1h", "1 hour")
    html = blocks_html(
        slack,
        [
            input_block(element={**select(0), "options": [chosen], "initial_option": chosen}),
            input_block(element={"type": "radio_buttons", "action_id": "r", "options": [chosen]}),
            input_block(element={"type": "plain_text_input", "multiline": True, "initial_value": "why"}),
            input_block(element={"type": "plain_text_input", "max_length": 5, "placeholder": plain("p")}),
        ],
    )
    assert '<option value="1h" selected' in html
    assert '<input type="radio"' in html
    assert ">why</textarea>" in html
    assert 'placeholder="p" maxlength="5"' in html


def test_message_and_thread(slack: Workspace) -> None:
    """A parent counts its replies; replies stand in the thread, broadcast ones in the channel with a note."""
    root = post(slack, "root")
    post(slack, "only here", thread_ts=root.ts)
    post(slack, "loud", thread_ts=root.ts, reply_broadcast=True)
    channel = channel_html(slack, slack.channels["C1"], slack.person.id)
    thread = thread_html(slack, "C1", root.ts, slack.person.id)
    assert "2 replies" in channel
    assert "replied to a thread" in channel
    assert "only here" not in channel
    assert "2 replies" not in thread
    assert "Also sent to the channel" in thread
    assert thread.index("root") < thread.index("only here") < thread.index("loud")


def test_ephemeral_is_for_one(slack: Workspace) -> None:
    """Only the person it is for sees an ephemeral message, and that it is so."""
    params = {"channel": "C1", "user": slack.person.id, "text": "psst"}
    slack.call("chat.postEphemeral", params, slack.bot_token, NOW)
    assert "Only visible to you" in channel_html(slack, slack.channels["C1"], slack.person.id)
    assert "psst" not in channel_html(slack, slack.channels["C1"], "U2")


def test_edited_and_deleted(slack: Workspace) -> None:
    """An edit of text is marked, one of blocks is not; a deleted parent leaves its place."""
    text, blocks = post(slack, "a"), post(slack, "b", blocks=[section("b")])
    for message, more in ((text, {}), (blocks, {"blocks": [section("c")]})):
        params = {"channel": "C1", "ts": message.ts, "text": "c", **more}
        slack.call("chat.update", params, slack.bot_token, NOW)
    shown = [message_html(slack, m) for m in slack.channel_messages("C1")]
    assert ["(edited)" in html for html in shown] == [True, False]
    post(slack, "reply", thread_ts=text.ts)
    slack.call("chat.delete", {"channel": "C1", "ts": text.ts}, slack.bot_token, NOW)
    assert "This message was deleted" in channel_html(slack, slack.channels["C1"], slack.person.id)


def test_channels(slack: Workspace) -> None:
    """The list shows the channels that the person is in."""
    slack.add_channel("<secret>", private=True)
    hidden = slack.add_channel("foreign")
    hidden.members.discard(slack.person.id)
    html = channels_html(slack, slack.person.id)
    assert "ops" in html
    assert "&lt;secret&gt;" in html
    assert "foreign" not in html


def test_modal_and_home(slack: Workspace) -> None:
    """A modal is a form with its buttons; a missing home says so."""
    trigger = slack.api.triggers.give(slack.person.id, NOW)
    view = modal(input_block(), submit=plain("Go"))
    slack.call("views.open", {"trigger_id": trigger, "view": view}, slack.bot_token, NOW)
    html = modal_html(slack, slack.views[slack.person.id][0])
    assert '<button type="submit" class="btn primary">Go</button>' in html
    assert "not published" in home_html(slack, None)
    slack.call("views.publish", {"user_id": slack.person.id, "view": home()}, slack.bot_token, NOW)
    assert "b-section" in home_html(slack, slack.homes[slack.person.id])


def test_shell_names_its_parts(slack: Workspace) -> None:
    """Lists are announced politely and every box has a label."""
    html = shell(slack, slack.person.id)
    assert html.count('aria-live="polite"') == 3
    boxes = re.findall(r'<textarea id="([^"]+)"', html)
    assert all(f'<label for="{box}"' in html for box in boxes)
    assert re.findall(r"<script(?! src=)", html) == []
