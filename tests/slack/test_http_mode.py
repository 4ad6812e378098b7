"""Slack calling over HTTP: the real bolt behind a real listener, requests signed as Slack signs them."""

import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from slack_sdk.signature import SignatureVerifier

from bot.clock import system_clock
from bot.sandbox.team import Channel
from bot.sandbox.workspace import BOT_TOKEN
from bot.sandbox.workspace_server import WorkspaceServer
from bot.slack.bolt import HttpApp
from bot.slack.notifier import make_client
from tests.slack.test_bolt import Answers, answers, listening, until

__all__ = ["answers"]

SECRET = "made-up-signing-secret"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def slack(server: WorkspaceServer, answers: Answers) -> AsyncIterator[Client]:
    """Return a way to call the app as Slack would."""
    app = HttpApp(make_client(BOT_TOKEN, server.api_url), SECRET, listening(answers))
    await app.start()
    site = web.Application()
    site.router.add_post("/slack/events", app.handle)
    async with TestClient(TestServer(site)) as client:
        yield client
    await app.stop()


def signed(body: str, *, age_s: int = 0, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a request that Slack signed so many seconds ago."""
    stamp = str(int(system_clock().timestamp()) - age_s)
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    kind = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature or "",
        "Content-Type": kind,
    }


def command(server: WorkspaceServer, channel: Channel) -> str:
    """Return the body of a slash command, with an address for its answer."""
    act = server.workspace.slash_command(channel.id, "help", system_clock())
    return urlencode({**act.payload, "command": "/obdag"})


async def test_command_is_answered(server: WorkspaceServer, channel: Channel, slack: Client) -> None:
    """A signed command is acknowledged, and answered at its response address."""
    body = command(server, channel)
    answer = await slack.post("/slack/events", data=body, headers=signed(body))
    assert answer.status == 200
    workspace = server.workspace
    await until(workspace, lambda: bool(workspace.ephemerals(channel.id)))
    assert "/obdag" in workspace.ephemerals(channel.id)[-1].text


async def test_challenge_is_returned(slack: Client) -> None:
    """Slack's check of the address gets its challenge back."""
    body = json.dumps({"type": "url_verification", "challenge": "say this"})
    answer = await slack.post("/slack/events", data=body, headers=signed(body))
    assert (answer.status, await answer.json()) == (200, {"challenge": "say this"})


async def test_event_that_nobody_needs_is_acknowledged(slack: Client) -> None:
    """An unhandled event gets 200, or Slack would send it again and again."""
    body = json.dumps({"type": "event_callback", "event": {"type": "channel_archive", "channel": "C1"}})
    answer = await slack.post("/slack/events", data=body, headers=signed(body))
    assert answer.status == 200


@pytest.mark.parametrize("kind", ["unsigned", "another secret", "old", "another body", "no number"])
async def test_unsigned_or_old_request_is_refused(
    server: WorkspaceServer, channel: Channel, slack: Client, answers: Answers, kind: str
) -> None:
    """What Slack did not sign just now reaches no listener."""
    body = command(server, channel)
    headers = {
        "unsigned": {},
        "another secret": signed(body, secret="another"),
        "old": signed(body, age_s=301),
        "another body": signed(body + "&text=mute"),
        "no number": {**signed(body), "X-Slack-Request-Timestamp": "yesterday"},
    }[kind]
    answer = await slack.post("/slack/events", data=body, headers=headers)
    assert answer.status == 401
    assert answers.asked == []
