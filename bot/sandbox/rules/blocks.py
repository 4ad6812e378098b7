"""Layout blocks: what each kind needs, how much it may hold, and where it may stand."""

import re

from bot.sandbox.rules.elements import ACTIONS, BUTTON, INPUTS, MENUS, MULTI, Check, distinct_actions, element
from bot.sandbox.rules.problem import Json, Problem, Problems, boolean, items, one_of, string, wrong
from bot.sandbox.rules.rich_text import rich_text, rich_text_object
from bot.sandbox.rules.tables import data_table, table
from bot.sandbox.rules.text import ANY_TEXT, PLAIN, text_object

_URL = re.compile(r"https?://[^\s|]+\Z")


def image(value: Json, at: str) -> Problems:
    """Check an image: address 3000, alt text 1 to 2000 (always needed), title 2000."""
    if ("image_url" in value) == ("slack_file" in value):
        yield wrong(at, "exactly one of image_url and slack_file is needed")
    yield from string(value, "image_url", at, most=3000)
    if isinstance(value.get("image_url"), str) and not _URL.match(value["image_url"]):
        yield wrong(f"{at}/image_url", "must be a valid URL")
    yield from string(value, "alt_text", at, most=2000, required=True)
    yield from text_object(value.get("title"), f"{at}/title", most=2000, kinds=PLAIN, required=False)


ACCESSORIES: dict[str, Check] = {**ACTIONS, **MENUS, **MULTI, "image": image}


def header(block: Json, at: str) -> Problems:
    """Check a header: plain text of 1 to 150."""
    yield from text_object(block.get("text"), f"{at}/text", most=150, kinds=PLAIN)


def section(block: Json, at: str) -> Problems:
    """Check a section: text of 3000, or at most 10 fields of 2000; one accessory."""
    if "text" not in block and "fields" not in block:
        yield wrong(at, "one of text and fields is needed")
    yield from text_object(block.get("text"), f"{at}/text", most=3000, required=False)
    if "fields" in block:
        yield from _fields(block, at)
    yield from boolean(block, "expand", at=at)
    if (accessory := block.get("accessory")) is not None:
        if isinstance(accessory, dict):
            yield from element(accessory, f"{at}/accessory", ACCESSORIES)
        else:
            yield wrong(f"{at}/accessory", "must be an object")


def _fields(block: Json, at: str) -> Problems:
    for found in items(block, "fields", at, most=10):
        if isinstance(found, Problem):
            yield found
        else:
            yield from text_object(found[1], found[0], most=2000)


def context(block: Json, at: str) -> Problems:
    """Check a context: 1 to 10 texts and images."""
    for found in items(block, "elements", at, most=10):
        if isinstance(found, Problem):
            yield found
        elif found[1].get("type") == "image":
            yield from image(found[1], found[0])
        elif found[1].get("type") in ANY_TEXT:
            yield from text_object(found[1], found[0])
        else:
            yield wrong(f"{found[0]}/type", f"unsupported type: {found[1].get('type')}")


def actions(block: Json, at: str) -> Problems:
    """Check an action row: 1 to 25 elements with distinct ids."""
    for found in items(block, "elements", at, most=25):
        if isinstance(found, Problem):
            yield found
        else:
            yield from element(found[1], found[0], ACTIONS)
    yield from distinct_actions(block.get("elements"), f"{at}/elements")


def input_block(block: Json, at: str) -> Problems:
    """Check an input: label and hint 2000, and one input element."""
    yield from text_object(block.get("label"), f"{at}/label", most=2000, kinds=PLAIN)
    yield from text_object(block.get("hint"), f"{at}/hint", most=2000, kinds=PLAIN, required=False)
    yield from boolean(block, "optional", "dispatch_action", at=at)
    if isinstance(block.get("element"), dict):
        yield from element(block["element"], f"{at}/element", INPUTS)
    else:
        yield wrong(f"{at}/element", "missing required field: element")


def divider(_block: Json, _at: str) -> Problems:
    """Accept a line."""
    yield from ()


def markdown(block: Json, at: str) -> Problems:
    """Check a markdown block: 12,000 characters."""
    yield from string(block, "text", at, most=12_000, required=True)


def task_card(block: Json, at: str) -> Problems:
    """Check one task: id, title, one of four states, details and output as rich text."""
    yield from string(block, "task_id", at, most=255, required=True)
    yield from string(block, "title", at, most=MOST_TITLE, required=True)
    yield from one_of(block, "status", at, words=("pending", "in_progress", "complete", "error"))
    for key in ("details", "output"):
        if block.get(key) is not None:
            yield from rich_text_object(block[key], f"{at}/{key}")
    for found in items(block, "sources", at, most=MANY_SOURCES, required=False):
        if isinstance(found, Problem):
            yield found
        else:
            yield from string(found[1], "url", found[0], most=3000, required=True)


MOST_TITLE = 3000  # the size of a text object: Slack publishes no smaller number
MANY_SOURCES = 50


def plan(block: Json, at: str) -> Problems:
    """Check a plan: a title and at most 50 tasks."""
    yield from string(block, "title", at, most=MOST_TITLE, required=True)
    for found in items(block, "tasks", at, most=50, least=0, required=False):
        if isinstance(found, Problem):
            yield found
        elif found[1].get("type") != "task_card":
            yield wrong(f"{found[0]}/type", "a plan holds task_card only")
        else:
            yield from task_card(found[1], found[0])


def card(block: Json, at: str) -> Problems:
    """Check a card: title and subtitle 150, body 200, at most 3 buttons."""
    for key, most in (("title", 150), ("subtitle", 150), ("body", 200)):
        yield from text_object(block.get(key), f"{at}/{key}", most=most, required=False)
    for found in items(block, "actions", at, most=3, required=False):
        yield from [found] if isinstance(found, Problem) else element(found[1], found[0], BUTTON)


def carousel(block: Json, at: str) -> Problems:
    """Check a carousel: 1 to 10 cards."""
    for found in items(block, "elements", at, most=10):
        yield from [found] if isinstance(found, Problem) else card(found[1], found[0])


BLOCKS: dict[str, tuple[Check, str]] = {
    "header": (header, "MVH"),
    "section": (section, "MVH"),
    "context": (context, "MVH"),
    "actions": (actions, "MVH"),
    "divider": (divider, "MVH"),
    "image": (image, "MVH"),
    "input": (input_block, "MVH"),
    "rich_text": (rich_text, "MVH"),
    "markdown": (markdown, "M"),
    "table": (table, "MH"),
    "data_table": (data_table, "M"),
    "card": (card, "MVH"),
    "carousel": (carousel, "MH"),
    "plan": (plan, "M"),
    "task_card": (task_card, "M"),
}
"""Kind of block -> its check, and the surfaces it may stand on: M(essage), V (modal), H(ome)."""


def block_problems(block: Json, at: str, surface: str) -> Problems:
    """Check one block for a surface (`M`, `V` or `H`)."""
    kind = block.get("type")
    known = BLOCKS.get(str(kind))
    if known is None or surface not in known[1]:
        yield wrong(f"{at}/type", f"unsupported type: {kind}")
        return
    yield from string(block, "block_id", at, most=255)
    yield from known[0](block, at)
