"""What Slack's errors mean for delivery: one table, and one reading of every shape in which a call can fail.

A failed call is one of three things: Slack certainly did not take it, Slack may have taken it, or the call
was over a limit. Slack's answer `ok: false` means not taken, but for a few words that Slack itself calls
unfinished. An answer that is no JSON (a 503 page, an empty 429, `text/plain`) makes slack_sdk raise in
various ways, some of them surprising: `read` knows them all.
"""

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.delivery.notifier import NotSent, Outcome, Reason, Refused, RetryAfter, Unclear

CALL_ERRORS = (SlackClientError, aiohttp.ClientError, OSError, AttributeError, ValueError)
"""What a call of `AsyncWebClient` can raise: time-outs are OSErrors, a `text/plain` body gives an
AttributeError, a body in a broken charset a ValueError."""

NEVER_SENT = (
    aiohttp.ClientConnectorError,  # refused, no route, name not resolved, TLS, proxy not there
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,  # the proxy refused to connect us
    aiohttp.InvalidURL,
)
TOO_MANY_REQUESTS = 429
DEFAULT_RETRY_S = 30.0
"""For a limit without a usable `Retry-After`: half of Slack's window of a minute."""
FLOOD_RETRY_S = 60.0
MAX_DETAIL = 300


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A failed call in the same shape, however it failed. `code` is Slack's word, if it answered with one."""

    code: str | None = None
    status: int | None = None
    retry_after: float | None = None
    never_sent: bool = False
    detail: str


Verdict = Callable[[str], Outcome]


def _refused(reason: Reason) -> Verdict:
    return lambda detail: Refused(reason, detail)


def _again(reason: Reason) -> Verdict:
    return lambda detail: NotSent(reason, detail)


_CHANNEL = _refused(Reason.CHANNEL)
_THREAD = _refused(Reason.THREAD_LOST)
_CONTENT = _refused(Reason.CONTENT)
_AUTH = _refused(Reason.AUTH)
_SCOPE = _refused(Reason.SCOPE)
_LATER = _again(Reason.SERVICE)
_UNCLEAR: Verdict = Unclear

_TOKEN = "give obdag a valid SLACK_BOT_TOKEN (Slack app page, OAuth & Permissions) and restart"  # noqa: S105 - an advice
_ADMIN = "ask an administrator of the Slack workspace"
_BUG = "obdag made a call that Slack does not accept: please report it"
_SHORTER = "obdag falls back to short plain text"
_EDIT = "this message cannot be edited any more: a new one is posted when the state still matters"
_POLICY = (
    "the channel's posting rules forbid it: allow the app in the channel's settings, or use another channel"
)
_WAIT = "obdag tries again"

CODES: dict[str, tuple[Verdict, str]] = {
    # tokens and permissions
    "invalid_auth": (_AUTH, _TOKEN),
    "not_authed": (_AUTH, _TOKEN),
    "account_inactive": (_AUTH, _TOKEN),
    "token_revoked": (_AUTH, _TOKEN),
    "token_expired": (_AUTH, _TOKEN),
    "missing_scope": (_SCOPE, "add the scope to the app (obdag manifest lists all) and reinstall it"),
    "not_allowed_token_type": (_SCOPE, "SLACK_BOT_TOKEN must be a bot token (xoxb-...)"),
    "no_permission": (_SCOPE, "reinstall the app from the output of obdag manifest"),
    "access_denied": (_SCOPE, "reinstall the app from the output of obdag manifest"),
    "ekm_access_denied": (_AUTH, _ADMIN),
    "team_access_not_granted": (_AUTH, _ADMIN),
    "accesslimited": (_AUTH, _ADMIN),
    "enterprise_is_restricted": (_SCOPE, _ADMIN),
    "org_login_required": (_LATER, "the workspace is being migrated; " + _WAIT),
    "team_added_to_org": (_LATER, "the workspace is being migrated; " + _WAIT),
    # calls that are wrong in themselves
    "invalid_arguments": (_CONTENT, _BUG),
    "invalid_arg_name": (_CONTENT, _BUG),
    "invalid_json": (_CONTENT, _BUG),
    "json_not_object": (_CONTENT, _BUG),
    "invalid_charset": (_CONTENT, _BUG),
    "invalid_form_data": (_CONTENT, _BUG),
    "missing_post_type": (_CONTENT, _BUG),
    "method_deprecated": (_SCOPE, "upgrade obdag: Slack has switched this method off"),
    "deprecated_endpoint": (_SCOPE, "upgrade obdag: Slack has switched this method off"),
    # Slack's own trouble: part of the work may have happened
    "internal_error": (_UNCLEAR, _WAIT),
    "fatal_error": (_UNCLEAR, _WAIT),
    "service_unavailable": (_UNCLEAR, _WAIT),
    "request_timeout": (_UNCLEAR, _WAIT),
    "update_failed": (_LATER, _WAIT),
    "external_channel_migrating": (_LATER, _WAIT),
    # the destination
    "channel_not_found": (_CHANNEL, "check the channel's ID; for a private channel, /invite the bot there"),
    "not_in_channel": (_CHANNEL, "/invite the bot in that channel"),
    "is_archived": (_CHANNEL, "the channel is archived: unarchive it or choose another"),
    "restricted_action": (_CHANNEL, _POLICY),
    "restricted_action_read_only_channel": (_CHANNEL, _POLICY),
    "restricted_action_thread_only_channel": (_CHANNEL, _POLICY),
    "restricted_action_non_threadable_channel": (_CHANNEL, _POLICY),
    "messages_tab_disabled": (_CHANNEL, "enable the app's messages tab (obdag manifest does)"),
    "restricted_action_thread_locked": (_THREAD, "the thread is locked: a new root message is posted"),
    "cannot_reply_to_message": (_THREAD, "that message takes no replies: a new root message is posted"),
    "thread_not_found": (_THREAD, "the root message is gone: a new one is posted"),
    "message_not_found": (_THREAD, "the root message is gone: a new one is posted"),
    "cant_update_message": (_THREAD, _EDIT),
    "edit_window_closed": (_THREAD, _EDIT),
    "is_inactive": (_THREAD, _EDIT),
    "block_mismatch": (_THREAD, _EDIT),
    "streaming_state_conflict": (_THREAD, _EDIT),
    # joining
    "method_not_supported_for_channel_type": (_CHANNEL, "/invite the bot in that channel"),
    "too_many_members": (_CHANNEL, "the channel is full: choose another"),
    # content
    "no_text": (_CONTENT, _SHORTER),
    "invalid_blocks": (_CONTENT, _SHORTER),
    "invalid_blocks_format": (_CONTENT, _SHORTER),
    "msg_blocks_too_long": (_CONTENT, _SHORTER),
    "msg_too_long": (_CONTENT, _SHORTER),
    "too_many_attachments": (_CONTENT, _SHORTER),
    "attachment_payload_limit_exceeded": (_CONTENT, _SHORTER),
    "markdown_text_conflict": (_CONTENT, _SHORTER),
    "metadata_too_large": (_CONTENT, _BUG),
    "invalid_metadata_format": (_CONTENT, _BUG),
    "invalid_metadata_schema": (_CONTENT, _BUG),
    "metadata_must_be_sent_from_app": (_CONTENT, _BUG),
    "no_dual_broadcast_content_update": (_CONTENT, _BUG),
    "cant_broadcast_message": (_CONTENT, _BUG),
    # look-ups
    "invalid_cursor": (_LATER, _WAIT),
}
"""Slack's word -> what delivery does, and what an operator can do about it."""

