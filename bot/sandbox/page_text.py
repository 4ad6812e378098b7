"""Slack's texts as HTML: mrkdwn, plain text and rich text."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from bot.sandbox import mrkdwn
from bot.sandbox.markup import Html, el, join
from bot.sandbox.messages import Json
from bot.sandbox.team import Team

_SAFE_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
_STYLES = {"bold": "strong", "italic": "em", "strike": "s", "underline": "u", "code": "code"}


def lines(text: str) -> Html:
    """Return text with its line breaks."""
    return join(_between(text.split("\n")))


def _between(parts: list[str]) -> Iterable[str]:
    for index, part in enumerate(parts):
        if index:
            yield el("br")
        yield part


def text_object(team: Team, value: Json) -> Html:
    """Return a text object: mrkdwn drawn, plain text as it is."""
    text = str(value.get("text", ""))
    return mrkdwn_html(team, text) if value.get("type") == "mrkdwn" else lines(text)


def mrkdwn_html(team: Team, text: str) -> Html:
    """Return a mrkdwn text, drawn."""
    return _nodes(team, mrkdwn.parse(text))


def _nodes(team: Team, nodes: Iterable[mrkdwn.Node]) -> Html:
    return join(_node(team, node) for node in nodes)


def _node(team: Team, node: mrkdwn.Node) -> Html:
    match node:
        case mrkdwn.Text(text):
            return lines(text)
        case mrkdwn.Code(text, block):
            return preformatted(text) if block else el("code", text)
        case mrkdwn.Styled("quote", parts):
            return el("blockquote", _nodes(team, parts))
        case mrkdwn.Styled(kind, parts):
            return el(_STYLES[kind], _nodes(team, parts))
        case mrkdwn.Link(url, label):
            return link(url, label)
        case mrkdwn.Mention(sign, name, label):
            return mention(team, sign, name, label)
        case mrkdwn.Date():
            return moment(node.timestamp, node.format, node.fallback)
        case mrkdwn.Emoji(name):
            return emoji(name)


def preformatted(*content: str) -> Html:
    """Return a block of code or log lines, which can be scrolled with the keyboard."""
    return el("pre", *content, tabindex="0")


def link(url: str, label: str) -> Html:
    """Return a link; anything but web and mail addresses stays text."""
    if not _SAFE_LINK.match(url):
        return el("span", label)
    return el("a", label, href=url, rel="noopener noreferrer", target="_blank")


def mention(team: Team, sign: str, name: str, label: str) -> Html:
    """Return a mention with the name of whom or what it means."""
    if sign == "@" and (user := team.users.get(name)):
        label = user.name
    if sign == "#" and (channel := team.channels.get(name)):
        label = channel.name
    shown = ("@" if sign == "!" else sign) + label.removeprefix("@")
    return el("span", shown, class_="mention loud" if sign == "!" else "mention")


def emoji(name: str) -> Html:
    """Return an emoji, or its name when it is not known here."""
    drawn = mrkdwn.EMOJI.get(name)
    return (
        el("span", drawn, role="img", aria_label=name.replace("_", " ")) if drawn else el("span", f":{name}:")
    )


def moment(timestamp: int, style: str, fallback: str) -> Html:
    """Return an instant that the page's script writes in the reader's own zone."""
    try:
        iso = datetime.fromtimestamp(timestamp, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return el("span", fallback)
    return el("time", fallback, datetime=iso, data_format=style, title=fallback)


def rich_text(team: Team, value: Json) -> Html:
    """Return a `rich_text`."""
    return join(_rich(team, element) for element in value.get("elements", ()))


def _rich(team: Team, element: Json) -> Html:
    inner = element.get("elements", ())
    match element.get("type"):
        case "rich_text_list":
            tag = "ol" if element.get("style") == "ordered" else "ul"
            return el(tag, *(el("li", _pieces(team, item.get("elements", ()))) for item in inner))
        case "rich_text_preformatted":
            return preformatted(*(str(piece.get("text") or piece.get("url") or "") for piece in inner))
        case "rich_text_quote":
            return el("blockquote", _pieces(team, inner))
        case _:
            return el("div", _pieces(team, inner), class_="line")


def _pieces(team: Team, pieces: Iterable[Json]) -> Html:
    return join(_styled(_piece(team, piece), piece.get("style") or {}) for piece in pieces)


def _styled(content: Html, style: Json) -> Html:
    for word, tag in _STYLES.items():
        if style.get(word):
            content = el(tag, content)
    return content


def _piece(team: Team, piece: Json) -> Html:
    match piece.get("type"):
        case "link":
            return link(str(piece.get("url")), str(piece.get("text") or piece.get("url")))
        case "emoji":
            return emoji(str(piece.get("name")))
        case "user" | "usergroup" as kind:
            return mention(team, "@", str(piece.get(f"{kind}_id")), str(piece.get(f"{kind}_id")))
        case "channel":
            return mention(team, "#", str(piece.get("channel_id")), str(piece.get("channel_id")))
        case "broadcast":
            return mention(team, "!", "", str(piece.get("range")))
        case "date":
            fallback = str(piece.get("fallback") or "")
            return moment(int(piece.get("timestamp", 0)), str(piece.get("format")), fallback)
        case _:
            return lines(str(piece.get("text", "")))
