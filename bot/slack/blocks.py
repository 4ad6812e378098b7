"""Slack's blocks and all of Slack's limits: no other module knows a number of theirs.

Builders take `Line`s or plain text and cut what does not fit; `compose` makes a `Message` that Slack takes.
The limits are Slack's (Block Kit reference); where Slack publishes none, the number is one that was never
seen refused: text is split into several messages beyond about 4,000 characters, and all the text of a
message's blocks together is refused beyond about 13,200.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2s
from typing import Any

import msgspec

from bot.slack.markup import Line, mrkdwn
from bot.slack.text import ELLIPSIS, clip, escape, one_line, printable, units

MAX_TEXT = 3_900
MAX_BLOCKS = 50
MAX_TOTAL = 12_000
MAX_HEADER = 150
MAX_SECTION = 3_000
MAX_CONTEXT = 1_000
MAX_TASKS = 50
MAX_TASK_TITLE = 150
MAX_TASK_DETAILS = 300
MAX_LOGS = 8_000
"""What log lines may take of a message's total: the rest is for what explains them."""

Block = dict[str, Any]

_TEXT_KEYS = ("text", "title")
_SHORTENED: Line = ("… shortened: this message was too long for Slack.",)


class Message(msgspec.Struct, frozen=True):
    """What Slack is asked to show: `text` is for notifications and screen readers, escaped already.

    Making one that breaks a limit raises ValueError: `compose` never does.
    """

    text: str
    blocks: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what Slack would refuse or split."""
        if not self.text.strip() or len(self.text) > MAX_TEXT:
            raise ValueError(f"a message's text has {len(self.text)} characters, not 1 to {MAX_TEXT}")
        if len(self.blocks) > MAX_BLOCKS:
            raise ValueError(f"a message has {len(self.blocks)} blocks, more than {MAX_BLOCKS}")
        if (total := sum(map(size, self.blocks))) > MAX_TOTAL:
            raise ValueError(f"a message's blocks have {total} characters, more than {MAX_TOTAL}")


def compose(text: str, blocks: Iterable[Block] = ()) -> Message:
    """Return a message of plain `text` and as many of the blocks, in order, as fit; says if not all did."""
    note = context([_SHORTENED])
    kept: list[Block] = []
    room = MAX_TOTAL - size(note)
    for block in blocks:
        room -= size(block)
        if room < 0 or len(kept) == MAX_BLOCKS - 1:
            kept.append(note)
            break
        kept.append(block)
    shown = clip(printable(text).strip(), MAX_TEXT) or ELLIPSIS
    return Message(escape(shown), tuple(kept))


def size(value: Any) -> int:
    """Return how many characters of text a block holds."""
    if isinstance(value, dict):
        return sum(
            units(item) if key in _TEXT_KEYS and isinstance(item, str) else size(item)
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return sum(map(size, value))
    return 0


def header(text: str) -> Block:
    """Return a headline; plain text, in which Slack interprets nothing."""
    shown = clip(one_line(text).strip(), MAX_HEADER) or ELLIPSIS
    return {"type": "header", "text": {"type": "plain_text", "text": shown, "emoji": True}}


def section(lines: Iterable[Line]) -> Block:
    """Return a paragraph; lines beyond the limit are left out with an ellipsis."""
    return {"type": "section", "text": _mrkdwn(lines, MAX_SECTION)}


def context(lines: Iterable[Line]) -> Block:
    """Return small print."""
    return {"type": "context", "elements": [_mrkdwn(lines, MAX_CONTEXT)]}


def quotations(titled: Sequence[tuple[str, str]]) -> Block:
    """Return texts to be shown verbatim, each under its title if it has one; Slack marks nothing up there."""
    elements: list[Block] = []
    for title, text in titled:
        if title:
            elements.append(_prose(title, bold=True))
        if text:
            elements.append({"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]})
    return {"type": "rich_text", "elements": elements or [_prose(ELLIPSIS)]}


def task(task_id: str, title: str, status: str, details: str = "") -> Block:
    """Return one task of a plan; `status` is pending, in_progress, complete or error."""
    card: Block = {
        "type": "task_card",
        "task_id": task_id,
        "title": clip(one_line(title).strip(), MAX_TASK_TITLE) or ELLIPSIS,
        "status": status,
    }
    if details:
        shown = clip(one_line(details), MAX_TASK_DETAILS)
        card["details"] = {"type": "rich_text", "elements": [_prose(shown)]}
    return card


def plan(title: str, tasks: Sequence[Block]) -> Block:
    """Return Slack's native plan of at most `MAX_TASKS` tasks.

    Slack asks for a new `block_id` whenever a plan changes: it is made from what the plan shows.
    """
    shown = list(tasks[:MAX_TASKS])
    digest = blake2s(msgspec.json.encode([title, shown]), digest_size=8).hexdigest()
    return {"type": "plan", "block_id": f"plan-{digest}", "title": one_line(title), "tasks": shown}


def _prose(text: str, *, bold: bool = False) -> Block:
    piece: Block = {"type": "text", "text": text}
    if bold:
        piece["style"] = {"bold": True}
    return {"type": "rich_text_section", "elements": [piece]}


def _mrkdwn(lines: Iterable[Line], limit: int) -> Block:
    shown = ""
    for line in lines:
        room = limit - units(shown) - len(f"\n{ELLIPSIS}")
        if room <= 0:
            shown += f"\n{ELLIPSIS}"
            break
        marked = mrkdwn(line, room)
        shown = f"{shown}\n{marked}" if shown else marked
    # verbatim: Slack must not make links, mentions or channels of foreign text by itself
    return {"type": "mrkdwn", "text": shown if shown.strip() else ELLIPSIS, "verbatim": True}
