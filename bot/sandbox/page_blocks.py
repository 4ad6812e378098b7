"""Blocks as HTML, for messages, modals and the home view."""

import json
from collections.abc import Callable, Sequence

from bot.sandbox.markup import Html, el, join
from bot.sandbox.messages import Json
from bot.sandbox.page_text import lines, rich_text, text_object
from bot.sandbox.team import Team

TASK_MARKS = {"pending": "○", "in_progress": "◐", "complete": "✓", "error": "✕"}


def blocks_html(team: Team, blocks: Sequence[Json]) -> Html:
    """Return all blocks; a kind that this page does not draw says so."""
    return join(_block(team, block) for block in blocks)


def _block(team: Team, block: Json) -> Html:
    kind = str(block.get("type"))
    draw = _DRAWERS.get(kind)
    return draw(team, block) if draw else el("p", f"[{kind} is not drawn here]", class_="undrawn")


def _header(team: Team, block: Json) -> Html:
    return el("h3", text_object(team, block["text"]), class_="b-header")


def _section(team: Team, block: Json) -> Html:
    text = el("div", text_object(team, block["text"]), class_="text") if block.get("text") else None
    fields = [el("div", text_object(team, f), class_="field") for f in block.get("fields", ())]
    listed = el("div", *fields, class_="fields") if fields else None
    accessory = block.get("accessory")
    side = el("div", element_html(team, accessory, block), class_="accessory") if accessory else None
    return el("div", el("div", text, listed, class_="grow"), side, class_="b-section")


def _context(team: Team, block: Json) -> Html:
    return el("div", *(element_html(team, e, block) for e in block["elements"]), class_="b-context")


def _actions(team: Team, block: Json) -> Html:
    return el("div", *(element_html(team, e, block) for e in block["elements"]), class_="b-actions")


def _divider(_team: Team, _block: Json) -> Html:
    return el("hr")


def _image(_team: Team, block: Json) -> Html:
    title = el("figcaption", str(block["title"]["text"])) if block.get("title") else None
    return el("figure", title, _picture(block), class_="b-image")


def _picture(value: Json) -> Html:
    url = str(value.get("image_url", ""))
    alt = str(value.get("alt_text", ""))
    if not url.startswith(("http://", "https://")):
        return el("span", alt, class_="undrawn")
    return el("img", src=url, alt=alt, loading="lazy")


def _rich_text(team: Team, block: Json) -> Html:
    return el("div", rich_text(team, block), class_="b-rich")


def _plan(team: Team, block: Json) -> Html:
    tasks = [_task_item(team, task) for task in block.get("tasks", ())]
    title = el("div", str(block.get("title", "")), class_="plan-title")
    return el("div", title, el("ol", *tasks), class_="b-plan")


def _task(team: Team, block: Json) -> Html:
    return el("div", el("ol", _task_item(team, block)), class_="b-plan")


def _task_item(team: Team, task: Json) -> Html:
    status = str(task.get("status", "pending"))
    mark = el(
        "span",
        TASK_MARKS.get(status, "○"),
        class_="mark",
        role="img",
        aria_label=status.replace("_", " "),
    )
    details = [
        el("div", rich_text(team, task[key]), class_=f"task-{key}")
        for key in ("details", "output")
        if task.get(key)
    ]
    title = el("div", str(task.get("title", "")), class_="task-title")
    return el("li", mark, el("div", title, *details, class_="grow"), class_=f"task {status}")


def _markdown(_team: Team, block: Json) -> Html:
    return el("div", lines(str(block.get("text", ""))), class_="text")


def _table(team: Team, block: Json) -> Html:
    rows = [el("tr", *(el("td", _cell(team, cell)) for cell in row)) for row in block.get("rows", ())]
    return el("div", el("table", *rows), class_="b-table", tabindex="0")


def _cell(team: Team, cell: Json) -> Html:
    return rich_text(team, cell) if cell.get("type") == "rich_text" else lines(str(cell.get("text", "")))


