"""What a rule finds, and the few checks that all rules are made of."""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

Json = dict[str, Any]
INVALID = "invalid_blocks"


class Problem(msgspec.Struct, frozen=True):
    """One reason why Slack refuses a payload: its error word, a JSON pointer to the place, and a sentence."""

    error: str
    pointer: str
    message: str

    def __str__(self) -> str:
        """Spell it as Slack does in `response_metadata.messages`."""
        return f"[ERROR] {self.message} [json-pointer:{self.pointer}]"


Problems = Iterator[Problem]


def wrong(pointer: str, message: str, error: str = INVALID) -> Problem:
    """Return a problem with the error word that most rules share."""
    return Problem(error, pointer, message)


def string(holder: Json, key: str, at: str, *, most: int, least: int = 1, required: bool = False) -> Problems:
    """Check that `holder[key]` is a string of `least` to `most` characters, or absent when not required."""
    value = holder.get(key)
    pointer = f"{at}/{key}"
    if value is None:
        if required:
            yield wrong(pointer, f"missing required field: {key}")
    elif not isinstance(value, str):
        yield wrong(pointer, "must be a string")
    elif len(value) > most:
        yield wrong(pointer, f"must be less than {most + 1} characters")
    elif len(value) < least:
        yield wrong(pointer, f"must be more than {least - 1} characters")


def one_of(holder: Json, key: str, at: str, *, words: Collection[str], required: bool = False) -> Problems:
    """Check that `holder[key]` is one of the words."""
    value = holder.get(key)
    if value is None:
        if required:
            yield wrong(f"{at}/{key}", f"missing required field: {key}")
    elif value not in words:
        yield wrong(f"{at}/{key}", f"must be one of: {', '.join(sorted(words))}")


def boolean(holder: Json, *keys: str, at: str) -> Problems:
    """Check that the fields are booleans, or absent."""
    for key in keys:
        if key in holder and not isinstance(holder[key], bool):
            yield wrong(f"{at}/{key}", "must be a boolean")


def items(
    holder: Json, key: str, at: str, *, most: int, least: int = 1, required: bool = True
) -> Iterator[Problem | tuple[str, Json]]:
    """Check the list `holder[key]`; yield problems, and (pointer, object) for each item that is an object."""
    value = holder.get(key)
    pointer = f"{at}/{key}"
    if value is None and not required:
        return
    if not isinstance(value, list):
        yield wrong(pointer, f"missing required field: {key}" if value is None else "must be an array")
        return
    if len(value) > most:
        yield wrong(pointer, f"no more than {most} items allowed [input:{key}]")
    if len(value) < least:
        yield wrong(pointer, f"must provide at least {least} items")
    for index, item in enumerate(value):
        if isinstance(item, dict):
            yield f"{pointer}/{index}", item
        else:
            yield wrong(f"{pointer}/{index}", "must be an object")


def unique(values: list[tuple[str, object]], what: str) -> Problems:
    """Check that no value stands twice among (pointer, value) pairs."""
    seen: set[object] = set()
    for pointer, value in values:
        if not isinstance(value, str):
            continue
        if value in seen:
            yield wrong(pointer, f"{what} already exists: {value}")
        seen.add(value)
