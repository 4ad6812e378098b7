"""The plain words that a person reads in a message."""

from collections.abc import Callable, Iterator, Sequence

from bot.sandbox import mrkdwn
from bot.sandbox.messages import Json, Message

Lines = Iterator[str]


def visible_text(message: Message) -> str:
    """Return the plain words a person reads: from the blocks where there are any, else from the text.

    Lines are separated by a line feed; dates are given by their fallback words.
    """
    lines = list(_blocks(message.blocks)) if message.blocks else [_mrkdwn(message.text)]
    for attachment in message.attachments:
        lines += _blocks(attachment.get("blocks", ()))
        lines += [str(attachment[key]) for key in ("title", "text") if attachment.get(key)]
    lines += [file.title for file in message.files]
    return "\n".join(line for line in lines if line)


def text_of(value: Json) -> str:
    """Return the words of a text object."""
    text = str(value.get("text", ""))
    return _mrkdwn(text) if value.get("type") == "mrkdwn" else text


def rich_text(value: Json) -> str:
    """Return the words of a `rich_text`: one element per line."""
    return "\n".join(_rich(element) for element in value.get("elements", ()))


def _mrkdwn(text: str) -> str:
    return mrkdwn.plain(mrkdwn.parse(text))


def _blocks(blocks: Sequence[Json]) -> Lines:
    for block in blocks:
        if reader := _READERS.get(str(block.get("type"))):
            yield from reader(block)


def _section(block: Json) -> Lines:
    if block.get("text"):
        yield text_of(block["text"])
    yield from (text_of(field) for field in block.get("fields", ()))
    if block.get("accessory"):
        yield _element(block["accessory"])


def _context(block: Json) -> Lines:
    yield "  ".join(_element(e) for e in block["elements"])


def _actions(block: Json) -> Lines:
    yield "  ".join(f"[{_element(e)}]" for e in block["elements"])


def _rich_block(block: Json) -> Lines:
    yield rich_text(block)


def _plan(block: Json) -> Lines:
    yield str(block.get("title", ""))
    for task in block.get("tasks", ()):
        yield from _task(task)


def _task(task: Json) -> Lines:
    yield f"{task.get('title', '')} ({task.get('status', 'pending')})"
    for key in ("details", "output"):
        if task.get(key):
            yield rich_text(task[key])


def _input(block: Json) -> Lines:
    yield text_of(block["label"])


def _image(block: Json) -> Lines:
    yield str(block.get("alt_text", ""))


def _markdown(block: Json) -> Lines:
    yield str(block.get("text", ""))


def _table(block: Json) -> Lines:
    yield from ("\t".join(_element(cell) for cell in row) for row in block.get("rows", ()))


_READERS: dict[str, Callable[[Json], Lines]] = {
    "header": _section,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "rich_text": _rich_block,
    "plan": _plan,
    "task_card": _task,
    "input": _input,
    "image": _image,
    "markdown": _markdown,
    "table": _table,
    "data_table": _table,
}


def _element(element: Json) -> str:
    kind = element.get("type")
    if kind in {"plain_text", "mrkdwn"}:
        return text_of(element)
    if kind == "rich_text":
        return rich_text(element)
    if kind == "image":
        return str(element.get("alt_text", ""))
    holder = element.get("text") or element.get("placeholder") or ""
    return text_of(holder) if isinstance(holder, dict) else str(holder)


def _rich(element: Json) -> str:
    if element.get("type") == "rich_text_list":
        return "\n".join(f"• {_rich(item)}" for item in element.get("elements", ()))
    return "".join(_inline(piece) for piece in element.get("elements", ()))


_SIGNS = {"user": ("@", "user_id"), "channel": ("#", "channel_id"), "usergroup": ("@", "usergroup_id")}


def _inline(piece: Json) -> str:
    kind = str(piece.get("type"))
    if kind in _SIGNS:
        sign, key = _SIGNS[kind]
        return f"{sign}{piece.get(key)}"
    if kind == "emoji":
        return mrkdwn.EMOJI.get(str(piece.get("name")), f":{piece.get('name')}:")
    if kind == "broadcast":
        return f"@{piece.get('range')}"
    if kind == "date":
        return str(piece.get("fallback") or piece.get("timestamp"))
    return str(piece.get("text") or piece.get("url") or "")
