"""Reading JSON strictly: times as agents spell them, and errors that name the field and repeat nothing."""

import re
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from bot.obshell.shapes import Moment

T = TypeVar("T")

LAST_UNSET_YEAR = 1970
"""No OceanBase ran before: an epoch labelled with another zone than it was written in is unset, too."""
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
YEAR_ONE = ("0000-", "0001-")


class Malformed(ValueError):
    """An answer is not what an agent sends; the text names the field."""


def _moment(text: object) -> Moment:
    """Read a time, cut to microseconds.

    "Not set" is the Unix epoch in any zone (recording `failed-then-retried`) or year 1 (`creation-answer`).
    """
    if not isinstance(text, str) or not RFC3339.fullmatch(text):
        raise ValueError("Expected a time (RFC 3339)")
    if text.startswith(YEAR_ONE):
        return Moment(None)
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Expected a time that exists") from None
    return Moment(at if at.year > LAST_UNSET_YEAR else None)


def _custom(kind: type, sent: object) -> object:
    """Read what msgspec does not know; its errors get the path of the field from msgspec."""
    if kind is Moment:
        return _moment(sent)
    raise NotImplementedError(kind)  # how msgspec wants a hook to refuse a type: a mistake in a shape


def decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    """Return a strict decoder for a shape, built once and used for every answer."""
    return msgspec.json.Decoder(shape, dec_hook=_custom)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes, root: str) -> T:
    """Decode, or raise `Malformed` with the path of the member that is wrong."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(_complaint(str(error), root)) from error


def _complaint(text: str, root: str) -> str:
    """Return msgspec's complaint with the path in front.

    >>> _complaint("Object missing required field `id` - at `$.contents[0]`", "data")
    'data.contents[0].id: missing'
    """
    what, _, where = text.partition(" - at `$")
    path = root + where.rstrip("`")
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", what):
        return f"{path}.{missing[1]}: missing"
    return f"{path}: {what}"
