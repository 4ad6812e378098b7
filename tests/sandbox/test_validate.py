"""Slack's payload rules, each with a payload just inside and one just outside."""

import pytest

from bot.sandbox.messages import Json
from bot.sandbox.validate import validate_message, validate_view
from tests.sandbox.slack_payloads import (
    actions,
    button,
    home,
    input_block,
    modal,
    mrkdwn,
    option,
    plain,
    plan,
    rich,
    rich_section,
    rich_words,
    section,
    select,
    task,
)

CONFIRM = {"title": plain("t"), "text": plain("x"), "confirm": plain("y"), "deny": plain("n")}
IMAGE = {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"}


def fields(count: int, size: int = 1) -> Json:
    """Return a section of fields."""
    return {"type": "section", "fields": [mrkdwn("x" * size)] * count}


def context(count: int) -> Json:
    """Return a context of texts."""
    return {"type": "context", "elements": [mrkdwn()] * count}


def header(size: int) -> Json:
    """Return a header."""
    return {"type": "header", "text": plain("x" * size)}


def buttons(count: int) -> Json:
    """Return a row of buttons with distinct ids."""
    return actions(*(button(str(i)) for i in range(count)))


def choices(count: int) -> Json:
    """Return radio buttons."""
    listed = [option(str(i)) for i in range(count)]
    return actions({"type": "radio_buttons", "action_id": "r", "options": listed})


def overflow(count: int) -> Json:
    """Return an overflow menu."""
    listed = [option(str(i)) for i in range(count)]
    return section(accessory={"type": "overflow", "action_id": "o", "options": listed})


def groups(count: int) -> Json:
    """Return a menu of option groups."""
    group = {"label": plain(), "options": [option()]}
    return actions({"type": "static_select", "action_id": "s", "option_groups": [group] * count})


def confirm(**more: Json) -> Json:
    """Return a button with a confirm dialog."""
    return actions(button(confirm={**CONFIRM, **more}))


def rows(count: int, cells: int = 1, size: int = 1) -> Json:
    """Return a table."""
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "x" * size}] * cells] * count}


def styled(style: Json) -> Json:
    """Return rich text with a styled piece."""
    return rich(rich_section({**rich_words("x"), "style": style}))


def listed(style: str) -> Json:
    """Return a rich text list."""
    return rich({"type": "rich_text_list", "style": style, "elements": [rich_section(rich_words("x"))]})


def preformatted(piece: Json) -> Json:
    """Return rich preformatted text."""
    return rich({"type": "rich_text_preformatted", "elements": [piece]})


def date(**more: object) -> Json:
    """Return a rich date."""
    return rich(rich_section({"type": "date", "timestamp": 1, "format": "{time}", **more}))


