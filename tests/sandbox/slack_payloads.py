"""Small builders of Slack payloads for the tests of the local Slack."""

from typing import Any

from bot.sandbox.messages import Json


def plain(text: str = "x") -> Json:
    """Return a plain_text object."""
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    """Return a mrkdwn object."""
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **more: Any) -> Json:
    """Return a section of mrkdwn."""
    return {"type": "section", "text": mrkdwn(text), **more}


def button(action_id: str = "a", **more: Any) -> Json:
    """Return a button."""
    return {"type": "button", "action_id": action_id, "text": plain("Press"), **more}


def actions(*elements: Json) -> Json:
    """Return a row of elements."""
    return {"type": "actions", "elements": list(elements)}


def option(value: str = "v", text: str = "t", **more: Any) -> Json:
    """Return an option of a menu."""
    return {"text": plain(text), "value": value, **more}


def select(count: int, **more: Any) -> Json:
    """Return a menu with that many options."""
    made = [option(str(i)) for i in range(count)]
    return {"type": "static_select", "action_id": "s", "options": made, **more}


def rich(*elements: Json) -> Json:
    """Return a rich_text."""
    return {"type": "rich_text", "elements": list(elements)}


def rich_section(*pieces: Json) -> Json:
    """Return a section of rich text."""
    return {"type": "rich_text_section", "elements": list(pieces)}


def rich_words(text: str) -> Json:
    """Return one piece of rich text."""
    return {"type": "text", "text": text}


def task(**more: Any) -> Json:
    """Return a task card."""
    return {"type": "task_card", "task_id": "1", "title": "Check", "status": "pending", **more}


def plan(*tasks: Json, title: str = "Plan") -> Json:
    """Return a plan."""
    return {"type": "plan", "title": title, "tasks": list(tasks)}


def modal(*blocks: Json, **more: Any) -> Json:
    """Return a modal."""
    return {"type": "modal", "title": plain("Title"), "blocks": list(blocks) or [section()], **more}


def home(*blocks: Json, **more: Any) -> Json:
    """Return a home view."""
    return {"type": "home", "blocks": list(blocks) or [section()], **more}


def input_block(**more: Any) -> Json:
    """Return a text input with a label."""
    element = {"type": "plain_text_input", "action_id": "i"}
    return {"type": "input", "block_id": "b", "label": plain("Label"), "element": element, **more}
