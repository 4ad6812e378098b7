"""Slack's mrkdwn as a small tree, and the plain words a person reads in it.

Only `&amp;`, `&lt;` and `&gt;` are entities. What Slack would not read as markup stays text.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

Kind = Literal["bold", "italic", "strike", "quote"]


class Text(msgspec.Struct, frozen=True):
    """Words, with entities decoded."""

    text: str


class Code(msgspec.Struct, frozen=True):
    """Code in a line, or a block of it."""

    text: str
    block: bool = False


class Styled(msgspec.Struct, frozen=True):
    """Pieces in one style."""

    kind: Kind
    parts: tuple["Node", ...]


class Link(msgspec.Struct, frozen=True):
    """A link with its label."""

    url: str
    label: str


class Mention(msgspec.Struct, frozen=True):
    """Somebody or some place named: `@` user, `#` channel, `!` everybody or a group."""

    sign: str
    id: str
    label: str


class Date(msgspec.Struct, frozen=True):
    """An instant in the reader's zone: seconds since 1970, Slack's format, and the words for old clients."""

    timestamp: int
    format: str
    fallback: str


class Emoji(msgspec.Struct, frozen=True):
    """A `:name:`."""

    name: str


Node = Text | Code | Styled | Link | Mention | Date | Emoji

EMOJI = {
    "white_check_mark": "✅", "heavy_check_mark": "✔️", "x": "❌", "warning": "⚠️", "rotating_light": "🚨",
    "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "arrows_counterclockwise": "🔄", "repeat": "🔁",
    "rewind": "⏪", "leftwards_arrow_with_hook": "↩️", "no_entry": "⛔", "no_entry_sign": "🚫",
    "black_circle": "⚫", "white_circle": "⚪", "red_circle": "🔴", "large_blue_circle": "🔵",
    "large_green_circle": "🟢", "large_yellow_circle": "🟡", "double_vertical_bar": "⏸️", "zzz": "💤",
    "fast_forward": "⏩", "arrow_forward": "▶️", "bell": "🔔", "no_bell": "🔕", "eyes": "👀", "tada": "🎉",
    "question": "❓", "grey_question": "❔", "clock1": "🕐", "wave": "👋", "+1": "👍", "thumbsup": "👍",
}  # fmt: skip
"""The emoji names a notification bot uses; others are shown by name."""

_PIECE = re.compile(
    r"```(?P<block>.+?)```"
    r"|`(?P<code>[^`\n]+)`"
    r"|<(?P<angle>[^<>\n]+)>"
    r"|(?<![\w*])\*(?P<bold>(?=\S)[^*\n]+(?<=\S))\*(?![\w*])"
    r"|(?<![\w_])_(?P<italic>(?=\S)[^_\n]+(?<=\S))_(?![\w_])"
    r"|(?<![\w~])~(?P<strike>(?=\S)[^~\n]+(?<=\S))~(?![\w~])"
    r"|:(?P<emoji>[a-z0-9_+-]+):",
    re.DOTALL,
)
_QUOTE = re.compile(r"(?:&gt;|>) ?")
_DATE = re.compile(r"!date\^(-?\d+)\^([^|^]*)(?:\^[^|]*)?\|(.*)\Z", re.DOTALL)


def unescape(text: str) -> str:
    """Decode the three entities, `&amp;` last."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def parse(text: str) -> tuple[Node, ...]:
    """Return the tree of a mrkdwn text."""
    nodes: list[Node] = []
    for quoted, lines in _paragraphs(text):
        inner = tuple(_inline(lines))
        nodes.extend([Styled("quote", inner)] if quoted else inner)
    return tuple(nodes)


def _paragraphs(text: str) -> Iterable[tuple[bool, str]]:
    """Group neighbouring lines by whether they are quoted; a code block is never a quote."""
    if "```" in text:
        yield False, text
        return
    group: list[str] = []
    quoted = False
    for line in text.split("\n"):
        marked = _QUOTE.match(line)
        if group and bool(marked) != quoted:
            yield quoted, "\n".join(group) + ("" if quoted else "\n")
            group = []
        quoted = bool(marked)
        group.append(line[marked.end() :] if marked else line)
    yield quoted, "\n".join(group)


def _inline(text: str) -> Iterable[Node]:
    position = 0
    for match in _PIECE.finditer(text):
        if match.start() > position:
            yield Text(unescape(text[position : match.start()]))
        yield _piece(match)
        position = match.end()
    if position < len(text):
        yield Text(unescape(text[position:]))


def _piece(match: re.Match[str]) -> Node:
    kind, inner = next((k, v) for k, v in match.groupdict().items() if v is not None)
    if kind in {"code", "block"}:
        return Code(unescape(inner).strip("\n") if kind == "block" else unescape(inner), kind == "block")
    if kind == "angle":
        return _angle(inner)
    if kind == "emoji":
        return Emoji(inner)
    styles: dict[str, Kind] = {"bold": "bold", "italic": "italic", "strike": "strike"}
    return Styled(styles[kind], tuple(_inline(inner)))


def _angle(inner: str) -> Node:
    if date := _DATE.match(inner):
        return Date(int(date[1]), date[2], unescape(date[3]))
    target, _, label = inner.partition("|")
    if target[:1] in {"@", "#", "!"}:
        return Mention(target[0], target[1:], unescape(label) or target[1:])
    if re.match(r"(https?|mailto):", target):
        url = unescape(target)
        return Link(url, unescape(label) or url.removeprefix("mailto:"))
    return Text(f"<{unescape(inner)}>")


def plain(nodes: Sequence[Node]) -> str:
    """Return the words of a tree: links by label, dates by fallback, emoji drawn."""
    return "".join(_plain(node) for node in nodes)


def _plain(node: Node) -> str:
    match node:
        case Text(text) | Code(text):
            return text
        case Styled(kind, parts):
            return plain(parts) + ("\n" if kind == "quote" else "")
        case Link(_, label):
            return label
        case Mention(sign, _, label):
            return ("@" if sign == "!" else sign) + label.removeprefix("@")
        case Date():
            return node.fallback
        case Emoji(name):
            return EMOJI.get(name, f":{name}:")
