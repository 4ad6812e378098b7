import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.text import clip, escape, one_line, printable, weight

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("ab" + "e\u0301" + "cd", 4, "ab…"),  # not between a letter and its accent
        ("a" + FAMILY + "b", 6, "a…"),  # not inside a joined emoji
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 7, "\U0001f1e9\U0001f1ea…"),  # not inside a flag
        ("\U0001f44d\U0001f3fd!!", 4, "\U0001f44d…"),  # one giant character alone: cut all the same
        ("a&b", 4, "a…"),  # an ampersand takes five characters once escaped
        ("anything", 0, ""),
    ],
)
def test_clip(text: str, limit: int, cut: str) -> None:
    """A cut falls on a border of what people see as one character and shows that something is missing."""
    assert clip(text, limit) == cut


@given(st.text(), st.integers(0, 40))
def test_clip_keeps_the_limit(text: str, limit: int) -> None:
    """Whatever the text, the result fits, escaped or not, and begins as the text does."""
    cut = clip(text, limit)
    assert weight(cut) <= limit
    assert len(escape(cut)) <= limit
    assert cut == text or text.startswith(cut.removesuffix("…"))


@given(st.text(alphabet="&<>ab;"))
def test_escape_leaves_no_markup(text: str) -> None:
    """Escaped text holds none of Slack's brackets, and nothing is lost."""
    escaped = escape(text)
    assert not set("<>") & set(escaped)
    assert escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


def test_control_characters_become_visible() -> None:
    """Terminal colours and lone surrogates are shown, not sent; tabs and line breaks stay."""
    assert printable("a\x1b[31m\tb\n\x7f\x85\ud800") == "a␛[31m\tb\n␡\ufffd\ufffd"
    assert one_line("a\r\n\tb\x00") == "a   b␀"
