import socket
from typing import Any

import pytest
from aiohttp import web

from bot.delivery.notifier import NotSent, Reason, Refused, RetryAfter, Unclear
from bot.slack.errors import CALL_ERRORS, CODES, LIMITS, Failure, classify, outcome
from bot.slack.notifier import make_client
from tests.slack.conftest import Scripted, hang_up, never_answer

POST = "chat.postMessage"

KNOWN = {
    "invalid_auth": (Refused, Reason.AUTH),
    "account_inactive": (Refused, Reason.AUTH),
    "token_revoked": (Refused, Reason.AUTH),
    "missing_scope": (Refused, Reason.SCOPE),
    "channel_not_found": (Refused, Reason.CHANNEL),
    "not_in_channel": (Refused, Reason.CHANNEL),
    "is_archived": (Refused, Reason.CHANNEL),
    "restricted_action_read_only_channel": (Refused, Reason.CHANNEL),
    "message_not_found": (Refused, Reason.THREAD_LOST),
    "edit_window_closed": (Refused, Reason.THREAD_LOST),
    "thread_not_found": (Refused, Reason.THREAD_LOST),
    "cannot_reply_to_message": (Refused, Reason.THREAD_LOST),
    "invalid_blocks": (Refused, Reason.CONTENT),
    "msg_too_long": (Refused, Reason.CONTENT),
    "a_word_of_next_year": (Refused, Reason.CONTENT),
    "update_failed": (NotSent, Reason.SERVICE),
    "team_added_to_org": (NotSent, Reason.SERVICE),
}
UNFINISHED = ["internal_error", "fatal_error", "service_unavailable", "request_timeout"]


@pytest.mark.parametrize(("code", "verdict"), KNOWN.items())
def test_codes(code: str, verdict: tuple[type, Reason]) -> None:
    """Each word of Slack's has one meaning; an unknown one is a refusal, since `ok: false` is not sent."""
    result = outcome(Failure(code=code, status=200, detail=f"Slack says {code}"), POST)
    assert isinstance(result, verdict[0])
    assert isinstance(result, NotSent | Refused)
    assert result.reason is verdict[1]
    assert code in result.detail


@pytest.mark.parametrize("code", UNFINISHED)
def test_unfinished_work_is_unclear(code: str) -> None:
    """Slack's own trouble may have left the message behind."""
    assert isinstance(outcome(Failure(code=code, status=200, detail=code), POST), Unclear)


@pytest.mark.parametrize("code", LIMITS)
def test_limits_name_the_method(code: str) -> None:
    """A limit pauses one method, for some time even when Slack does not say how long."""
    result = outcome(Failure(code=code, status=200, detail=code), "chat.update")
    assert isinstance(result, RetryAfter)
    assert result.method == "chat.update"
    assert result.seconds >= 30


def test_every_refusal_has_a_remedy() -> None:
    """No row of the table lacks a sentence of what to do."""
    assert all(len(remedy) > 10 for _, remedy in CODES.values())


async def failed(slack: Scripted) -> Exception:
    """Return what a call raises."""
    client = make_client("xoxb-secret", slack.url)
    with pytest.raises(CALL_ERRORS) as caught:
        await client.api_call(POST, json={"text": "hello"})
    return caught.value


SHAPES: dict[str, tuple[Any, Any]] = {
    "refused": ({"ok": False, "error": "is_archived"}, Reason.CHANNEL),
    "ratelimited": (
        web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "3"}),
        RetryAfter(POST, 3.0),
    ),
    "empty 429": (web.Response(status=429, headers={"Retry-After": "7"}), RetryAfter(POST, 7.0)),
    "429 without a time": (web.Response(status=429), RetryAfter(POST, 30.0)),
    "429 with an odd time": (
        web.Response(status=429, headers={"retry-after": "soon"}),
        RetryAfter(POST, 30.0),
    ),
    "503 page": (web.Response(status=503, text="<h1>no</h1>", content_type="text/html"), Unclear),
    "broken JSON": (web.Response(text="{", content_type="application/json"), Unclear),
    "JSON that is a list": (web.Response(text="[1]", content_type="application/json"), Unclear),
    "JSON that is null": (web.Response(text="null", content_type="application/json"), Unclear),
    "plain text": (web.Response(text="ok"), Unclear),
    "broken charset": (
        web.Response(body=b'{"ok": "\xff"}', headers={"Content-Type": "application/json; charset=utf-8"}),
        Unclear,
    ),
    "ok false without a word": ({"ok": False}, Unclear),
    "connection lost": (hang_up, Unclear),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_shapes_of_failure(scripted: Scripted, shape: str) -> None:
    """However a call fails, it is read as sent for certain, not sent for certain, or unclear."""
    answer, expected = SHAPES[shape]
    scripted.say(POST, answer)
    result = classify(await failed(scripted), POST)
    if isinstance(expected, type):
        assert isinstance(result, expected)
    elif isinstance(expected, Reason):
        assert isinstance(result, Refused)
        assert result.reason is expected
    else:
        assert result == expected
    assert len(scripted.calls) == 1, "the client repeated the call by itself"
    assert "xoxb-secret" not in repr(result)


async def test_a_time_out_is_unclear(scripted: Scripted) -> None:
    """A call without an answer may have been taken."""
    scripted.say(POST, never_answer)
    client = make_client("xoxb-secret", scripted.url)
    client.timeout = 0.2  # type: ignore[assignment]  # aiohttp takes any number
    with pytest.raises(CALL_ERRORS) as caught:
        await client.api_call(POST, json={})
    assert isinstance(classify(caught.value, POST), Unclear)


async def test_nobody_listens() -> None:
    """A refused connection is certainly not sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        slack = Scripted()
        slack.url = f"http://127.0.0.1:{unused.getsockname()[1]}/api/"
        result = classify(await failed(slack), POST)
    assert isinstance(result, NotSent)
    assert result.reason is Reason.NETWORK


async def test_the_needed_scope_is_named(scripted: Scripted) -> None:
    """A missing scope is told by its name, a refused block by Slack's pointer."""
    scripted.say(
        POST,
        {"ok": False, "error": "missing_scope", "needed": "chat:write", "provided": "none"},
        {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": ["[ERROR] /blocks/0"]}},
    )
    assert "chat:write" in repr(classify(await failed(scripted), POST))
    assert "/blocks/0" in repr(classify(await failed(scripted), POST))
