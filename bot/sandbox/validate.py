"""Would Slack take this payload? Written from Slack's published limits and from what it was seen to refuse.

This module knows nothing of the product's own builders, so that the two can disagree.
"""

import json
import re
from typing import Any

from bot.sandbox.rules.blocks import block_problems
from bot.sandbox.rules.problem import Json, Problem, Problems, string, unique, wrong
from bot.sandbox.rules.tables import characters
from bot.sandbox.rules.text import PLAIN, text_object

__all__ = ["Problem", "validate_message", "validate_view"]

MOST_BLOCKS = 50
MOST_VIEW_BLOCKS = 100
MOST_TEXT_IN_BLOCKS = 13_200  # unpublished; reported by users of the SDKs
MOST_UPDATE_TEXT = 4_000
MOST_MARKDOWN = 12_000
MOST_ATTACHMENTS = 100
MOST_VIEW_BYTES = 250_000
MOST_METADATA_BYTES = 8_000  # Slack has a limit and does not publish it; far above what a bot needs
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_]{1,255}\Z")
_COLOUR = re.compile(r"(good|warning|danger|#?[0-9a-fA-F]{6})\Z")


def validate_message(payload: Json, *, update: bool = False) -> list[Problem]:
    """Return why Slack would refuse this message (`text`, `blocks`, `attachments`, `metadata` as values).

    An update is held to its shorter text. Text of a new message is cut by Slack at 40,000 characters, not
    refused.
    """
    return [
        *_text(payload, update=update),
        *_blocks(payload.get("blocks"), "/blocks", surface="M", most=MOST_BLOCKS, least=0),
        *_attachments(payload.get("attachments")),
        *_metadata(payload.get("metadata")),
    ]


def validate_view(view: Json) -> list[Problem]:
    """Return why Slack would refuse this modal or home view."""
    if len(json.dumps(view)) > MOST_VIEW_BYTES:
        return [wrong("", "view is larger than 250 KB", "view_too_large")]
    if view.get("type") == "home":
        return [_as_arguments(p) for p in _home(view)]
    return [_as_arguments(p) for p in _modal(view)]


def _as_arguments(problem: Problem) -> Problem:
    return Problem("invalid_arguments", f"/view{problem.pointer}", problem.message)


def _text(payload: Json, *, update: bool) -> Problems:
    text, markdown = payload.get("text"), payload.get("markdown_text")
    if text is not None and not isinstance(text, str):
        yield wrong("/text", "must be a string", "invalid_arguments")
    if update and isinstance(text, str) and len(text) > MOST_UPDATE_TEXT:
        yield wrong("/text", f"must be less than {MOST_UPDATE_TEXT + 1} characters", "msg_too_long")
    if markdown is not None and (text or payload.get("blocks")):
        yield wrong("/markdown_text", "excludes text and blocks", "markdown_text_conflict")
    if isinstance(markdown, str) and len(markdown) > MOST_MARKDOWN:
        yield wrong("/markdown_text", f"must be less than {MOST_MARKDOWN + 1} characters", "msg_too_long")
    if not (text or markdown or payload.get("blocks") or payload.get("attachments")):
        yield wrong("/text", "no text, blocks or attachments", "no_text")


def _blocks(blocks: Any, at: str, *, surface: str, most: int, least: int) -> Problems:
    if blocks is None and not least:
        return
    if not isinstance(blocks, list) or not all(isinstance(b, dict) for b in blocks):
        yield wrong(at, "must be an array of objects", "invalid_blocks_format")
        return
    if not least <= len(blocks) <= most:
        yield wrong(at, f"must have {least} to {most} items")
    for index, block in enumerate(blocks):
        yield from block_problems(block, f"{at}/{index}", surface)
    yield from unique([(f"{at}/{i}/block_id", b.get("block_id")) for i, b in enumerate(blocks)], "block_id")
    yield from _together(blocks, at, surface)