BLOCKS: list[tuple[str, Json, Json]] = [
    ("header of 150", header(150), header(151)),
    ("header not empty", header(1), header(0)),
    ("header is plain", header(1), {"type": "header", "text": mrkdwn()}),
    ("section of 3000", section("x" * 3000), section("x" * 3001)),
    ("section not empty", section("x"), section("")),
    ("section needs something", section(), {"type": "section"}),
    ("10 fields", fields(10), fields(11)),
    ("fields not empty", fields(1), fields(0)),
    ("field of 2000", fields(1, 2000), fields(1, 2001)),
    ("accessory kinds", section(accessory=button()), section(accessory=section())),
    ("accessory is an object", section(accessory=IMAGE), section(accessory="x")),
    ("10 in a context", context(10), context(11)),
    ("context not empty", context(1), context(0)),
    ("context kinds", {"type": "context", "elements": [IMAGE]}, {"type": "context", "elements": [button()]}),
    ("25 actions", buttons(25), buttons(26)),
    ("actions not empty", buttons(1), buttons(0)),
    ("distinct action ids", actions(button("a"), button("b")), actions(button("a"), button("a"))),
    ("block id of 255", section(block_id="x" * 255), section(block_id="x" * 256)),
    ("action id of 255", actions(button("x" * 255)), actions(button("x" * 256))),
    ("button text of 75", actions(button(text=plain("x" * 75))), actions(button(text=plain("x" * 76)))),
    ("button text is plain", actions(button()), actions(button(text=mrkdwn()))),
    ("button value of 2000", actions(button(value="x" * 2000)), actions(button(value="x" * 2001))),
    ("button url of 3000", actions(button(url="x" * 3000)), actions(button(url="x" * 3001))),
    (
        "button label of 75",
        actions(button(accessibility_label="x" * 75)),
        actions(button(accessibility_label="x" * 76)),
    ),
    ("button styles", actions(button(style="danger")), actions(button(style="default"))),
    ("confirm title of 100", confirm(title=plain("x" * 100)), confirm(title=plain("x" * 101))),
    ("confirm text of 300", confirm(text=plain("x" * 300)), confirm(text=plain("x" * 301))),
    ("confirm button of 30", confirm(confirm=plain("x" * 30)), confirm(confirm=plain("x" * 31))),
    ("deny button of 30", confirm(deny=plain("x" * 30)), confirm(deny=plain("x" * 31))),
    ("100 options", actions(select(100)), actions(select(101))),
    ("options not empty", actions(select(1)), actions(select(0))),
    ("100 option groups", groups(100), groups(101)),
    ("options or groups", actions(select(1)), actions(select(1, option_groups=[]))),
    (
        "placeholder of 150",
        actions(select(1, placeholder=plain("x" * 150))),
        actions(select(1, placeholder=plain("x" * 151))),
    ),
    (
        "option text of 75",
        actions(select(1, options=[option(text="x" * 75)])),
        actions(select(1, options=[option(text="x" * 76)])),
    ),
    (
        "option value of 150",
        actions(select(1, options=[option("x" * 150)])),
        actions(select(1, options=[option("x" * 151)])),
    ),
    (
        "option description of 75",
        actions(select(1, options=[option(description=plain("x" * 75))])),
        actions(select(1, options=[option(description=plain("x" * 76))])),
    ),
    ("option url only in overflow", overflow(1), actions(select(1, options=[option(url="https://x")]))),
    ("5 in an overflow", overflow(5), overflow(6)),
    ("10 radio buttons", choices(10), choices(11)),
    ("alt text needed", IMAGE, {**IMAGE, "alt_text": ""}),
    ("alt text of 2000", {**IMAGE, "alt_text": "x" * 2000}, {**IMAGE, "alt_text": "x" * 2001}),
    ("image title of 2000", {**IMAGE, "title": plain("x" * 2000)}, {**IMAGE, "title": plain("x" * 2001)}),
    ("image address", IMAGE, {**IMAGE, "image_url": "javascript:alert(1)"}),
    ("image source", IMAGE, {"type": "image", "alt_text": "a"}),
    ("input label of 2000", input_block(label=plain("x" * 2000)), input_block(label=plain("x" * 2001))),
    ("input hint of 2000", input_block(hint=plain("x" * 2000)), input_block(hint=plain("x" * 2001))),
    ("input element", input_block(), input_block(element=None)),
    ("input kinds", input_block(element=select(1)), input_block(element=button())),
    (
        "input length",
        input_block(element={"type": "plain_text_input", "max_length": 3000}),
        input_block(element={"type": "plain_text_input", "max_length": 3001}),
    ),
    ("rich text pieces", rich(rich_section(rich_words("x"))), rich(rich_section({"type": "image"}))),
    ("rich text elements", rich(rich_section()), rich(rich_words("x"))),
    ("rich text not empty", rich(rich_section()), rich()),
    ("rich words not empty", rich(rich_section(rich_words("x"))), rich(rich_section(rich_words("")))),
    ("rich styles", styled({"bold": True}), styled({"loud": True})),
    ("rich style is boolean", styled({"bold": True}), styled({"bold": "yes"})),
    ("rich list style", listed("bullet"), listed("dashed")),
    (
        "rich list items",
        listed("ordered"),
        rich({"type": "rich_text_list", "style": "bullet", "elements": [task()]}),
    ),
    ("preformatted pieces", preformatted(rich_words("x")), preformatted({"type": "emoji", "name": "x"})),
    ("rich date", date(), date(timestamp="1")),
    (
        "rich broadcast",
        rich(rich_section({"type": "broadcast", "range": "here"})),
        rich(rich_section({"type": "broadcast", "range": "all"})),
    ),
    ("50 tasks", plan(*[task()] * 50), plan(*[task()] * 51)),
    ("plan title", plan(task()), plan(task(), title="")),
    ("plan holds tasks", plan(task()), plan(section())),
    ("task states", plan(task(status="in_progress")), plan(task(status="done"))),
    ("task id", plan(task()), plan(task(task_id=None))),
    ("task title", plan(task()), plan(task(title=""))),
    ("task details are rich", plan(task(details=rich(rich_section()))), plan(task(details=plain()))),
    ("task output is rich", task(output=rich(rich_section())), task(output="x")),
    (
        "markdown of 12000",
        {"type": "markdown", "text": "x" * 12_000},
        {"type": "markdown", "text": "x" * 12_001},
    ),
    ("100 rows", rows(100), rows(101)),
    ("20 cells", rows(1, 20), rows(1, 21)),
    ("10000 in a table", rows(10, 1, 1000), rows(10, 1, 1001)),
    (
        "data table rows",
        {**rows(2), "type": "data_table", "caption": "c"},
        {**rows(1), "type": "data_table", "caption": "c"},
    ),
    ("card body", {"type": "card", "body": plain("x" * 200)}, {"type": "card", "body": plain("x" * 201)}),
    (
        "card buttons",
        {"type": "card", "actions": [button()] * 3},
        {"type": "card", "actions": [button()] * 4},
    ),
    (
        "carousel",
        {"type": "carousel", "elements": [{"type": "card"}] * 10},
        {"type": "carousel", "elements": [{"type": "card"}] * 11},
    ),
    ("kinds of blocks", {"type": "divider"}, {"type": "alert", "text": plain()}),
    ("plain has no verbatim", section(), {"type": "section", "text": {**plain(), "verbatim": True}}),
    ("mrkdwn has no emoji", section(), {"type": "section", "text": {**mrkdwn(), "emoji": True}}),
    ("text types", section(), {"type": "section", "text": {"type": "markdown", "text": "x"}}),
]


