import io
import json
import logging
from typing import Any

import pytest
import structlog

from bot.log import Redactor, configure

SECRET = "made-up-s3cret"


def _line(stream: io.StringIO) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stream.getvalue())
    return found


def test_json_lines_have_a_name_and_their_members() -> None:
    """A line is one JSON object with the event's name, level, time and members."""
    stream = io.StringIO()
    configure("info", "json", stream=stream)
    structlog.get_logger("bot.x").info("delivery.sent", dag="11", attempt=2)
    line = _line(stream)
    assert (line["event"], line["level"], line["dag"], line["attempt"]) == ("delivery.sent", "info", "11", 2)
    assert line["timestamp"].endswith("Z")


def test_console_lines_are_readable() -> None:
    """For people a line has its name and members; without a terminal there are no colours."""
    stream = io.StringIO()
    configure("info", "console", stream=stream)
    structlog.get_logger("bot.x").warning("poll.late", cluster="prod")
    assert "poll.late" in stream.getvalue()
    assert "cluster=prod" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("style", ["console", "json"])
def test_secrets_are_blotted_out_everywhere(style: str) -> None:
    """Known secrets and whatever looks like a token vanish: from members, texts, errors and tracebacks."""
    stream = io.StringIO()
    configure("info", style, stream=stream, secrets=[SECRET])
    log = structlog.get_logger("bot.x")
    try:
        int(SECRET)
    except ValueError as error:
        log.exception("a.failed", cause=error, nested={"list": [SECRET]}, token="xoxb-1-abc")
    logging.getLogger("foreign").warning("url %s", "postgres://u:hunter2@h/db")
    for text in (SECRET, "xoxb-1-abc", "hunter2"):
        assert text not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_chatty_libraries_are_quiet() -> None:
    """Requests of libraries are not logged; their warnings are."""
    stream = io.StringIO()
    configure("debug", "json", stream=stream)
    for name in ("httpx", "httpcore", "apscheduler.scheduler", "slack_sdk.web", "slack_bolt"):
        logging.getLogger(name).info("noise")
    assert stream.getvalue() == ""
    logging.getLogger("httpx").warning("trouble")
    assert _line(stream)["event"] == "trouble"


def test_level_is_kept() -> None:
    """Lines below the level are not written."""
    stream = io.StringIO()
    configure("warning", "json", stream=stream)
    structlog.get_logger("bot.x").info("quiet")
    assert stream.getvalue() == ""


def test_second_call_replaces_the_first() -> None:
    """Setting up again does not double the lines."""
    old, new = io.StringIO(), io.StringIO()
    configure("info", "json", stream=old)
    configure("info", "json", stream=new)
    structlog.get_logger("bot.x").info("once")
    assert old.getvalue() == ""
    assert _line(new)["event"] == "once"


def test_short_secrets_are_not_searched_for() -> None:
    """A password of one letter would blot out every word."""
    redactor = Redactor(["a"])
    assert redactor.text("banana") == "banana"
