"""The real slack_sdk and slack_bolt against the local Slack's server."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.http_retry.interval_calculator import RetryIntervalCalculator
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.messages import Json
from bot.sandbox.team import Change, Ephemeral, Posted
from bot.sandbox.webapi.trouble import BrokenJson, Delay, DropAfter, DropBefore, HttpStatus, RateLimited
from bot.sandbox.workspace import Workspace, visible_text
from bot.sandbox.workspace_server import WorkspaceServer
from tests.sandbox.slack_payloads import actions, button, modal, section

CHANNEL = "C1"
META = {"event_type": "notice_sent", "event_payload": {"id": "n1"}}
PATIENCE_S = 10.0


@pytest.fixture
async def server() -> AsyncIterator[WorkspaceServer]:
    """Give a served workspace with one channel."""
    workspace = Workspace()
    workspace.add_channel("ops", channel_id=CHANNEL)
    async with WorkspaceServer(workspace) as server:
        yield server


@pytest.fixture
def slack(server: WorkspaceServer) -> Workspace:
    """Give the workspace behind the server."""
    return server.workspace


@pytest.fixture
def client(server: WorkspaceServer) -> AsyncWebClient:
    """Give the SDK's client, which sends nothing again by itself."""
    client = AsyncWebClient(token=server.workspace.bot_token, base_url=server.api_url, retry_handlers=[])
    client.proxy = None
    return client


class Heard:
    """Waits for changes of a workspace."""

    def __init__(self, slack: Workspace) -> None:
        self.slack = slack
        self.changes: asyncio.Queue[Change] = asyncio.Queue()
        slack.subscribe(self.changes.put_nowait)

    async def connection_other_than(self, before: tuple[int, ...]) -> None:
        """Wait until the app has a connection that is none of these."""
        async with asyncio.timeout(PATIENCE_S):
            while not set(self.slack.sockets.connections) - set(before):
                await self.changes.get()

    async def words(self) -> str:
        """Return what the next new message says."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                change = await self.changes.get()
                if isinstance(change, Posted | Ephemeral):
                    return visible_text(change.message)


@pytest.fixture
def heard(slack: Workspace) -> Heard:
    """Give a listener."""
    return Heard(slack)


@pytest.fixture
async def bolt(client: AsyncWebClient, slack: Workspace) -> AsyncIterator[AsyncApp]:
    """Give a connected bolt app without listeners."""
    app = AsyncApp(client=client)
    handler = AsyncSocketModeHandler(app, slack.app_token)
    await asyncio.wait_for(handler.connect_async(), PATIENCE_S)  # type: ignore[no-untyped-call]
    yield app
    await handler.close_async()  # type: ignore[no-untyped-call]
    await handler.client.close()  # type: ignore[no-untyped-call]


async def test_post_update_history(client: AsyncWebClient, slack: Workspace) -> None:
    """The SDK posts with blocks and metadata, edits, and reads both back."""
    posted = await client.chat_postMessage(
        channel=CHANNEL, text="1/9", blocks=[section("*1*/9")], metadata=META, unfurl_links=False
    )
    await client.chat_update(channel=CHANNEL, ts=str(posted["ts"]), text="2/9", blocks=[section("*2*/9")])
    history = await client.conversations_history(channel=CHANNEL, include_all_metadata=True, limit=15)
    (message,) = history["messages"]
    assert (message["text"], message["metadata"]) == ("2/9", META)
    assert visible_text(slack.channel_messages(CHANNEL)[0]) == "2/9"


async def test_thread_paging(client: AsyncWebClient) -> None:
    """The SDK's own paging reads a thread to its end."""
    root = str((await client.chat_postMessage(channel=CHANNEL, text="root"))["ts"])
    for i in range(4):
        await client.chat_postMessage(channel=CHANNEL, text=str(i), thread_ts=root)
    seen: list[str] = []
    async for page in await client.conversations_replies(channel=CHANNEL, ts=root, limit=3):
        seen += [m["text"] for m in page["messages"][1:]]
    assert seen == ["0", "1", "2", "3"]