@pytest.mark.parametrize(("good", "bad"), [c[1:] for c in BLOCKS], ids=[c[0] for c in BLOCKS])
def test_block_rule(good: Json, bad: Json) -> None:
    """A block inside the limit passes; outside it Slack says `invalid_blocks`."""
    assert validate_message({"text": "x", "blocks": [good]}) == []
    assert "invalid_blocks" in {p.error for p in validate_message({"text": "x", "blocks": [bad]})}


def metadata(**payload: object) -> Json:
    """Return a message with metadata."""
    return {"text": "x", "metadata": {"event_type": "notice_sent", "event_payload": payload}}


MESSAGES: list[tuple[str, Json, Json]] = [
    ("invalid_blocks", {"blocks": [{"type": "divider"}] * 50}, {"blocks": [{"type": "divider"}] * 51}),
    ("invalid_blocks", {"blocks": [section(block_id="a"), section(block_id="b")]},
     {"blocks": [section(block_id="a"), section(block_id="a")]}),
    ("msg_blocks_too_long", {"blocks": [section("x" * 2640)] * 5}, {"blocks": [section("x" * 2641)] * 5}),
    ("only_one_table_allowed", {"blocks": [rows(1)]}, {"blocks": [rows(1), rows(1)]}),
    ("invalid_blocks_format", {"blocks": []} | {"text": "x"}, {"blocks": "x", "text": "x"}),
    ("no_text", {"text": "x"}, {"text": ""}),
    ("no_text", {"blocks": [section()]}, {"blocks": []}),
    ("markdown_text_conflict", {"markdown_text": "x"}, {"markdown_text": "x", "text": "y"}),
    ("msg_too_long", {"markdown_text": "x" * 12_000}, {"markdown_text": "x" * 12_001}),
    ("too_many_attachments", {"attachments": [{"text": "x"}] * 100}, {"attachments": [{"text": "x"}] * 101}),
    ("invalid_attachments", {"attachments": [{"color": "#d00000"}]}, {"attachments": [{"color": "reddish"}]}),
    ("invalid_blocks", {"attachments": [{"blocks": [header(150)]}]},
     {"attachments": [{"blocks": [header(151)]}]}),
    ("invalid_blocks", {"attachments": [{"footer": "x" * 300}]}, {"attachments": [{"footer": "x" * 301}]}),
    ("invalid_metadata_format", metadata(id="1"), {"text": "x", "metadata": {"event_type": "x"}}),
    ("invalid_metadata_format", metadata(id=1),
     {"text": "x", "metadata": {"event_type": "not a word", "event_payload": {}}}),
    ("invalid_metadata_schema", metadata(ok=True, one={"level": 1}), metadata(two={"levels": {"deep": 1}})),
    ("metadata_too_large", metadata(id="x" * 7000), metadata(id="x" * 9000)),
]  # fmt: skip


