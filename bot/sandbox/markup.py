"""HTML that cannot be forgotten to be escaped: text is escaped unless it is `Html` already."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Markup; made by `el` and `join` only."""

    __slots__ = ()


VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


def join(parts: Iterable[str | None]) -> Html:
    """Return the parts one after another, escaping those that are text."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts if part))


def el(tag: str, *children: str | None, **attributes: str | bool | None) -> Html:
    """Return an element; attributes lose a trailing `_`, take `-` for `_`; None and False are left out."""
    spelled = "".join(_attribute(key, value) for key, value in attributes.items())
    if tag in VOID:
        return Html(f"<{tag}{spelled}>")
    return Html(f"<{tag}{spelled}>{join(children)}</{tag}>")


def _attribute(key: str, value: str | bool | None) -> str:  # noqa: FBT001 - HTML has boolean attributes
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(value)}"'