def _together(blocks: list[Json], at: str, surface: str) -> Problems:
    """Check what holds over all blocks of a payload."""
    if surface == "M" and characters(blocks) > MOST_TEXT_IN_BLOCKS:
        yield wrong(at, f"more than {MOST_TEXT_IN_BLOCKS} characters in all blocks", "msg_blocks_too_long")
    if sum(b.get("type") == "table" for b in blocks) > 1:
        yield wrong(at, "only one table is allowed", "only_one_table_allowed")
    markdown = sum(len(str(b.get("text", ""))) for b in blocks if b.get("type") == "markdown")
    if markdown > MOST_MARKDOWN:
        yield wrong(at, f"more than {MOST_MARKDOWN} characters in markdown blocks", "msg_blocks_too_long")


def _attachments(attachments: Any) -> Problems:
    if attachments is None:
        return
    if not isinstance(attachments, list) or not all(isinstance(a, dict) for a in attachments):
        yield wrong("/attachments", "must be an array of objects", "invalid_attachments")
        return
    if len(attachments) > MOST_ATTACHMENTS:
        yield wrong("/attachments", f"no more than {MOST_ATTACHMENTS} allowed", "too_many_attachments")
    for index, attachment in enumerate(attachments):
        at = f"/attachments/{index}"
        colour = attachment.get("color")
        if colour is not None and not (isinstance(colour, str) and _COLOUR.match(colour)):
            yield wrong(f"{at}/color", "must be good, warning, danger or #hex", "invalid_attachments")
        yield from _blocks(attachment.get("blocks"), f"{at}/blocks", surface="M", most=MOST_BLOCKS, least=0)
        yield from string(attachment, "footer", at, most=300)


def _metadata(metadata: Any) -> Problems:
    """Check metadata: an event type of word characters, a map of plain values (one level deep at most)."""
    if metadata is None or metadata == {}:
        return
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict):
        yield wrong("/metadata", "needs event_type and event_payload", "invalid_metadata_format")
        return
    if not _EVENT_TYPE.match(str(metadata.get("event_type", ""))):
        yield wrong("/metadata/event_type", "letters, digits and _ only", "invalid_metadata_format")
    for key, value in metadata["event_payload"].items():
        if not _plain(value):
            yield wrong(f"/metadata/event_payload/{key}", "must be a plain value", "invalid_metadata_schema")
    if len(json.dumps(metadata)) > MOST_METADATA_BYTES:
        yield wrong("/metadata", "too large", "metadata_too_large")


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(v, str | int | float | bool) for v in value.values())
    if isinstance(value, list):
        return all(isinstance(v, str | int | float | bool) for v in value)
    return isinstance(value, str | int | float | bool)


def _identifiers(view: Json) -> Problems:
    yield from string(view, "private_metadata", "", most=3000, least=0)
    yield from string(view, "callback_id", "", most=255, least=0)
    yield from string(view, "external_id", "", most=255, least=0)


def _modal(view: Json) -> Problems:
    if view.get("type") != "modal":
        yield wrong("/type", "must be modal or home")
        return
    yield from text_object(view.get("title"), "/title", most=24, kinds=PLAIN)
    for key in ("submit", "close"):
        yield from text_object(view.get(key), f"/{key}", most=24, kinds=PLAIN, required=False)
    yield from _identifiers(view)
    yield from _blocks(view.get("blocks"), "/blocks", surface="V", most=MOST_VIEW_BLOCKS, least=1)
    for key in ("clear_on_close", "notify_on_close"):
        if key in view and not isinstance(view[key], bool):
            yield wrong(f"/{key}", "must be a boolean")
    if view.get("submit") is None and _has_input(view.get("blocks")):
        yield wrong("/submit", "submit is needed when there is an input block")


def _has_input(blocks: Any) -> bool:
    return isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)


def _home(view: Json) -> Problems:
    for key in ("title", "submit", "close"):
        if key in view:
            yield wrong(f"/{key}", f"a home view has no {key}")
    yield from _identifiers(view)
    yield from _blocks(view.get("blocks"), "/blocks", surface="H", most=MOST_VIEW_BLOCKS, least=1)
