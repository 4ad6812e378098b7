"""Lines of a message, made of pieces that know what they are.

A `Line` is written once and shown twice: as Slack's markup (`mrkdwn`), where every piece of foreign text is
escaped, and as plain text (`plain`) for notifications. Nobody else writes markup, so nothing is escaped
twice or not at all.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import msgspec

from bot.slack.text import ELLIPSIS, clip, escape, one_line, units

_SAFE_IN_URL = ":/?#[]@!$&()*+,;=%~'"


class Bold(msgspec.Struct, frozen=True):
    """Text that stands out."""

    text: str


class Code(msgspec.Struct, frozen=True):
    """A command or a code, in the typewriter's letters."""

    text: str


class Link(msgspec.Struct, frozen=True):
    """A labelled address; anything but http(s) is shown as its label alone."""

    url: str
    label: str


Piece = str | datetime | Bold | Code | Link
Line = tuple[Piece, ...]


def plain(line: Line) -> str:
    """Return a line without markup, unescaped, with times in UTC."""
    return "".join(_plain(piece) for piece in line)


def mrkdwn(line: Line, limit: int) -> str:
    """Return a line as Slack's markup of at most `limit` characters; what does not fit is cut off."""
    shown, room = "", limit
    for piece in line:
        marked = _marked(piece)
        if units(marked) > room - len(ELLIPSIS):
            return shown + _marked(_cut(piece, room - 2 * len(ELLIPSIS)))
        shown, room = shown + marked, room - units(marked)
    return shown


def join(separator: str, lines: Iterable[Line]) -> Line:
    """Return the lines that are not empty as one, with a separator between them."""
    joined: Line = ()
    for line in filter(None, lines):
        joined += ((separator,) if joined else ()) + line
    return joined


def _cut(piece: Piece, room: int) -> Piece:
    match piece:
        case str():
            return clip(one_line(piece), room)
        case Bold(text):
            return Bold(clip(one_line(text), room))
        case _:
            return ELLIPSIS if room >= 0 else ""


def _plain(piece: Piece) -> str:
    match piece:
        case datetime():
            return f"{piece.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        case Link(_, label):
            return one_line(label)
        case Bold(text) | Code(text):
            return one_line(text)
        case str():
            return one_line(piece)


def _marked(piece: Piece) -> str:
    match piece:
        case datetime():
            return f"<!date^{int(piece.timestamp())}^{{date_short_pretty}} {{time}}|{_plain(piece)}>"
        case Bold(text):
            shown = escape(one_line(text)).strip()
            # Slack has no escape for its own marks: a text that holds one stays unmarked
            return f"*{shown}*" if shown and "*" not in shown else shown
        case Code(text):
            shown = escape(one_line(text)).replace("`", "\u02cb").strip()
            return f"`{shown}`" if shown else ""
        case Link(url, label):
            return _link(url, escape(one_line(label)).replace("|", "\u00a6"))
        case str():
            return escape(one_line(piece))


def _link(url: str, label: str) -> str:
    try:
        web = urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        web = False
    return f"<{escape(quote(url, safe=_SAFE_IN_URL))}|{label}>" if web else label
