import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable

import pytest
import structlog
from aiohttp import web

from bot.clock import system_clock
from bot.core.views import ClusterState, ClusterView, DagView
from bot.sandbox.messages import Message
from bot.sandbox.team import Channel
from bot.sandbox.webapi.trouble import HttpStatus
from bot.sandbox.workspace import APP_TOKEN, BOT_TOKEN, Workspace
from bot.sandbox.workspace_server import WorkspaceServer
from bot.slack.bolt import SocketApp
from bot.slack.connection import BadToken, NotReady, check_channel
from bot.slack.listeners import Listeners
from bot.slack.notifier import make_client
from bot.usecases.errors import UnknownCluster, UnknownDag
from tests.slack.conftest import Scripted
from tests.slack.samples import ROOTS, at


class Answers:
    """Plays the rest of obdag."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, ...]] = []
        self.clusters = (
            ClusterView(name="ob-prod", state=ClusterState.OK, checked_at=at(60), dags=(ROOTS["running"],)),
        )
        self.broken = False
        self.gate: asyncio.Event | None = None

    async def unfinished(self, *, cluster: str | None, channel: str | None) -> tuple[ClusterView, ...]:
        """Return the one cluster."""
        self.asked.append((cluster, channel))
        if self.gate:
            await self.gate.wait()
        if self.broken:
            raise RuntimeError("the database is on fire")
        if cluster and cluster != "ob-prod":
            raise UnknownCluster(cluster, near=("ob-prod",))
        return self.clusters

    async def dag(self, *, cluster: str, dag_id: str) -> DagView:
        """Return the one DAG."""
        if dag_id != "1123":
            raise UnknownDag(cluster, dag_id, known=("1123",))
        return ROOTS["running"]


@pytest.fixture
def answers() -> Answers:
    """Return what the app asks."""
    return Answers()


def make_app(url: str, answers: Answers, bot_token: str = BOT_TOKEN, app_token: str = APP_TOKEN) -> SocketApp:
    """Return an app in front of some Slack."""
    client = make_client(bot_token, url)
    return SocketApp(client, app_token, listening(answers), ping_s=0.05)


def listening(answers: Answers) -> Listeners:
    """Return the listeners over what plays the rest of obdag."""
    return Listeners(command="/obdag", queries=answers, clock=lambda: at(65), proxy=None)


@pytest.fixture
async def app(server: WorkspaceServer, answers: Answers) -> AsyncIterator[SocketApp]:
    """Run the app against the local Slack."""
    running = make_app(server.api_url, answers)
    await running.start()
    yield running
    await running.stop()


async def until(workspace: Workspace, reached: Callable[[], bool], limit_s: float = 5.0) -> None:
    """Wait until something is so, looking after each change of the workspace."""
    changed = asyncio.Event()
    unsubscribe = workspace.subscribe(lambda _change: changed.set())
    try:
        async with asyncio.timeout(limit_s):
            while not reached():
                await changed.wait()
                changed.clear()
    finally:
        unsubscribe()


async def ask(server: WorkspaceServer, channel: Channel, text: str) -> Message:
    """Type a command and return the answer that the person sees."""
    workspace = server.workspace
    seen = len(workspace.ephemerals(channel.id))
    act = await server.slash_command(channel.id, text)
    assert act.outcome == "acked"
    await until(workspace, lambda: len(workspace.ephemerals(channel.id)) > seen)
    return workspace.ephemerals(channel.id)[-1]


@pytest.mark.usefixtures("app")
async def test_status(server: WorkspaceServer, channel: Channel, answers: Answers) -> None:
    """An empty command tells what is unfinished, asked for the channel it was typed in."""
    answer = await ask(server, channel, "")
    assert "1 unfinished DAG in 1 cluster" in answer.text
    assert answers.asked == [(None, channel.id)]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("status ob-prod", "1 unfinished DAG in ob-prod"),
        ("status ob-prdo", "Did you mean ob-prod?"),
        ("show ob-prod #1123", "Cluster scale out on ob-prod"),
        ("show ob-prod 7", "Unfinished now: 1123"),
        ("clusters", "1 cluster, none in trouble"),
        ("help", "What you can type"),
        ("mute ob-prod 2h", "not available in this version yet"),
        ("statsu", "Did you mean"),
    ],
)
async def test_answers(server: WorkspaceServer, channel: Channel, text: str, told: str) -> None:
    """Each command is acknowledged and answered to the person alone."""
    assert told in (await ask(server, channel, text)).text


@pytest.mark.usefixtures("app")
async def test_public_answers_stand_in_the_channel(server: WorkspaceServer, channel: Channel) -> None:
    """The last word `public` shows the answer to all."""
    workspace = server.workspace
    await server.slash_command(channel.id, "status public")
    await until(
        workspace, lambda: any("unfinished" in m.text for m in workspace.channel_messages(channel.id))
    )
    assert workspace.ephemerals(channel.id) == []


@pytest.mark.usefixtures("app")
async def test_acknowledged_before_anything_is_looked_up(
    server: WorkspaceServer, channel: Channel, answers: Answers
) -> None:
    """A slow database does not make Slack say that the command failed."""
    answers.gate = asyncio.Event()
    act = await server.slash_command(channel.id, "status")
    assert act.outcome == "acked"
    assert server.workspace.ephemerals(channel.id) == []
    answers.gate.set()
    await until(server.workspace, lambda: bool(server.workspace.ephemerals(channel.id)))


@pytest.mark.usefixtures("app")
async def test_a_bug_is_logged_and_apologised_for(
    server: WorkspaceServer, channel: Channel, answers: Answers
) -> None:
    """The person is not left without an answer, the operator not without a trace."""
    answers.broken = True
    with structlog.testing.capture_logs() as logs:
        answer = await ask(server, channel, "status")
    assert "went wrong" in answer.text
    assert "fire" not in answer.text
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["slack.command_failed"]


@pytest.mark.usefixtures("app")
async def test_buttons_and_events_are_acknowledged(server: WorkspaceServer, channel: Channel) -> None:
    """A press is answered politely, an event of any kind is taken, so that Slack does not send it again."""
    workspace = server.workspace
    message = workspace.say(channel.id, "hello", system_clock())
    press = workspace.block_action(
        channel.id,
        message.ts,
        {"action_id": "details", "block_id": "b", "type": "button", "value": "1"},
        system_clock(),
    )
    assert (await server.settled(press)).outcome == "acked"
    await until(workspace, lambda: bool(workspace.ephemerals(channel.id)))
    assert "does nothing" in workspace.ephemerals(channel.id)[-1].text
    event = workspace.event({"type": "channel_rename", "channel": {"id": channel.id}}, system_clock())
    assert (await server.settled(event)).outcome == "acked"


async def test_stop_lets_a_running_answer_finish(
    server: WorkspaceServer, channel: Channel, answers: Answers
) -> None:
    """A command that was taken is answered although the app is stopping."""
    app = make_app(server.api_url, answers)
    await app.start()
    assert await app.healthy()
    answers.gate = asyncio.Event()
    await server.slash_command(channel.id, "status")
    stopping = asyncio.create_task(app.stop())
    answers.gate.set()
    await stopping
    assert len(server.workspace.ephemerals(channel.id)) == 1
    assert not await app.healthy()


async def test_stop_does_not_wait_for_ever(
    server: WorkspaceServer, channel: Channel, answers: Answers
) -> None:
    """An answer that takes longer than the grace is given up."""
    app = make_app(server.api_url, answers)
    await app.start()
    answers.gate = asyncio.Event()
    await server.slash_command(channel.id, "status")
    async with asyncio.timeout(2):
        await app.stop(grace_s=0.05)
    assert server.workspace.ephemerals(channel.id) == []


@pytest.mark.parametrize(
    ("bot_token", "app_token", "variable"),
    [
        ("xoxb-wrong", APP_TOKEN, "SLACK_BOT_TOKEN"),
        (APP_TOKEN, APP_TOKEN, "SLACK_BOT_TOKEN"),
        (BOT_TOKEN, "xapp-wrong", "SLACK_APP_TOKEN"),
        (BOT_TOKEN, BOT_TOKEN, "SLACK_APP_TOKEN"),
    ],
)
async def test_a_refused_token_is_named(
    server: WorkspaceServer, answers: Answers, bot_token: str, app_token: str, variable: str
) -> None:
    """The error names the setting, and neither token."""
    app = make_app(server.api_url, answers, bot_token, app_token)
    with pytest.raises(BadToken, match=variable) as caught:
        await app.start()
    assert not {bot_token, app_token} & set(str(caught.value).split())
    assert len(set(re.findall(r"SLACK_\w+_TOKEN", str(caught.value)))) == 1
    assert caught.value.variable == variable


async def test_trouble_at_the_start_may_pass(server: WorkspaceServer, answers: Answers) -> None:
    """A Slack that is down is no bad token; the next start works."""
    server.workspace.api.trouble.add("auth.test", HttpStatus(503))
    server.workspace.api.trouble.add("apps.connections.open", HttpStatus(503))
    app = make_app(server.api_url, answers)
    for _ in range(2):
        with pytest.raises(NotReady):
            await app.start()
    await app.start()
    assert await app.healthy()
    await app.stop()


async def test_one_connection_costs_one_address(server: WorkspaceServer, answers: Answers) -> None:
    """Asking for addresses is allowed about once a minute, so the check's own address is used."""
    app = make_app(server.api_url, answers)
    await app.start()
    assert len(server.workspace.api.calls("apps.connections.open")) == 1
    await app.stop()


