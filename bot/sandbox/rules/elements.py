"""Interactive elements: buttons, menus and inputs."""

from collections.abc import Callable
from typing import Any

from bot.sandbox.rules.problem import Json, Problem, Problems, boolean, items, one_of, string, unique, wrong
from bot.sandbox.rules.text import PLAIN, confirm, options, text_object

Check = Callable[[Json, str], Problems]
MOST_INPUT = 3000
"""Characters of a text input."""


def element(value: Json, at: str, allowed: dict[str, Check]) -> Problems:
    """Check one element against the kinds that its place allows."""
    check = allowed.get(str(value.get("type")))
    if check is None:
        yield wrong(f"{at}/type", f"unsupported type: {value.get('type')}")
        return
    yield from string(value, "action_id", at, most=255)
    if "confirm" in value:
        yield from confirm(value["confirm"], f"{at}/confirm")
    yield from check(value, at)


def distinct_actions(elements: Any, at: str) -> Problems:
    """Check that the action ids of one block differ."""
    listed = elements if isinstance(elements, list) else []
    pairs = [(f"{at}/{i}/action_id", e.get("action_id")) for i, e in enumerate(listed) if isinstance(e, dict)]
    yield from unique(pairs, "action_id")


def button(value: Json, at: str) -> Problems:
    """Check a button: text 75, value 2000, url 3000, label 75, and one of two styles."""
    yield from text_object(value.get("text"), f"{at}/text", most=75, kinds=PLAIN)
    yield from string(value, "value", at, most=2000, least=0)
    yield from string(value, "url", at, most=3000)
    yield from string(value, "accessibility_label", at, most=75)
    yield from one_of(value, "style", at, words=("primary", "danger"))


def overflow(value: Json, at: str) -> Problems:
    """Check an overflow menu: 1 to 5 options."""
    yield from options(value, "options", at, most=5, url_allowed=True)


def select(value: Json, at: str) -> Problems:
    """Check a menu: 100 options, or 100 groups of 100; placeholder 150."""
    yield from _placeholder(value, at)
    if ("options" in value) == ("option_groups" in value):
        yield wrong(at, "exactly one of options and option_groups is needed")
    elif "options" in value:
        yield from options(value, "options", at, most=100)
    else:
        yield from _groups(value, at)


def _groups(value: Json, at: str) -> Problems:
    for found in items(value, "option_groups", at, most=100):
        if isinstance(found, Problem):
            yield found
        else:
            pointer, group = found
            yield from text_object(group.get("label"), f"{pointer}/label", most=75, kinds=PLAIN)
            yield from options(group, "options", pointer, most=100)


def _placeholder(value: Json, at: str) -> Problems:
    yield from text_object(
        value.get("placeholder"), f"{at}/placeholder", most=150, kinds=PLAIN, required=False
    )


def choices(value: Json, at: str) -> Problems:
    """Check radio buttons or checkboxes: 10 options."""
    yield from options(value, "options", at, most=10)


def plain_text_input(value: Json, at: str) -> Problems:
    """Check a text input: `min_length` to 3000, `max_length` 1 to 3000."""
    yield from _placeholder(value, at)
    yield from boolean(value, "multiline", "focus_on_load", at=at)
    for key, least in (("min_length", 0), ("max_length", 1)):
        number = value.get(key)
        if number is not None and not (isinstance(number, int) and least <= number <= MOST_INPUT):
            yield wrong(f"{at}/{key}", f"must be between {least} and {MOST_INPUT}")


def picker(value: Json, at: str) -> Problems:
    """Check a picker that has only a placeholder: dates, users, channels."""
    yield from _placeholder(value, at)


BUTTON: dict[str, Check] = {"button": button}
MENUS: dict[str, Check] = {
    "static_select": select,
    "external_select": picker,
    "users_select": picker,
    "conversations_select": picker,
    "channels_select": picker,
    "datepicker": picker,
    "timepicker": picker,
    "datetimepicker": picker,
    "radio_buttons": choices,
    "checkboxes": choices,
}
MULTI: dict[str, Check] = {
    "multi_static_select": select,
    "multi_external_select": picker,
    "multi_users_select": picker,
    "multi_conversations_select": picker,
    "multi_channels_select": picker,
}
TYPED: dict[str, Check] = {
    "plain_text_input": plain_text_input,
    "email_text_input": picker,
    "url_text_input": picker,
    "number_input": picker,
}
ACTIONS: dict[str, Check] = {**BUTTON, **MENUS, **MULTI, "overflow": overflow}
INPUTS: dict[str, Check] = {**MENUS, **MULTI, **TYPED}