LIMITS = {
    "ratelimited": DEFAULT_RETRY_S,
    "rate_limited": DEFAULT_RETRY_S,
    "message_limit_exceeded": FLOOD_RETRY_S,
}
"""Slack's words for "too much" -> how many seconds to wait when it does not say."""

METADATA_CODES = frozenset(code for code in CODES if "metadata" in code)


def classify(error: Exception, method: str) -> Outcome:
    """Return what a failed call of `method` means; never `Sent`."""
    return outcome(read(error), method)


def outcome(failure: Failure, method: str) -> Outcome:
    """Return what a failure of `method` means."""
    if failure.never_sent:
        return NotSent(Reason.NETWORK, failure.detail)
    if failure.status == TOO_MANY_REQUESTS or failure.code in LIMITS:
        return RetryAfter(method, failure.retry_after or LIMITS.get(failure.code or "", DEFAULT_RETRY_S))
    if failure.code is None:
        return Unclear(failure.detail)
    verdict, remedy = CODES.get(failure.code, (_CONTENT, "obdag does not know this answer of Slack"))
    return verdict(f"{failure.detail}: {remedy}")


def read(error: Exception) -> Failure:
    """Return a failed call in one shape."""
    if isinstance(error, NEVER_SENT):
        return Failure(never_sent=True, detail=_named("no connection to Slack", error))
    if not isinstance(error, SlackApiError):
        return Failure(detail=_named("no usable answer of Slack", error))
    response = error.response
    if not isinstance(response, AsyncSlackResponse):  # broken JSON: aiohttp's own response, without items
        status = getattr(response, "status", None)
        return Failure(status=status, detail=f"an answer of Slack that is no JSON (HTTP {status})")
    data = response.data if isinstance(response.data, dict) else {}
    code = data.get("error")
    return Failure(
        code=code if isinstance(code, str) else None,
        status=response.status_code,
        retry_after=_seconds(response.headers),
        detail=_detail(data, response.status_code),
    )


def _detail(data: Mapping[str, Any], status: int) -> str:
    code = data.get("error")
    said = [f"Slack says {code}" if code else f"Slack answers HTTP {status} without a reason"]
    if data.get("needed"):
        said.append(f"needed {data['needed']}")
    metadata = data.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    said += [str(message) for message in messages[:2]] if isinstance(messages, list) else []
    return ", ".join(said)[:MAX_DETAIL]


def _seconds(headers: Mapping[str, Any]) -> float | None:
    """Return `Retry-After` in seconds; header names come in any case, and values not always as numbers."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = value[0] if isinstance(value, list) and value else value
            try:
                return max(1.0, float(str(text)))
            except ValueError:
                return None
    return None


def _named(what: str, error: Exception) -> str:
    """Name an error of the network by its kind: its text may hold an address with credentials of a proxy."""
    return f"{what} ({type(error).__name__})"