@pytest.mark.parametrize(("error", "good", "bad"), MESSAGES)
def test_message_rule(error: str, good: Json, bad: Json) -> None:
    """A message inside the limit passes; outside it Slack says the rule's own word."""
    assert validate_message(good) == []
    assert error in {p.error for p in validate_message(bad)}


def test_update_takes_shorter_text() -> None:
    """An update refuses text over 4,000 characters, a new message does not."""
    assert validate_message({"text": "x" * 4000}, update=True) == []
    assert [p.error for p in validate_message({"text": "x" * 4001}, update=True)] == ["msg_too_long"]
    assert validate_message({"text": "x" * 4001}) == []


VIEWS: list[tuple[str, Json, Json]] = [
    ("title of 24", modal(title=plain("x" * 24)), modal(title=plain("x" * 25))),
    ("title is plain", modal(), modal(title=mrkdwn())),
    ("submit of 24", modal(submit=plain("x" * 24)), modal(submit=plain("x" * 25))),
    ("close of 24", modal(close=plain("x" * 24)), modal(close=plain("x" * 25))),
    ("100 blocks", modal(*[section()] * 100), modal(*[section()] * 101)),
    ("blocks not empty", modal(), {**modal(), "blocks": []}),
    ("private metadata of 3000", modal(private_metadata="x" * 3000), modal(private_metadata="x" * 3001)),
    ("callback id of 255", modal(callback_id="x" * 255), modal(callback_id="x" * 256)),
    ("external id of 255", modal(external_id="x" * 255), modal(external_id="x" * 256)),
    ("submit with an input", modal(input_block(), submit=plain()), modal(input_block())),
    ("no plan in a modal", modal(rich(rich_section())), modal(plan(task()))),
    ("booleans", modal(notify_on_close=True), modal(notify_on_close="yes")),
    ("home of 100 blocks", home(*[section()] * 100), home(*[section()] * 101)),
    ("home has no title", home(), home(title=plain())),
    ("home has no submit", home(), home(submit=plain())),
    ("type", home(), {**home(), "type": "page"}),
]


@pytest.mark.parametrize(("good", "bad"), [v[1:] for v in VIEWS], ids=[v[0] for v in VIEWS])
def test_view_rule(good: Json, bad: Json) -> None:
    """A view inside the limit passes; outside it Slack says `invalid_arguments`."""
    assert validate_view(good) == []
    assert {p.error for p in validate_view(bad)} == {"invalid_arguments"}


def test_view_of_250_kb() -> None:
    """A view larger than 250 KB is refused as a whole."""
    large = modal(*[section("x" * 2900)] * 80)
    assert validate_view(large) == []
    assert [p.error for p in validate_view(modal(*[section("x" * 2900)] * 90))] == ["view_too_large"]


def test_problem_names_the_place() -> None:
    """A problem is spelled as Slack spells it, with a pointer to the place."""
    (problem,) = validate_message({"text": "x", "blocks": [section(), header(151)]})
    assert str(problem) == "[ERROR] must be less than 151 characters [json-pointer:/blocks/1/text/text]"
