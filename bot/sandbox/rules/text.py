"""Text objects, confirm dialogs and options."""

from collections.abc import Collection
from typing import Any

from bot.sandbox.rules.problem import Json, Problem, Problems, boolean, items, string, wrong

PLAIN = ("plain_text",)
ANY_TEXT = ("plain_text", "mrkdwn")


def text_object(
    value: Any, at: str, *, most: int = 3000, kinds: Collection[str] = ANY_TEXT, required: bool = True
) -> Problems:
    """Check a text object: its type, and 1 to `most` characters."""
    if value is None:
        if required:
            yield wrong(at, "missing required field")
        return
    if not isinstance(value, dict):
        yield wrong(at, "must be a text object")
        return
    if value.get("type") not in kinds:
        yield wrong(f"{at}/type", f"must be one of: {', '.join(kinds)}")
    yield from string(value, "text", at, most=most, required=True)
    yield from boolean(value, "emoji", "verbatim", at=at)
    if value.get("type") == "mrkdwn" and "emoji" in value:
        yield wrong(f"{at}/emoji", "emoji is for plain_text only")
    if value.get("type") == "plain_text" and "verbatim" in value:
        yield wrong(f"{at}/verbatim", "verbatim is for mrkdwn only")


def confirm(value: Any, at: str) -> Problems:
    """Check a confirm dialog: title 100, text 300, buttons 30."""
    if not isinstance(value, dict):
        yield wrong(at, "must be a confirm object")
        return
    yield from text_object(value.get("title"), f"{at}/title", most=100, kinds=PLAIN)
    yield from text_object(value.get("text"), f"{at}/text", most=300)
    for button in ("confirm", "deny"):
        yield from text_object(value.get(button), f"{at}/{button}", most=30, kinds=PLAIN)


def option(value: Json, at: str, *, url_allowed: bool = False) -> Problems:
    """Check an option: text and description 75, value 150 (the larger of two published numbers)."""
    yield from text_object(value.get("text"), f"{at}/text", most=75)
    yield from text_object(value.get("description"), f"{at}/description", most=75, required=False)
    yield from string(value, "value", at, most=150, required=True)
    if "url" in value and not url_allowed:
        yield wrong(f"{at}/url", "url is for options of an overflow menu only")
    yield from string(value, "url", at, most=3000)


def options(holder: Json, key: str, at: str, *, most: int, url_allowed: bool = False) -> Problems:
    """Check a list of 1 to `most` options."""
    for found in items(holder, key, at, most=most):
        if isinstance(found, Problem):
            yield found
        else:
            yield from option(found[1], found[0], url_allowed=url_allowed)