async def test_refusals_are_slack_errors(client: AsyncWebClient) -> None:
    """A refusal is a `SlackApiError` with Slack's word."""
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C404", text="x")
    assert refused.value.response["error"] == "channel_not_found"


async def test_auth_test(client: AsyncWebClient, slack: Workspace) -> None:
    """The scopes come in a header."""
    answer = await client.auth_test()
    assert answer["user_id"] == slack.bot.id
    assert "chat:write" in answer.headers["x-oauth-scopes"]


async def test_upload(client: AsyncWebClient, slack: Workspace, server: WorkspaceServer) -> None:
    """The SDK's three-step upload puts a file into a thread, and the page serves it as text."""
    root = str((await client.chat_postMessage(channel=CHANNEL, text="root"))["ts"])
    await client.files_upload_v2(
        channel=CHANNEL, thread_ts=root, filename="a.txt", content="<b>log", title="Log"
    )
    (file,) = slack.thread(CHANNEL, root)[1].files
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}files/{file.id}") as answer:
        assert (answer.content_type, await answer.text()) == ("text/plain", "<b>log")


async def test_dropped_after_creation(client: AsyncWebClient, slack: Workspace) -> None:
    """The connection dies after the message was made: the SDK raises, the message is there."""
    slack.api.trouble.add("chat.postMessage", DropAfter())
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=CHANNEL, text="x")
    assert [m.text for m in slack.channel_messages(CHANNEL)] == ["x"]


async def test_default_retry_posts_twice(server: WorkspaceServer, slack: Workspace) -> None:
    """The SDK's default handler sends again what was made already: that is why the product turns it off."""
    careless = AsyncWebClient(token=slack.bot_token, base_url=server.api_url)
    careless.proxy = None
    for handler in careless.retry_handlers:
        handler.interval_calculator = _Now()
    slack.api.trouble.add("chat.postMessage", DropAfter())
    await careless.chat_postMessage(channel=CHANNEL, text="x")
    assert len(slack.channel_messages(CHANNEL)) == 2


class _Now(RetryIntervalCalculator):
    """Waits for nothing between attempts."""

    def calculate_sleep_duration(self, current_attempt: int) -> float:  # noqa: ARG002 - the SDK's interface
        return 0.0


async def test_dropped_before(client: AsyncWebClient, slack: Workspace) -> None:
    """The connection dies before anything was done."""
    slack.api.trouble.add("chat.postMessage", DropBefore())
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=CHANNEL, text="x")
    assert slack.channel_messages(CHANNEL) == []


@pytest.mark.parametrize("empty", [True, False])
async def test_rate_limited(client: AsyncWebClient, slack: Workspace, *, empty: bool) -> None:
    """A 429 arrives with its header, with a body or without."""
    slack.api.trouble.add("chat.postMessage", RateLimited(30, empty=empty))
    with pytest.raises(SlackApiError) as limited:
        await client.chat_postMessage(channel=CHANNEL, text="x")
    assert limited.value.response.status_code == 429
    assert limited.value.response.headers["Retry-After"] == "30"


async def test_sdk_waits_out_a_limit(client: AsyncWebClient, slack: Workspace) -> None:
    """The SDK's own 429 handler gets through at its second attempt."""
    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(interval_calculator=_Now()))
    slack.api.trouble.add("auth.test", RateLimited(0))
    assert (await client.auth_test())["ok"]
    assert [c.outcome for c in slack.api.calls("auth.test")] == ["ratelimited", "ok"]


async def test_server_error(client: AsyncWebClient, slack: Workspace) -> None:
    """A 503 of a proxy has no JSON."""
    slack.api.trouble.add("auth.test", HttpStatus(503))
    with pytest.raises(SlackApiError) as failed:
        await client.auth_test()
    assert (failed.value.response.status_code, failed.value.response.data) == (503, {})


