"""A person at the page, in a real browser, with a small bolt app behind it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.messages import Json
from bot.sandbox.workspace import Workspace
from bot.sandbox.workspace_server import WorkspaceServer
from tests.sandbox.slack_payloads import actions, button, input_block, modal, plain, plan, section, task

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHANNEL = "C1"
Open = Callable[..., Any]


@pytest.fixture
async def server() -> AsyncIterator[WorkspaceServer]:
    """Give a served workspace with two channels."""
    workspace = Workspace()
    workspace.add_channel("ops", channel_id=CHANNEL)
    workspace.add_channel("quiet", channel_id="C2")
    async with WorkspaceServer(workspace, ack_s=1.0) as server:
        yield server


@pytest.fixture
def client(server: WorkspaceServer) -> AsyncWebClient:
    """Give the SDK's client."""
    client = AsyncWebClient(token=server.workspace.bot_token, base_url=server.api_url, retry_handlers=[])
    client.proxy = None
    return client


@pytest.fixture
async def bolt(client: AsyncWebClient, server: WorkspaceServer) -> AsyncIterator[AsyncApp]:
    """Give a connected app that knows one command, one button and one form."""
    app = AsyncApp(client=client)
    submitted: list[Json] = []

    @app.command("/obdag")
    async def obdag(ack: AsyncAck, command: Json) -> None:
        await ack(text="x", blocks=[section(f"*2 unfinished DAGs* ({command['text'] or 'all'})")])

    @app.action("mute")
    async def mute(ack: AsyncAck, body: Json, client: AsyncWebClient) -> None:
        form = modal(section("For how long?"), input_block(), submit=plain("Mute"))
        await client.views_open(trigger_id=body["trigger_id"], view={**form, "callback_id": "mute"})
        await ack()

    @app.view("mute")
    async def muted(ack: AsyncAck, view: Json) -> None:
        value = view["state"]["values"]["b"]["i"]["value"]
        if value == "forever":
            await ack(response_action="errors", errors={"b": "That is too long"})
        else:
            submitted.append(view["state"]["values"])
            await ack()

    handler = AsyncSocketModeHandler(app, server.workspace.app_token)
    await handler.connect_async()  # type: ignore[no-untyped-call]
    yield app
    await handler.close_async()  # type: ignore[no-untyped-call]
    await handler.client.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def chromium() -> Path:
    """Give the browser's program, or fail with the remedy."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is needed for the browser tests: install Debian's package chromium")
    return CHROMIUM


@pytest.fixture
async def at(server: WorkspaceServer, chromium: Path) -> AsyncIterator[Open]:
    """Give a way to open the page at a width; complaints of the browser fail the test."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)

        async def open_page(width: int = 1280, scheme: Any = "light", where: str = "") -> Page:
            page = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page.set_default_timeout(5000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
            await page.goto(server.url + where)
            return page

        yield open_page
        await browser.close()
    assert complaints == []


async def story(client: AsyncWebClient) -> str:
    """Post a root with two replies, one of them broadcast, and return its id."""
    blocks = [
        section("*Scale out* 1/9"),
        plan(task(), title="Stages"),
        actions(button("mute", text=plain("Mute"))),
    ]
    root = str((await client.chat_postMessage(channel=CHANNEL, text="1/9", blocks=blocks))["ts"])
    await client.chat_postMessage(channel=CHANNEL, text="stage 1 done", thread_ts=root)
    await client.chat_postMessage(
        channel=CHANNEL, text="stage 2 failed", thread_ts=root, reply_broadcast=True
    )
    return root


async def test_a_message_and_its_thread(client: AsyncWebClient, at: Open) -> None:
    """A person sees the message, opens its thread with the keyboard, and both change while they look."""
    root = await story(client)
    page = await at()
    messages, replies = page.locator("#messages .msg"), page.locator("#replies .msg")
    await expect(messages).to_have_count(2)
    await page.locator(".replies").focus()
    await page.keyboard.press("Enter")
    await expect(replies).to_have_count(3)
    await client.chat_postMessage(channel=CHANNEL, text="stage 3 done", thread_ts=root)
    await expect(replies).to_have_count(4)
    await expect(messages).to_have_count(2)
    await expect(page.locator("#messages .replies")).to_contain_text("3 replies")
    await client.chat_update(channel=CHANNEL, ts=root, text="9/9", blocks=[section("*Scale out* 9/9")])
    await expect(messages.first).to_contain_text("9/9")
    await expect(replies.first).to_contain_text("9/9")
    await page.keyboard.press("Escape")
    await expect(page.locator("#thread")).to_be_hidden()


@pytest.mark.usefixtures("bolt")
async def test_a_slash_command(at: Open) -> None:
    """A person types a command and sees the answer, which only they see."""
    page = await at()
    await page.get_by_label("Message or /command").fill("/obdag status")
    await page.keyboard.press("Enter")
    answer = page.locator(".msg.private")
    await expect(answer).to_contain_text("2 unfinished DAGs (status)")
    await expect(answer).to_contain_text("Only visible to you")
    await expect(page.get_by_label("Message or /command")).to_have_value("")


async def test_an_app_that_is_away(client: AsyncWebClient, at: Open) -> None:
    """Without an app, a command and a press say so."""
    await story(client)
    page = await at()
    await page.get_by_label("Message or /command").fill("/obdag")
    await page.keyboard.press("Enter")
    await expect(page.locator(".msg.private")).to_contain_text("the app did not answer")
    await page.locator("#messages").get_by_role("button", name="Mute").click()
    await expect(page.locator("#status")).to_contain_text("not connected")


@pytest.mark.usefixtures("bolt")
async def test_a_form(client: AsyncWebClient, at: Open, server: WorkspaceServer) -> None:
    """A button opens a form; its error is shown at the field, and a good value closes it."""
    await story(client)
    page = await at()
    await page.locator("#messages").get_by_role("button", name="Mute").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Label").fill("forever")
    await dialog.get_by_role("button", name="Mute").click()
    await expect(dialog.get_by_role("alert")).to_have_text("That is too long")
    await dialog.get_by_label("Label").fill("1h")
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    assert server.workspace.views[server.workspace.person.id] == []


async def test_talking(at: Open, server: WorkspaceServer) -> None:
    """A person's words are shown as words, and unread channels are marked."""
    page = await at()
    await page.get_by_label("Message or /command").fill("<b>hi</b> & *you*")
    await page.get_by_role("button", name="Send").first.click()
    await expect(page.locator("#messages .text")).to_have_text("<b>hi</b> & you")
    slack = server.workspace
    slack.call("chat.postMessage", {"channel": "C2", "text": "psst"}, slack.bot_token, server.now())
    await expect(page.locator("#channels .unread")).to_have_text("#quiet")
    await page.locator("#channels .unread").click()
    await expect(page.locator("#messages .text")).to_have_text("psst")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_nothing_overflows(client: AsyncWebClient, at: Open, width: int, scheme: str) -> None:
    """Long words wrap: the page is never wider than the screen, with a thread open or not."""
    root = await story(client)
    long = "x" * 2000
    await client.chat_postMessage(channel=CHANNEL, text=long, blocks=[section(f"`{long}`")], thread_ts=root,
                                  reply_broadcast=True)  # fmt: skip
    page = await at(width, scheme, f"#{CHANNEL}/{root}")
    await expect(page.locator("#replies .msg")).to_have_count(4)
    for selector in ("html", "#messages", "#replies"):
        wide = await page.eval_on_selector(selector, "e => e.scrollWidth > e.clientWidth")
        assert not wide, selector


async def test_on_a_phone(client: AsyncWebClient, at: Open) -> None:
    """On a phone the thread covers the channel and can be closed; the channels are behind a button."""
    await story(client)
    page = await at(390)
    await page.locator(".replies").click()
    box = await page.locator("#thread").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    await page.get_by_label("Close the thread").click()
    await page.get_by_role("button", name="Channels").click()
    await page.get_by_role("link", name="quiet").click()
    await expect(page.locator("#title")).to_have_text("# quiet")
