"""Log lines that fit into a message: all of them, or the first and the last with a count between.

Lines are shown as they were written, but for passwords (masked) and control characters (shown as pictures).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bot.core.masking import mask
from bot.slack.text import clip, printable, weight
from bot.slack.wording import left_out, line_cut

LONGEST_LINE = 2_000
HOPELESS = 4
"""Text so many times longer than its room does not fit, however much of it is masked."""
HEAD_SHARE = 3
"""The first lines get a third of the room, the last ones what is left: trouble shows at the end."""


class Excerpt(NamedTuple):
    """Lines that fit; `whole` tells whether they are all there, uncut."""

    text: str
    whole: bool


def excerpt(lines: Sequence[str], room: int) -> Excerpt:
    """Return the lines within `room` characters: first and last ones when there are too many.

    Lines that are not shown cost nothing: a stage can log a hundred thousand.
    """
    if sum(map(len, lines)) <= HOPELESS * room and cost(lines, room) <= room:
        shown = [_line(line, LONGEST_LINE) for line in lines]
        return Excerpt("\n".join(shown), whole=all(weight(line) <= LONGEST_LINE for line in lines))
    most, note = room // HEAD_SHARE, left_out(len(lines))
    head = _fitting((_line(line, most) for line in lines), most)
    spent = sum(map(_cost, [*head, note]))
    tail = _fitting((_line(line, most) for line in reversed(lines[len(head) :])), room - spent)
    missing = len(lines) - len(head) - len(tail)
    between = [left_out(missing)] if missing else []
    return Excerpt("\n".join([*head, *between, *reversed(tail)]), whole=False)


def last_lines(lines: Sequence[str], count: int, room: int) -> str:
    """Return the last `count` lines, or as many of them as fit into `room`."""
    newest_first = (_line(line, room // HEAD_SHARE) for line in reversed(lines[-count:]))
    return "\n".join(reversed(_fitting(newest_first, room)))


def shares(wanted: Sequence[int], room: int) -> list[int]:
    """Divide room fairly: nobody gets more than wanted, what the modest leave goes to the others."""
    given = [0] * len(wanted)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    for waiting, index in zip(range(len(wanted), 0, -1), order, strict=True):
        given[index] = min(wanted[index], room // waiting)
        room -= given[index]
    return given


def cost(lines: Iterable[str], most: int) -> int:
    """Return how much room the lines want; beyond `most` just more than that."""
    wanted = 0
    for line in lines:
        wanted += _cost(_line(line, LONGEST_LINE))
        if wanted > most:
            break
    return wanted


def _line(line: str, most: int) -> str:
    """Return a line as it is shown; only the beginning of a giant one is looked at."""
    shown, most = printable(mask(line[: HOPELESS * LONGEST_LINE])), min(most, LONGEST_LINE)
    if weight(shown) <= most:
        return shown
    note = line_cut(len(line))
    return clip(shown, max(most - len(note), 1)) + note


def _cost(line: str) -> int:
    return weight(line) + 1


def _fitting(lines: Iterable[str], room: int) -> list[str]:
    fitting: list[str] = []
    for line in lines:
        room -= _cost(line)
        if room < 0:
            break
        fitting.append(line)
    return fitting
