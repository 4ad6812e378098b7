"""The connection to Slack: who we are, whether the tokens are good, Socket Mode and its rescue.

StartError
├── BadToken   Slack refuses a token: nothing works until an operator changes it
└── NotReady   trouble that may pass: try to start again later
"""

import asyncio
import contextlib

import structlog
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient

from bot.delivery.notifier import Reason, Refused
from bot.slack.errors import CALL_ERRORS, Failure, classify, outcome, read

CONNECT_S = 30.0
MISSED_LOOKS = 3

_WHERE_TO_FIND = {
    "SLACK_BOT_TOKEN": "copy the bot token (xoxb-...) from the Slack app's page OAuth & Permissions",
    "SLACK_APP_TOKEN": "make an app-level token (xapp-...) with connections:write on the Slack app's page "
    "Basic Information",
}

log = structlog.get_logger(__name__)


class StartError(Exception):
    """Slack cannot be used; `str()` says why and what to do, and holds no token."""


class BadToken(StartError):
    """Slack refuses a token; `variable` names the setting that holds it."""

    def __init__(self, variable: str, detail: str) -> None:
        self.variable = variable
        super().__init__(f"{variable} is refused: {detail}; {_WHERE_TO_FIND[variable]}")


class NotReady(StartError):
    """Slack, or the way to it, is in trouble."""


async def identify(client: AsyncWebClient) -> AuthorizeResult:
    """Return who the bot token belongs to; raises `BadToken` or `NotReady`."""
    try:
        answer = await client.auth_test()
    except CALL_ERRORS as error:
        raise _start_error("SLACK_BOT_TOKEN", read(error)) from None
    return AuthorizeResult(
        enterprise_id=answer.get("enterprise_id"),
        team_id=answer.get("team_id"),
        bot_user_id=answer.get("user_id"),
        bot_id=answer.get("bot_id"),
        bot_token=client.token,
    )


async def connect(
    socket: SocketModeClient, client: AsyncWebClient, app_token: str, *, limit_s: float = CONNECT_S
) -> None:
    """Open the socket; raises `BadToken` or `NotReady`.

    The SDK asks for an address again and again, for ever and in silence, when the app token is wrong: so the
    first address is asked for here and handed to it (one call: the method allows about one a minute).
    """
    try:
        answer = await client.apps_connections_open(app_token=app_token)
    except CALL_ERRORS as error:
        raise _start_error("SLACK_APP_TOKEN", read(error)) from None
    socket.wss_uri = str(answer.get("url", ""))
    try:
        await asyncio.wait_for(socket.connect(), limit_s)  # type: ignore[no-untyped-call]
    except TimeoutError:
        raise NotReady(f"Slack's socket did not open within {limit_s:.0f} s: see the log") from None


def _start_error(variable: str, failure: Failure) -> StartError:
    result = outcome(failure, "")
    if isinstance(result, Refused) and result.reason in {Reason.AUTH, Reason.SCOPE}:
        return BadToken(variable, failure.detail)
    return NotReady(f"Slack cannot be used now: {failure.detail}")


class Watchdog:
    """Rescues a socket that tries one dead address for ever: a few missed looks, and it asks for another."""

    def __init__(self, socket: SocketModeClient, every_s: float) -> None:
        self._socket, self._every_s = socket, every_s
        self._task = asyncio.create_task(self._watch(), name="slack-watchdog")

    async def stop(self) -> None:
        """End; does not touch the socket."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        missed = 0
        while True:
            await asyncio.sleep(self._every_s)
            missed = 0 if await self._socket.is_connected() else missed + 1
            if missed == 1:
                log.warning("slack.disconnected")
            if missed >= MISSED_LOOKS:
                self._socket.wss_uri = None
                missed = 0


async def check_channel(client: AsyncWebClient, channel: str) -> str | None:
    """Return what is wrong with a channel, in one sentence, or None: also when Slack cannot say it now."""
    try:
        answer = await client.conversations_info(channel=channel)
    except CALL_ERRORS as error:
        result = classify(error, "conversations.info")
        if isinstance(result, Refused) and result.reason in {Reason.CHANNEL, Reason.CONTENT}:
            return f"Channel {channel}: {result.detail}. Use the channel's ID (C...), not its name."
        log.warning("slack.channel_unchecked", channel=channel, outcome=repr(result))
        return None
    if (answer.get("channel") or {}).get("is_archived"):
        return f"Channel {channel} is archived: unarchive it or choose another."
    return None
