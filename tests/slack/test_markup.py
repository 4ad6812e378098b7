from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bot.slack.markup import Bold, Code, Line, Link, join, mrkdwn, plain

AT = datetime(2026, 5, 9, 3, 4, 5, tzinfo=UTC)

pieces = st.one_of(
    st.text(),
    st.builds(Bold, st.text()),
    st.builds(Code, st.text()),
    st.builds(Link, st.text(), st.text()),
    st.just(AT),
)


def test_each_piece_in_both_shapes() -> None:
    """One line gives markup for Slack and words for a notification."""
    line: Line = (Bold("a<b"), " since ", AT, " ", Code("x`y"), " ", Link("http://h/a b|c?d&e", "see|<it>"))
    assert mrkdwn(line, 3000) == (
        "*a&lt;b* since <!date^1778295845^{date_short_pretty} {time}|2026-05-09 03:04 UTC> `xˋy` "
        "<http://h/a%20b%7Cc?d&amp;e|see¦&lt;it&gt;>"
    )
    assert plain(line) == "a<b since 2026-05-09 03:04 UTC x`y see|<it>"


def test_foreign_text_cannot_mention_anybody() -> None:
    """A name that looks like a mention is shown, not obeyed."""
    assert mrkdwn(("<!channel> ", Bold("<@U1>")), 100) == "&lt;!channel&gt; *&lt;@U1&gt;*"


def test_only_web_addresses_become_links() -> None:
    """An address of another kind, or one that is none, is shown as its label."""
    assert mrkdwn((Link("javascript:alert(1)", "a"), Link("http://[", "b")), 100) == "ab"


def test_a_text_with_marks_is_not_marked() -> None:
    """Slack has no escape for an asterisk: such a name stays plain."""
    assert mrkdwn((Bold("2*3"),), 100) == "2*3"


def test_join_skips_what_is_empty() -> None:
    """Unknown parts leave no separator behind."""
    assert join(" · ", [("a",), (), ("b", "c")]) == ("a", " · ", "b", "c")


@given(st.lists(pieces).map(tuple), st.integers(1, 200))
def test_markup_keeps_its_limit(line: Line, limit: int) -> None:
    """Whatever the pieces, the markup fits."""
    assert len(mrkdwn(line, limit)) <= limit
