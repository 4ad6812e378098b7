"""Rich text: sections, lists, preformatted text and quotes, down to their inline pieces."""

from bot.sandbox.rules.problem import Json, Problem, Problems, boolean, items, one_of, string, wrong

MANY = 10_000
STYLES = frozenset(
    {"bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"}
)
NEEDS = {
    "text": "text",
    "link": "url",
    "emoji": "name",
    "user": "user_id",
    "channel": "channel_id",
    "usergroup": "usergroup_id",
    "date": "format",
    "color": "value",
}


def rich_text(block: Json, at: str) -> Problems:
    """Check a `rich_text` object (a block, or the details and output of a task)."""
    for found in items(block, "elements", at, most=MANY):
        if isinstance(found, Problem):
            yield found
        else:
            yield from _element(found[1], found[0])


def rich_text_object(value: object, at: str) -> Problems:
    """Check a field that must hold one `rich_text`."""
    if not isinstance(value, dict) or value.get("type") != "rich_text":
        yield wrong(at, "must be a rich_text")
        return
    yield from rich_text(value, at)


def _element(value: Json, at: str) -> Problems:
    kind = value.get("type")
    if kind in {"rich_text_section", "rich_text_quote"}:
        yield from _inlines(value, at)
    elif kind == "rich_text_preformatted":
        yield from _preformatted(value, at)
    elif kind == "rich_text_list":
        yield from _list(value, at)
    else:
        yield wrong(f"{at}/type", f"unsupported type: {kind}")


def _list(value: Json, at: str) -> Problems:
    yield from one_of(value, "style", at, words=("bullet", "ordered"), required=True)
    for found in items(value, "elements", at, most=MANY):
        if isinstance(found, Problem):
            yield found
        elif found[1].get("type") != "rich_text_section":
            yield wrong(f"{found[0]}/type", "a list holds rich_text_section only")
        else:
            yield from _inlines(found[1], found[0])


def _preformatted(value: Json, at: str) -> Problems:
    yield from _inlines(value, at, kinds=("text", "link"))


def _inlines(value: Json, at: str, *, kinds: tuple[str, ...] = ()) -> Problems:
    """Check the pieces of one element; `kinds` narrows what may stand there."""
    for found in items(value, "elements", at, most=MANY, least=0):
        if isinstance(found, Problem):
            yield found
        elif kinds and found[1].get("type") not in kinds:
            yield wrong(f"{found[0]}/type", f"unsupported type here: {found[1].get('type')}")
        else:
            yield from _inline(found[1], found[0])


def _inline(value: Json, at: str) -> Problems:
    kind = value.get("type")
    if kind == "broadcast":
        yield from one_of(value, "range", at, words=("here", "channel", "everyone"), required=True)
    elif kind in NEEDS:
        yield from string(value, NEEDS[str(kind)], at, most=MANY * 4, required=True)
    else:
        yield wrong(f"{at}/type", f"unsupported type: {kind}")
    if kind == "date" and not isinstance(value.get("timestamp"), int):
        yield wrong(f"{at}/timestamp", "must be a whole number of seconds")
    yield from _style(value.get("style"), f"{at}/style")


def _style(style: object, at: str) -> Problems:
    if style is None:
        return
    if not isinstance(style, dict):
        yield wrong(at, "must be an object")
        return
    yield from boolean(style, *style, at=at)
    for word in style.keys() - STYLES:
        yield wrong(f"{at}/{word}", f"unknown style: {word}")
