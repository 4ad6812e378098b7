"""Characters: what a person sees as one, how Slack counts them, and those that cannot be shown.

Slack does not say whether its limits count code points or UTF-16 units, before or after escaping: `weight`
counts the larger of each, so that a text within a limit here is within it there.
"""

import unicodedata

ELLIPSIS = "…"

_JOINER = "\u200d"
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_DELETE = "\u2421"
_UNKNOWN = "\ufffd"
_SHOWN_AS_IS = "\n\t"


def escape(text: str) -> str:
    """Return `text` with the three characters of Slack's markup escaped; never call it twice."""
    return "".join(_ENTITIES.get(char, char) for char in text)


def units(text: str) -> int:
    """Return the length of `text` in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def weight(text: str) -> int:
    """Return the length of unescaped `text` as Slack may count it at most."""
    return units(escape(text))


def clip(text: str, limit: int) -> str:
    """Return `text` within `limit`, cut with an ellipsis on the border of a visible character."""
    if weight(text) <= limit:
        return text
    room, end = limit - len(ELLIPSIS), 0
    for char in text:
        room -= weight(char)
        if room < 0:
            break
        end += 1
    border = end
    while border > 0 and not _is_border(text, border):
        border -= 1
    return text[: border or end] + ELLIPSIS if limit > 0 else ""


def printable(text: str) -> str:
    """Return `text` with control characters as their pictures (`␛`), as JSON and Slack cannot show them."""
    return "".join(_picture(char) for char in text)


def one_line(text: str) -> str:
    """Return `text` fit to stand inside a sentence: printable, with breaks of any kind as blanks."""
    return printable("".join(" " if char.isspace() else char for char in text))


def _picture(char: str) -> str:
    match unicodedata.category(char):
        case "Cc" if char in _SHOWN_AS_IS:
            return char
        case "Cc" if char < " ":
            return chr(ord("\u2400") + ord(char))
        case "Cc" | "Cs":
            return _DELETE if char == "\x7f" else _UNKNOWN
        case _:
            return char


def _is_border(text: str, at: int) -> bool:
    return not (
        _extends(text[at])
        or text[at - 1] == _JOINER
        or (_is_flag(text[at]) and _flags_before(text, at) % 2 == 1)
    )


def _extends(char: str) -> bool:
    """Tell whether a character belongs to the one before it: a mark, joiner, selector, skin tone or tag."""
    return (
        char == _JOINER
        or unicodedata.category(char) in {"Mn", "Me", "Mc"}
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flags_before(text: str, at: int) -> int:
    start = at
    while start > 0 and _is_flag(text[start - 1]):
        start -= 1
    return at - start
