"""The state of the local Slack: people, channels, messages, views, and who listens to changes.

Nothing here reads a clock or does I/O: every act takes `now`. Message ids (`ts`) are strings made from `now`,
unique and rising over the whole team.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from bot.sandbox.messages import File, Json, Message, Version

KEPT_VERSIONS = 1000
LAST_MICROSECOND = 999_999
Listener = Callable[["Change"], None]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person or a bot."""

    id: str
    name: str
    real_name: str
    is_bot: bool = False


class Channel(msgspec.Struct, kw_only=True):
    """A conversation; `kind` is `channel`, `im` or `mpim`. `members` are user ids, the bot's among them."""

    id: str
    name: str
    private: bool = False
    archived: bool = False
    kind: str = "channel"
    members: set[str] = msgspec.field(default_factory=set)
    read_only: bool = False


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A modal or a home view that a person sees."""

    id: str
    user: str
    body: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    channel: str | None = None


class Posted(msgspec.Struct, frozen=True):
    """A new message that all members of the channel see."""

    message: Message


class Edited(msgspec.Struct, frozen=True):
    """A message was replaced in place."""

    before: Message
    message: Message


class Deleted(msgspec.Struct, frozen=True):
    """A message is gone; where replies keep its place, `placeholder` stands there."""

    message: Message
    placeholder: Message | None = None


class Ephemeral(msgspec.Struct, frozen=True):
    """A message that only `message.visible_to` sees: new, or replaced."""

    message: Message


class EphemeralGone(msgspec.Struct, frozen=True):
    """An ephemeral message was taken away."""

    message: Message


class ViewsChanged(msgspec.Struct, frozen=True):
    """A person's stack of modals or home view is another one now."""

    user: str


class ChannelChanged(msgspec.Struct, frozen=True):
    """A channel was made, joined, archived or renamed."""

    channel: Channel


class AppConnections(msgspec.Struct, frozen=True):
    """The app connected over Socket Mode, or lost a connection: how many it has now."""

    count: int


Change = (
    Posted | Edited | Deleted | Ephemeral | EphemeralGone | ViewsChanged | ChannelChanged | AppConnections
)

SLACKBOT = User(id="USLACKBOT", name="slackbot", real_name="Slackbot", is_bot=True)