async def test_broken_json(client: AsyncWebClient, slack: Workspace) -> None:
    """An answer that cannot be read is an error of the SDK, and the message is there."""
    slack.api.trouble.add("chat.postMessage", BrokenJson())
    with pytest.raises(SlackApiError):
        await client.chat_postMessage(channel=CHANNEL, text="x")
    assert len(slack.channel_messages(CHANNEL)) == 1


async def test_slow_answer(client: AsyncWebClient, slack: Workspace) -> None:
    """An answer that takes longer than the client waits is a timeout; the message is there."""
    client.timeout = 0.05  # type: ignore[assignment] # the SDK passes it to aiohttp, which takes fractions
    slack.api.trouble.add("chat.postMessage", Delay(0.3))
    with pytest.raises(TimeoutError):
        await client.chat_postMessage(channel=CHANNEL, text="x")
    assert len(slack.channel_messages(CHANNEL)) == 1


async def test_command(bolt: AsyncApp, server: WorkspaceServer, heard: Heard) -> None:
    """A bolt command answers with its acknowledgement and, later, through the response address."""

    @bolt.command("/obdag")
    async def obdag(ack: AsyncAck, respond: AsyncRespond, command: Json) -> None:
        await ack(text=f"you said {command['text']}")
        await respond(text="and more")

    act = await server.slash_command(CHANNEL, "status")
    assert act.outcome == "acked"
    # bolt sends the two over different connections, so either may come first
    assert {await heard.words(), await heard.words()} == {"you said status", "and more"}


@pytest.mark.usefixtures("bolt")
async def test_command_without_listener(slack: Workspace) -> None:
    """A command that the app does not know is not acknowledged, and the person is told."""
    async with WorkspaceServer(slack, ack_s=0.05) as impatient:
        act = await impatient.slash_command(CHANNEL, "", command="/other")
    assert act.outcome == "operation_timeout"
    assert "operation_timeout" in slack.ephemerals(CHANNEL)[0].text


async def test_command_without_app(server: WorkspaceServer) -> None:
    """Without an app the command fails at once."""
    assert (await server.slash_command(CHANNEL, "")).outcome == "dispatch_failed"


async def test_button_opens_a_modal(bolt: AsyncApp, server: WorkspaceServer, client: AsyncWebClient) -> None:
    """A press reaches the app, which opens a modal with its trigger id."""

    @bolt.action("details")
    async def details(ack: AsyncAck, body: Json, client: AsyncWebClient) -> None:
        await client.views_open(trigger_id=body["trigger_id"], view=modal(section("the details")))
        await ack()

    slack = server.workspace
    blocks = [actions(button("details"))]
    posted = await client.chat_postMessage(channel=CHANNEL, text="x", blocks=blocks)
    action = {"type": "button", "action_id": "details", "block_id": "b"}
    act = slack.block_action(CHANNEL, str(posted["ts"]), action, server.now())
    assert (await server.settled(act)).outcome == "acked"
    assert slack.views[slack.person.id][0].body["blocks"] == [section("the details")]


async def test_event(bolt: AsyncApp, server: WorkspaceServer, heard: Heard) -> None:
    """An event reaches its listener."""

    @bolt.event("app_mention")
    async def mentioned(event: Json, client: AsyncWebClient) -> None:
        await client.chat_postMessage(channel=event["channel"], text="here", thread_ts=event["ts"])

    server.workspace.say(CHANNEL, f"<@{server.workspace.bot.id}> hi", server.now())
    assert await heard.words() == f"@{server.workspace.bot.id} hi"
    assert await heard.words() == "here"


async def test_app_reconnects_when_asked(bolt: AsyncApp, server: WorkspaceServer, heard: Heard) -> None:
    """After `refresh_requested` the app comes back on a new connection and serves on."""

    @bolt.command("/obdag")
    async def obdag(ack: AsyncAck) -> None:
        await ack(text="still here")

    first = server.workspace.sockets.connections
    server.workspace.sockets.ask_to_leave("refresh_requested")
    await heard.connection_other_than(first)
    await server.slash_command(CHANNEL, "")
    assert await heard.words() == "still here"


