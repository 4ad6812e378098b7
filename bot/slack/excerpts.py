"""Log lines that fit into a message: all of them, or the first and the last with a count between.

Lines are shown as they were written, but for passwords (masked) and control characters (shown as pictures).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bot.core.masking import mask
from bot.slack.text import clip, printable, weight
from bot.slack.wording import left_out, line_cut

LONGEST_LINE = 2_000
HEAD_SHARE = 3
"""The first lines get a third of the room, the last ones what is left: trouble shows at the end."""


class Excerpt(NamedTuple):
    """Lines that fit; `whole` tells whether they are all there, uncut."""

    text: str
    whole: bool


def excerpt(lines: Sequence[str], room: int) -> Excerpt:
    """Return the lines within `room` characters: first and last ones when there are too many."""
    shown = [_line(line, LONGEST_LINE) for line in lines]
    if sum(map(_cost, shown)) <= room:
        return Excerpt("\n".join(shown), whole=all(weight(line) <= LONGEST_LINE for line in lines))
    shown = [_line(line, room // HEAD_SHARE) for line in lines]
    note = left_out(len(lines))
    head = _fitting(shown, room // HEAD_SHARE)
    spent = sum(map(_cost, shown[:head])) + _cost(note)
    tail = _fitting(reversed(shown[head:]), room - spent)
    missing = len(shown) - head - tail
    kept = [*shown[:head], left_out(missing), *shown[len(shown) - tail :]] if missing else shown
    return Excerpt("\n".join(kept), whole=False)


def last_lines(lines: Sequence[str], count: int, room: int) -> str:
    """Return the last `count` lines, or as many of them as fit into `room`."""
    shown = [_line(line, room // HEAD_SHARE) for line in lines[-count:]]
    fitting = _fitting(reversed(shown), room)
    return "\n".join(shown[len(shown) - fitting :])


def shares(wanted: Sequence[int], room: int) -> list[int]:
    """Divide room fairly: nobody gets more than wanted, what the modest leave goes to the others."""
    given = [0] * len(wanted)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    for waiting, index in zip(range(len(wanted), 0, -1), order, strict=True):
        given[index] = min(wanted[index], room // waiting)
        room -= given[index]
    return given


def cost(lines: Iterable[str]) -> int:
    """Return how much room the lines want."""
    return sum(_cost(_line(line, LONGEST_LINE)) for line in lines)


def _line(line: str, most: int) -> str:
    shown, most = printable(mask(line)), min(most, LONGEST_LINE)
    if weight(shown) <= most:
        return shown
    note = line_cut(len(shown))
    return clip(shown, max(most - len(note), 1)) + note


def _cost(line: str) -> int:
    return weight(line) + 1


def _fitting(lines: Iterable[str], room: int) -> int:
    count = 0
    for line in lines:
        room -= _cost(line)
        if room < 0:
            break
        count += 1
    return count
