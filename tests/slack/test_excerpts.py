import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.excerpts import excerpt, last_lines, shares
from bot.slack.text import weight

LINES = [f"line {n}" for n in range(1, 101)]


def test_what_fits_is_whole_and_verbatim() -> None:
    """Short logs are shown as they are, blanks and empty lines too."""
    lines = ["  indented  ", "", "a\tb", "two\nlines"]
    assert excerpt(lines, 1_000) == ("  indented  \n\na\tb\ntwo\nlines", True)


def test_both_ends_stay() -> None:
    """Of a long log the first third of the room shows the beginning, the rest the end."""
    text, whole = excerpt(LINES, 120)
    assert text == (
        "line 1\nline 2\nline 3\nline 4\nline 5\n… 88 lines left out …\n"
        "line 94\nline 95\nline 96\nline 97\nline 98\nline 99\nline 100"
    )
    assert not whole


def test_a_giant_line_is_cut_and_says_its_length() -> None:
    """The beginning of a line of 64 KiB, with its length."""
    text, whole = excerpt(["x" * 65_536], 8_000)
    assert text.endswith("x… (65,536 characters)")
    assert weight(text) == 2_000
    assert not whole


def test_a_hundred_thousand_lines_cost_no_more_than_those_shown() -> None:
    """What is not shown is not looked at (this would take minutes otherwise)."""
    text, _ = excerpt(["password=" + "y" * 4_000] * 100_000, 8_000)
    assert "y" not in text
    assert "lines left out" in text


@given(st.lists(st.text(), max_size=60), st.integers(60, 4_000))
def test_an_excerpt_keeps_its_room(lines: list[str], room: int) -> None:
    """Whatever the lines, the excerpt fits; nothing is left out without saying so."""
    text, whole = excerpt(lines, room)
    assert weight(text) <= room
    assert whole or "…" in text
    assert weight(last_lines(lines, 10, room)) <= room


@pytest.mark.parametrize(
    ("wanted", "room", "given_out"),
    [([], 10, []), ([5, 5], 20, [5, 5]), ([1, 100, 100], 21, [1, 10, 10]), ([100, 2, 4], 16, [10, 2, 4])],
)
def test_shares(wanted: list[int], room: int, given_out: list[int]) -> None:
    """Room is divided fairly, and what one does not want goes to the others."""
    assert shares(wanted, room) == given_out