async def test_tickets_work_once(server: WorkspaceServer, slack: Workspace) -> None:
    """A connection needs a fresh ticket."""
    url = f"{server.url}link?ticket={slack.sockets.ticket()}"
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(url)


@pytest.mark.parametrize(("host", "status"), [("localhost:1", 200), ("evil.example:80", 403), ("", 403)])
async def test_only_loopback_names(server: WorkspaceServer, host: str, status: int) -> None:
    """A name that is not this machine's own is refused, so rebinding a name does not help."""
    async with aiohttp.ClientSession() as http, http.get(server.url, headers={"Host": host}) as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
async def test_only_the_page_itself_acts(
    server: WorkspaceServer, headers: dict[str, str], status: int
) -> None:
    """Other web sites cannot act for the person."""
    body = b'{"channel": "C1", "text": "hi"}'
    headers = {"Content-Type": "application/json", **headers}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.url}page/send", data=body, headers=headers) as answer,
    ):
        assert answer.status == status
    assert len(server.workspace.channel_messages(CHANNEL)) == (status == 200)


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_other_sites_cannot_call_the_api(server: WorkspaceServer, headers: dict[str, str]) -> None:
    """Even with the token, a page elsewhere cannot make the browser post."""
    params = {"token": server.workspace.bot_token, "channel": CHANNEL, "text": "x"}
    async with aiohttp.ClientSession() as http:
        for ask in (http.get, http.post):
            async with ask(f"{server.api_url}chat.postMessage", params=params, headers=headers) as answer:
                assert answer.status == 403
    assert server.workspace.channel_messages(CHANNEL) == []


async def test_taken_port(server: WorkspaceServer) -> None:
    """A port in use is an `OSError`, and nothing is left behind."""
    port = int(server.url.rpartition(":")[2].rstrip("/"))
    with pytest.raises(OSError, match="address already in use"):
        await WorkspaceServer(Workspace(), port=port).start()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("send", b"not json", 400),
        ("send", b"[]", 400),
        ("send", b'{"channel": "C404", "text": "x"}', 400),
        ("send", b'{"channel": "C1", "text": " "}', 400),
        ("action", b"{}", 400),
        ("action", b'{"action": {}, "ts": "1.0", "channel": "C1"}', 200),
        ("submit", b'{"view": "V404"}', 200),
    ],
)
async def test_odd_requests_of_the_page(server: WorkspaceServer, path: str, body: bytes, status: int) -> None:
    """Odd requests are answered, never crash the server."""
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.url}page/{path}", data=body, headers=headers) as answer,
    ):
        assert answer.status == status


async def test_permalink_leads_to_the_page(client: AsyncWebClient) -> None:
    """A message's address leads to its thread on the page."""
    root = str((await client.chat_postMessage(channel=CHANNEL, text="root"))["ts"])
    reply = str((await client.chat_postMessage(channel=CHANNEL, text="r", thread_ts=root))["ts"])
    link = str((await client.chat_getPermalink(channel=CHANNEL, message_ts=reply))["permalink"])
    async with aiohttp.ClientSession() as http, http.get(link, allow_redirects=False) as answer:
        assert answer.headers["Location"] == f"/#{CHANNEL}/{root}"


async def test_stream_tells_new_messages(server: WorkspaceServer, client: AsyncWebClient) -> None:
    """The page's stream brings each new message as HTML, escaped."""
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}page/stream") as stream:
        assert await stream.content.readline() == b": hello\n"
        await client.chat_postMessage(channel=CHANNEL, text="a &lt;script&gt; b")
        async with asyncio.timeout(PATIENCE_S):
            while not (line := await stream.content.readline()).startswith(b"data: "):
                pass
    assert b"a &lt;script&gt; b" in line
    assert b"<script>" not in line