def _input(team: Team, block: Json) -> Html:
    label = el("span", str(block["label"]["text"]), class_="label")
    optional = el("span", " (optional)", class_="hint") if block.get("optional") else None
    hint = el("span", str(block["hint"]["text"]), class_="hint") if block.get("hint") else None
    key = f"{block.get('block_id', '')}"
    error = el("span", class_="form-error", role="alert", data_error=key)
    return el(
        "label", label, optional, element_html(team, block["element"], block), hint, error, class_="b-input"
    )


_DRAWERS: dict[str, Callable[[Team, Json], Html]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "divider": _divider,
    "image": _image,
    "rich_text": _rich_text,
    "plan": _plan,
    "task_card": _task,
    "markdown": _markdown,
    "table": _table,
    "data_table": _table,
    "input": _input,
}


def element_html(team: Team, element: Json, block: Json) -> Html:
    """Return one element of a block: text, picture, button, menu or input."""
    kind = str(element.get("type"))
    if kind in {"mrkdwn", "plain_text"}:
        return el("span", text_object(team, element), class_="piece")
    if kind == "image":
        return _picture(element)
    draw = _ELEMENTS.get(kind)
    return draw(element, block) if draw else el("span", f"[{kind} is not drawn here]", class_="undrawn")


def _action(element: Json, block: Json) -> str:
    """Return what a press tells the app, apart from what a person chooses."""
    told = {key: element[key] for key in ("type", "action_id", "value", "text") if key in element}
    return json.dumps({**told, "block_id": block.get("block_id", "")})


def _button(element: Json, block: Json) -> Html:
    label = str(element["text"]["text"])
    confirm = element.get("confirm")
    return el(
        "button",
        label,
        type="button",
        class_=f"btn {element.get('style', '')}".strip(),
        data_action=_action(element, block),
        data_confirm=str(confirm["text"]["text"]) if confirm else None,
        data_url=str(element["url"]) if element.get("url") else None,
        aria_label=element.get("accessibility_label"),
    )


def _options(element: Json) -> list[Json]:
    groups = element.get("option_groups", ())
    return [*element.get("options", ()), *(o for group in groups for o in group["options"])]


def _select(element: Json, block: Json) -> Html:
    initial = (element.get("initial_option") or {}).get("value")
    prompt = (element.get("placeholder") or {}).get("text") or (
        "⋯" if element["type"] == "overflow" else "Choose"
    )
    empty = el("option", str(prompt), value="")
    listed = [
        el(
            "option",
            str(o["text"]["text"]),
            value=str(o["value"]),
            selected=o["value"] == initial,
            data_option=json.dumps(o),
        )
        for o in _options(element)
    ]
    return el("select", empty, *listed, data_action=_action(element, block), aria_label=str(prompt))


def _choices(element: Json, block: Json) -> Html:
    kind = "radio" if element["type"] == "radio_buttons" else "checkbox"
    first = (
        [element["initial_option"]] if element.get("initial_option") else element.get("initial_options", [])
    )
    name = f"{block.get('block_id')}/{element.get('action_id')}"
    listed = [
        el(
            "label",
            el(
                "input",
                type=kind,
                name=name,
                value=str(o["value"]),
                checked=o in first,
                data_option=json.dumps(o),
            ),
            " ",
            str(o["text"]["text"]),
            class_="choice",
        )
        for o in _options(element)
    ]
    return el("span", *listed, class_="choices", data_action=_action(element, block))


def _text_input(element: Json, block: Json) -> Html:
    value = str(element.get("initial_value", ""))
    prompt = (element.get("placeholder") or {}).get("text")
    most = str(element["max_length"]) if element.get("max_length") else None
    shared = {"placeholder": prompt, "maxlength": most, "data_action": _action(element, block)}
    if element.get("multiline"):
        return el("textarea", value, rows="4", **shared)
    return el("input", type="text", value=value, **shared)


_ELEMENTS: dict[str, Callable[[Json, Json], Html]] = {
    "button": _button,
    "static_select": _select,
    "overflow": _select,
    "radio_buttons": _choices,
    "checkboxes": _choices,
    "plain_text_input": _text_input,
}
