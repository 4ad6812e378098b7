"""The page's pieces that change: messages, threads, the channel list, modals and the home view, as HTML."""

from datetime import UTC, datetime

from bot.sandbox.markup import Html, el, join
from bot.sandbox.messages import Json, Message
from bot.sandbox.page_blocks import blocks_html
from bot.sandbox.page_text import emoji, lines, moment, mrkdwn_html
from bot.sandbox.reading import visible_text
from bot.sandbox.team import Channel, Team, User, View, sort_key

SHOWN = 300
"""How many of a channel's last messages are on the page."""


def channel_html(team: Team, channel: Channel, viewer: str) -> Html:
    """Return what stands in a channel for a viewer: messages and that person's ephemeral ones, in order."""
    messages = [*team.channel_messages(channel.id)[-SHOWN:], *_private(team, channel.id, viewer)]
    if not messages:
        return el("li", "Nothing has been said here yet.", class_="empty")
    return join(message_html(team, m) for m in sorted(messages, key=lambda m: sort_key(m.ts)))


def _private(team: Team, channel: str, viewer: str) -> list[Message]:
    return [m for m in team.ephemerals(channel, viewer) if m.thread_ts is None]


def thread_html(team: Team, channel: str, ts: str, viewer: str) -> Html:
    """Return a thread: the parent, and its replies in order."""
    private = [m for m in team.ephemerals(channel, viewer) if m.thread_ts == ts]
    messages = sorted([*team.thread(channel, ts), *private], key=lambda m: sort_key(m.ts))
    return join(message_html(team, m, in_thread=True) for m in messages)


def message_html(team: Team, message: Message, *, in_thread: bool = False) -> Html:
    """Return one message, as it stands in its channel or in its thread."""
    author = team.users.get(message.user, team.bot)
    body = el("div", _content(team, message), class_="body")
    replies = None if in_thread else _replies_button(team, message)
    return el(
        "li",
        el(
            "div",
            author.name[:1].upper(),
            class_="avatar app" if author.is_bot else "avatar",
            aria_hidden="true",
        ),
        el(
            "div",
            _notes(team, message, in_thread=in_thread),
            _meta(author, message),
            body,
            replies,
            class_="grow",
        ),
        id=f"{'t' if in_thread else 'm'}-{message.channel}-{message.ts}",
        class_=_classes(message),
        data_ts=message.ts,
        data_channel=message.channel,
    )


def _classes(message: Message) -> str:
    private = " private" if message.visible_to else ""
    return f"msg{private}{' gone' if message.deleted else ''}"


def _notes(team: Team, message: Message, *, in_thread: bool) -> Html | None:
    """Return the line above a message that says what is special about it."""
    if message.visible_to:
        return el("div", "Only visible to you", class_="note")
    if message.broadcast and in_thread:
        return el("div", "Also sent to the channel", class_="note")
    if message.broadcast and message.thread_ts:
        parent = team.message(message.channel, message.thread_ts)
        about = visible_text(parent).partition("\n")[0] if parent else "a thread"
        button = el("button", about, type="button", class_="quiet", data_thread=message.thread_ts)
        return el("div", "replied to a thread: ", button, class_="note")
    return None


def _meta(author: User, message: Message) -> Html:
    badge = el("span", "APP", class_="badge") if author.is_bot else None
    seconds = int(message.ts.partition(".")[0])
    utc = datetime.fromtimestamp(seconds, UTC).strftime("%H:%M UTC")
    edited = el("span", "(edited)", class_="edited") if message.edited_mark and message.edits else None
    return el("div", el("strong", author.name), badge, moment(seconds, "{time}", utc), edited, class_="meta")


def _content(team: Team, message: Message) -> Html:
    blocks = blocks_html(team, message.blocks)
    text = None if blocks else el("div", mrkdwn_html(team, message.text), class_="text")
    attachments = [_attachment(team, a) for a in message.attachments]
    files = [_file(f.id, f.title, len(f.content), f.alt_text) for f in message.files]
    reactions = [el("span", emoji(name), class_="reaction") for name, _ in message.reactions]
    return join([blocks, text, *attachments, *files, *reactions])


def _attachment(team: Team, attachment: Json) -> Html:
    words = [lines(str(attachment[key])) for key in ("title", "text") if attachment.get(key)]
    return el("div", *words, blocks_html(team, attachment.get("blocks", ())), class_="attachment")


def _file(file_id: str, title: str, size: int, alt_text: str | None) -> Html:
    return el("a", f"{title} · {size:,} bytes", href=f"/files/{file_id}", class_="file", title=alt_text)


def _replies_button(team: Team, message: Message) -> Html | None:
    replies = team.replies(message.channel, message.ts)
    if not replies or message.thread_ts:
        return None
    count = f"{len(replies)} {'reply' if len(replies) == 1 else 'replies'}"
    last = int(replies[-1].ts.partition(".")[0])
    utc = datetime.fromtimestamp(last, UTC).strftime("%H:%M UTC")
    when = el("span", "Last reply ", moment(last, "{time}", utc), class_="when")
    return el("button", el("b", count), " ", when, type="button", class_="replies", data_thread=message.ts)


def channels_html(team: Team, viewer: str) -> Html:
    """Return the list of conversations that a viewer is in."""
    seen = [c for c in team.channels.values() if viewer in c.members]
    return join(_channel_item(team, channel) for channel in seen)


def _channel_item(team: Team, channel: Channel) -> Html:
    direct = channel.kind != "channel"
    name = team.bot.name if direct else channel.name
    sign = "" if direct else "🔒" if channel.private else "#"
    archived = el("span", " archived", class_="hint") if channel.archived else None
    label = el("span", name, class_="name")
    icon = el("span", sign or "●", class_="sign", aria_hidden="true")
    link = el("a", icon, label, archived, href=f"#{channel.id}", data_channel=channel.id, data_name=name)
    return el("li", link)


def modal_html(team: Team, view: View) -> Html:
    """Return a modal as the inside of a dialog: its form, with title, blocks and buttons."""
    body = view.body
    title = el("h2", str(body["title"]["text"]), id="modal-title")
    close = el("button", "✕", type="button", class_="quiet", data_close="1", aria_label="Close")
    cancel_text = str((body.get("close") or {}).get("text") or "Close")
    buttons = [el("button", cancel_text, type="button", class_="btn", data_close="1")]
    if body.get("submit"):
        buttons.append(el("button", str(body["submit"]["text"]), type="submit", class_="btn primary"))
    return el(
        "form",
        el("header", title, close),
        el("div", blocks_html(team, body["blocks"]), class_="modal-body"),
        el("footer", *buttons),
        method="dialog",
        data_view=view.id,
    )


def home_html(team: Team, view: View | None) -> Html:
    """Return a person's home view, or a word that there is none yet."""
    if view is None:
        return el("p", "The app has not published a home view.", class_="empty")
    return el("div", blocks_html(team, view.body["blocks"]), data_view=view.id, class_="home")
