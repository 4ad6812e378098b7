"""The local Slack as one object without I/O: state, Web API, Socket Mode, and people who act.

`workspace_server.WorkspaceServer` puts it on the network; tests may call it without any.
"""

from collections.abc import Iterable
from datetime import datetime

from bot.sandbox.interactions import Interaction, Interactions
from bot.sandbox.messages import Json, Message
from bot.sandbox.reading import visible_text
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.team import AppConnections, Channel, Team, User, View
from bot.sandbox.webapi.answers import ApiResponse
from bot.sandbox.webapi.dispatch import WebApi
from bot.sandbox.webapi.scopes import ALL_SCOPES

__all__ = ["ApiResponse", "Channel", "Interaction", "Message", "User", "Workspace", "visible_text"]

BOT_TOKEN = "xoxb-local"  # noqa: S105 - opens nothing but this stand-in
APP_TOKEN = "xapp-local"  # noqa: S105 - nor does this


class Workspace(Team):
    """One workspace with one installed app and a person who looks at it (`person`).

    Parts for tests: `api` (its `trouble`, `limits`, `scopes`, `journal`, `dead_token`) and `sockets` (its
    `envelopes`, `acks`, `ask_to_leave`).
    """

    def __init__(
        self,
        *,
        bot_token: str = BOT_TOKEN,
        app_token: str = APP_TOKEN,
        scopes: Iterable[str] = ALL_SCOPES,
        bot_name: str = "obdag",
        person: str = "you",
    ) -> None:
        super().__init__(bot_name=bot_name, person=person)
        self.bot_token, self.app_token = bot_token, app_token
        self.sockets = SocketMode(changed=lambda count: self.publish(AppConnections(count)))
        self.api = WebApi(self, self.sockets, bot_token=bot_token, app_token=app_token, scopes=scopes)
        self.interactions = Interactions(self, self.sockets, self.api.triggers)

    def call(self, method: str, params: Json, token: str | None, now: datetime) -> ApiResponse:
        """Answer one call of the Web API."""
        return self.api.call(method, params, token, now)

    def respond(self, url: str, body: Json, now: datetime) -> ApiResponse:
        """Answer a POST to a `response_url` (the address or its last part)."""
        return self.interactions.urls.take(url, body, now)

    def receive(self, connection: int, text: str, now: datetime) -> None:
        """Take what the app sent over a Socket Mode connection."""
        if ack := self.sockets.received(connection, text):
            self.interactions.acknowledged(ack, now)

    # what people do

    def say(
        self,
        channel: str,
        text: str,
        now: datetime,
        *,
        user: str | None = None,
        thread_ts: str | None = None,
        subtype: str | None = None,
    ) -> Message:
        """Post as a person; a mention of the bot, or a direct message to it, also becomes an event."""
        author = user or self.person.id
        message = self.add_message(
            Message(
                channel=channel,
                ts=self.next_ts(now),
                user=author,
                text=text,
                thread_ts=thread_ts,
                subtype=subtype,
            )
        )
        event: Json = {"channel": channel, "user": author, "text": text, "ts": message.ts}
        if thread_ts:
            event["thread_ts"] = thread_ts
        if self.channels[channel].kind == "im":
            self.event({"type": "message", "channel_type": "im", **event}, now)
        elif f"<@{self.bot.id}>" in text and self.bot.id in self.channels[channel].members:
            self.event({"type": "app_mention", **event}, now)
        return message

    def slash_command(
        self, channel: str, text: str, now: datetime, *, user: str | None = None, command: str = "/obdag"
    ) -> Interaction:
        """Type a slash command."""
        return self.interactions.slash_command(user or self.person.id, channel, command, text, now)

    def block_action(
        self, channel: str, ts: str, action: Json, now: datetime, *, user: str | None = None
    ) -> Interaction:
        """Use an element of a message: `action` has `action_id`, `block_id`, `type` and its value.

        Raises `KeyError` when there is no such message.
        """
        message = self.message(channel, ts) or self.ephemeral(ts)
        if message is None:
            raise KeyError(ts)
        stamped = {"action_ts": self.next_ts(now), **action}
        return self.interactions.block_action(user or self.person.id, message, stamped, now)

    def view_action(
        self, view_id: str, action: Json, now: datetime, *, user: str | None = None
    ) -> Interaction:
        """Use an element of a modal or home view. Raises `KeyError` when it is not open."""
        person = user or self.person.id
        stamped = {"action_ts": self.next_ts(now), **action}
        return self.interactions.view_action(person, self.open_view(person, view_id), stamped, now)

    def view_submission(
        self, view_id: str, values: Json, now: datetime, *, user: str | None = None
    ) -> Interaction:
        """Submit a modal: `values` by block id, then action id. Raises `KeyError` when it is not open."""
        person = user or self.person.id
        return self.interactions.view_submission(person, self.open_view(person, view_id), values, now)

    def close_view(self, now: datetime, *, user: str | None = None) -> Interaction | None:
        """Close the top modal of a person."""
        return self.interactions.close_view(user or self.person.id, now)

    def open_view(self, user: str, view_id: str) -> View:
        """Return an open modal or the home view of a person by its id; raises `KeyError`."""
        home = self.homes.get(user)
        for view in [*self.views.get(user, []), *([home] if home else [])]:
            if view.id == view_id:
                return view
        raise KeyError(view_id)

    def app_home_opened(self, now: datetime, *, user: str | None = None, tab: str = "home") -> Interaction:
        """Open the app's home."""
        person = user or self.person.id
        channel = self.direct_channel([person]).id
        return self.event({"type": "app_home_opened", "user": person, "channel": channel, "tab": tab}, now)

    def event(self, event: Json, now: datetime) -> Interaction:
        """Send any event of the Events API (the inner one; the outer fields are added)."""
        return self.interactions.event(event, now)

    def expire(self, interaction: Interaction, now: datetime) -> None:
        """End an act that the app did not acknowledge within three seconds."""
        self.interactions.expire(interaction, now)