class Team:
    """People, channels and messages of one workspace with one installed app."""

    def __init__(self, *, bot_name: str = "obdag", person: str = "you") -> None:
        self.id = "T0LOCAL"
        self.app_id = "A0LOCAL"
        self.bot_id = "B0LOCAL"
        self.bot = User(id="U0BOT", name=bot_name, real_name=bot_name, is_bot=True)
        self.users: dict[str, User] = {self.bot.id: self.bot, SLACKBOT.id: SLACKBOT}
        self.channels: dict[str, Channel] = {}
        self.views: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.home_enabled = True
        self.base_url = "http://127.0.0.1/"
        self._messages: dict[str, dict[str, Message]] = {}
        self._replies: dict[tuple[str, str], list[str]] = {}
        self._ephemerals: dict[str, Message] = {}
        self._listeners: list[Listener] = []
        self._last_ts = (0, 0)
        self._serials: dict[str, int] = {}
        self.person = self.add_user(person, real_name=person.capitalize())

    # who listens

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each change from now on; returns the way to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, change: Change) -> None:
        """Tell all listeners."""
        for listener in tuple(self._listeners):
            listener(change)

    # people and places

    def serial(self, prefix: str) -> str:
        """Return a new id with this prefix."""
        self._serials[prefix] = self._serials.get(prefix, 0) + 1
        return f"{prefix}{self._serials[prefix]:08d}"

    def add_user(self, name: str, *, real_name: str | None = None) -> User:
        """Add a person, who joins every open public channel."""
        user = User(id=self.serial("U"), name=name, real_name=real_name or name)
        self.users[user.id] = user
        for channel in self.channels.values():
            if channel.kind == "channel" and not channel.private:
                channel.members.add(user.id)
        return user

    def add_channel(
        self,
        name: str,
        *,
        channel_id: str | None = None,
        private: bool = False,
        archived: bool = False,
        bot_is_member: bool = True,
        kind: str = "channel",
    ) -> Channel:
        """Make a conversation with all people in it, and the bot if wanted."""
        members = {user.id for user in self.users.values() if not user.is_bot}
        if bot_is_member:
            members.add(self.bot.id)
        prefix = {"im": "D", "mpim": "G"}.get(kind, "C")
        channel = Channel(
            id=channel_id or self.serial(prefix),
            name=name,
            private=private or kind != "channel",
            archived=archived,
            kind=kind,
            members=members,
        )
        self.channels[channel.id] = channel
        self._messages[channel.id] = {}
        self.publish(ChannelChanged(channel))
        return channel

    def direct_channel(self, users: Iterable[str]) -> Channel:
        """Return the conversation of the bot with these people, made when it does not exist yet."""
        people = {self.bot.id, *users}
        for channel in self.channels.values():
            if channel.kind != "channel" and channel.members == people:
                return channel
        names = sorted(self.users[user].name for user in people - {self.bot.id})
        channel = self.add_channel(", ".join(names), kind="im" if len(names) == 1 else "mpim")
        channel.members = people
        return channel

    def join(self, channel: Channel, user: str) -> None:
        """Make a user a member."""
        channel.members.add(user)
        self.publish(ChannelChanged(channel))

    def leave(self, channel: Channel, user: str) -> None:
        """End a membership (or remove the bot)."""
        channel.members.discard(user)
        self.publish(ChannelChanged(channel))

    def archive(self, channel: Channel) -> None:
        """Archive a channel: nothing can be posted there any more."""
        channel.archived = True
        self.publish(ChannelChanged(channel))

    # messages

    def next_ts(self, now: datetime) -> str:
        """Return the id of a message made now: unique, and greater than any before it."""
        whole = int(now.timestamp())
        stamp = max((whole, now.microsecond), (self._last_ts[0], self._last_ts[1] + 1))
        if stamp[1] > LAST_MICROSECOND:
            stamp = (stamp[0] + 1, 0)
        self._last_ts = stamp
        return f"{stamp[0]}.{stamp[1]:06d}"

    def add_message(self, message: Message) -> Message:
        """Keep a new message and tell listeners."""
        self._messages[message.channel][message.ts] = message
        if message.thread_ts:
            self._replies.setdefault((message.channel, message.thread_ts), []).append(message.ts)
        self.publish(Posted(message))
        return message

    def replace_message(self, before: Message, after: Message, *, edited: bool = True) -> Message:
        """Put `after` in the place of `before`; an edit is counted and what was there is kept."""
        if edited:
            history = (*before.history[1 - KEPT_VERSIONS :], Version(before.text, before.blocks))
            after = msgspec.structs.replace(after, edits=before.edits + 1, history=history)
        self._messages[after.channel][after.ts] = after
        self.publish(Edited(before, after))
        return after

    def remove_message(self, message: Message) -> None:
        """Delete a message; a parent whose replies stay leaves a placeholder."""
        room = self._messages[message.channel]
        if not self.replies(message.channel, message.ts):
            del room[message.ts]
            if message.thread_ts:
                self._replies[message.channel, message.thread_ts].remove(message.ts)
            self.publish(Deleted(message))
            return
        placeholder = Message(
            channel=message.channel,
            ts=message.ts,
            user=SLACKBOT.id,
            text="This message was deleted.",
            subtype="tombstone",
        )
        room[message.ts] = placeholder
        self.publish(Deleted(message, placeholder))

    def message(self, channel: str, ts: str) -> Message | None:
        """Return a message that all can see."""
        return self._messages.get(channel, {}).get(ts)

    def all_messages(self, channel: str) -> list[Message]:
        """Return every message of a channel, replies among them, in the order of their ids."""
        return list(self._messages.get(channel, {}).values())

    def channel_messages(self, channel: str) -> list[Message]:
        """Return what stands in the channel itself, in order: of the replies, only those broadcast."""
        return [m for m in self.all_messages(channel) if m.thread_ts is None or m.broadcast]

    def replies(self, channel: str, ts: str) -> list[Message]:
        """Return the replies of a thread, in order."""
        return [self._messages[channel][reply] for reply in self._replies.get((channel, ts), ())]

    def thread(self, channel: str, ts: str) -> list[Message]:
        """Return a parent (if it is still there) and its replies, in order."""
        parent = self.message(channel, ts)
        return ([parent] if parent else []) + self.replies(channel, ts)

    def show_ephemeral(self, message: Message) -> Message:
        """Show a message to one person, new or in the place of an earlier one with the same `ts`."""
        self._ephemerals[message.ts] = message
        self.publish(Ephemeral(message))
        return message

    def hide_ephemeral(self, ts: str) -> None:
        """Take an ephemeral message away."""
        if message := self._ephemerals.pop(ts, None):
            self.publish(EphemeralGone(message))

    def ephemeral(self, ts: str) -> Message | None:
        """Return an ephemeral message by its id."""
        return self._ephemerals.get(ts)

    def ephemerals(self, channel: str, user: str | None = None) -> list[Message]:
        """Return the ephemeral messages of a channel, for one user or for all, in order."""
        return [m for m in self._ephemerals.values() if m.channel == channel and user in {None, m.visible_to}]

    def files(self, channel: str) -> list[File]:
        """Return all files shared in a channel."""
        return [file for message in self.all_messages(channel) for file in message.files]


def sort_key(ts: str) -> tuple[int, int]:
    """Return what orders message ids; never a float, which would lose digits."""
    whole, _, rest = ts.partition(".")
    return int(whole or 0), int((rest or "0").ljust(6, "0"))