async def test_a_dead_address_is_given_up(
    server: WorkspaceServer, scripted: Scripted, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK would try one dead address for ever: the watchdog makes it ask for another."""
    caplog.set_level(logging.CRITICAL, "bot.slack.bolt_app")
    scripted.say("auth.test", {"ok": True, "bot_id": "B0", "user_id": "U0", "team_id": "T0"})

    async def live(_request: web.Request) -> web.Response:
        ticket = server.workspace.call("apps.connections.open", {}, APP_TOKEN, at(0))
        return web.json_response(ticket.body)

    dead = {"ok": True, "url": scripted.url.replace("http", "ws") + "gone"}
    scripted.say("apps.connections.open", live, dead, live)
    app = make_app(scripted.url, answers)
    await app.start()
    server.workspace.sockets.ask_to_leave("refresh_requested")
    async with asyncio.timeout(10):
        while len(scripted.called("apps.connections.open")) < 3 or not await app.healthy():  # noqa: ASYNC110 - the SDK tells nobody
            await asyncio.sleep(0.05)
    await app.stop()


async def test_check_channel(server: WorkspaceServer, channel: Channel) -> None:
    """What is wrong with a channel is said in one sentence; trouble of Slack's is not the channel's."""
    client = make_client(BOT_TOKEN, server.api_url)
    assert await check_channel(client, channel.id) is None
    assert "/invite" in str(await check_channel(client, "C0NOWHERE"))
    server.workspace.api.trouble.add("conversations.info", HttpStatus(503))
    assert await check_channel(client, "C0NOWHERE") is None
    server.workspace.archive(channel)
    assert "archived" in str(await check_channel(client, channel.id))
