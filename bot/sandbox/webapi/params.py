"""Parameters of a call, which arrive as JSON values or as strings of a form."""

import base64
import json
from typing import Any

from bot.sandbox.messages import Json
from bot.sandbox.webapi.answers import Refusal


def word(params: Json, key: str) -> str:
    """Return a string parameter, or the empty string."""
    value = params.get(key)
    return "" if value is None else str(value)


def flag(params: Json, key: str) -> bool | None:
    """Return a boolean parameter, given as a JSON boolean or as 1, 0, true, false; None when absent."""
    value = params.get(key)
    return None if value is None else str(value).lower() in {"1", "true"}


def number(params: Json, key: str, default: int, *, error: str = "invalid_arguments") -> int:
    """Return a whole number; refuse anything else with `error`."""
    value = params.get(key)
    if value in {None, ""}:
        return default
    try:
        return int(str(value))
    except ValueError as bad:
        raise Refusal(error) from bad


def decoded(params: Json, key: str, *, error: str) -> Any:
    """Return a structured parameter, given as JSON or as a string that holds it; None when absent."""
    value = params.get(key)
    if not isinstance(value, str):
        return value
    if not value:
        return None
    try:
        return json.loads(value)
    except json.JSONDecodeError as bad:
        raise Refusal(error) from bad


def cursor(position: str) -> str:
    """Return an opaque cursor for a position."""
    return base64.b64encode(f"next:{position}".encode()).decode()


def position(params: Json) -> str:
    """Return the position of the `cursor` parameter, or the empty string."""
    given = word(params, "cursor")
    if not given:
        return ""
    try:
        text = base64.b64decode(given, validate=True).decode()
    except ValueError as bad:
        raise Refusal("invalid_cursor") from bad
    if not text.startswith("next:"):
        raise Refusal("invalid_cursor")
    return text.removeprefix("next:")


def page(things: list[Any], params: Json, *, default: int, most: int) -> tuple[list[Any], Json]:
    """Return one page of a list and its `response_metadata`; the cursor is an offset."""
    limit = max(1, min(number(params, "limit", default, error="invalid_limit") or default, most))
    where = position(params) or "0"
    if not where.isdigit():
        raise Refusal("invalid_cursor")
    start = int(where)
    following = cursor(str(start + limit)) if start + limit < len(things) else ""
    return things[start : start + limit], {"next_cursor": following}
