"""What Slack reads in mrkdwn, and the plain words of whole messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.messages import File, Json, Message
from bot.sandbox.mrkdwn import parse
from bot.sandbox.mrkdwn import plain as words_of
from bot.sandbox.reading import visible_text
from tests.sandbox.slack_payloads import (
    actions,
    button,
    input_block,
    mrkdwn,
    plain,
    plan,
    rich,
    rich_section,
    rich_words,
    section,
    select,
    task,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("*bold* _it_ ~no~ `code`", "bold it no code"),
        ("*bold _both_*", "bold both"),
        ("2*3*4 a_b_c", "2*3*4 a_b_c"),
        ("* a *", "* a *"),
        ("a &lt;b&gt; &amp;amp;", "a <b> &amp;"),
        ("```one\n*two*```", "one\n*two*"),
        ("> quote\nafter", "quote\nafter"),
        ("&gt; quote", "quote\n"),
        ("<https://x.example/a|label>", "label"),
        ("<https://x.example/a>", "https://x.example/a"),
        ("<mailto:a@b.example|mail>", "mail"),
        ("<@U1> <#C1|ops> <!here> <!subteam^S1|@dba>", "@U1 #ops @here @dba"),
        ("<!date^1700000000^{time}^https://x|14 Nov>", "14 Nov"),
        ("<javascript:alert(1)|x>", "<javascript:alert(1)|x>"),
        (":white_check_mark: :unheard_of:", "✅ :unheard_of:"),
        ("12:30:45", "12:30:45"),
        ("a\nb", "a\nb"),
    ],
)
def test_plain_words(text: str, words: str) -> None:
    """Markup is drawn, everything else stays as it is."""
    assert words_of(parse(text)) == words


@given(st.text(alphabet="ab *_~`<>&|:\n!@#^", max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    """No text makes the parser fail, and what a person may read is never more than was sent."""
    assert len(words_of(parse(text))) <= len(text) + text.count(">") + text.count("!")


def rich_line(*pieces: Json) -> Json:
    """Return rich text of one line."""
    return rich(rich_section(*pieces))


BULLET = {"type": "rich_text_list", "style": "bullet", "elements": [rich_section(rich_words("a"))]}
OUTPUT = rich_line(rich_words("ok"))
CELLS = [{"type": "raw_text", "text": "a"}, {"type": "raw_text", "text": "b"}]


def message(*blocks: Json, **more: object) -> Message:
    """Return a message with these blocks."""
    return Message(channel="C1", ts="1.000000", user="U1", text="fallback", blocks=blocks, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([], "fallback"),
        ([{"type": "header", "text": plain("*T*")}, {"type": "divider"}], "*T*"),
        ([section("*a*", fields=[mrkdwn("_b_")], accessory=button())], "a\nb\nPress"),
        ([{"type": "context", "elements": [mrkdwn("a"), {"type": "image", "alt_text": "b"}]}], "a  b"),
        ([actions(button(), select(1, placeholder=plain("Pick")))], "[Press]  [Pick]"),
        ([plan(task(status="complete", output=OUTPUT))], "Plan\nCheck (complete)\nok"),
        ([rich(BULLET)], "• a"),
        ([rich_line({"type": "user", "user_id": "U1"}, {"type": "broadcast", "range": "here"})], "@U1@here"),
        ([rich_line({"type": "date", "timestamp": 1, "format": "{time}", "fallback": "then"})], "then"),
        ([rich_line({"type": "emoji", "name": "x"}, {"type": "link", "url": "https://x"})], "❌https://x"),
        ([{"type": "table", "rows": [CELLS]}], "a\tb"),
        ([{"type": "image", "alt_text": "chart"}, {"type": "markdown", "text": "m"}], "chart\nm"),
        ([input_block()], "Label"),
    ],
)  # fmt: skip
def test_visible_text(blocks: list[Json], words: str) -> None:
    """The words come from the blocks, or from the text when there are none."""
    assert visible_text(message(*blocks)) == words


def test_visible_text_of_attachments_and_files() -> None:
    """Attachments and file titles are read too."""
    file = File(id="F1", name="a.txt", title="Log", content=b"")
    shown = message(attachments=({"title": "t", "blocks": [section("b")]},), files=(file,))
    assert visible_text(shown) == "fallback\nb\nt\nLog"
