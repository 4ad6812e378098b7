"""What people do to the app: commands, buttons, forms. Each becomes an envelope, and gets an answer or not.

The caller of `Interactions` drives time: an act that the app did not acknowledge within `ACK_S` seconds is
ended by `expire`.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from bot.sandbox import payloads
from bot.sandbox.messages import Json, Message
from bot.sandbox.response_urls import ResponseUrl, ResponseUrls
from bot.sandbox.socket_mode import Ack, SocketMode
from bot.sandbox.team import SLACKBOT, Team, View, ViewsChanged
from bot.sandbox.validate import validate_view
from bot.sandbox.webapi.answers import Refusal
from bot.sandbox.webapi.triggers import Triggers
from bot.sandbox.webapi.views import new_view, replace_view

ACK_S = 3.0
ACKED = "acked"
NOBODY = "dispatch_failed"
TOO_LATE = "operation_timeout"


class Interaction(msgspec.Struct, kw_only=True, eq=False):
    """One act of a person.

    `outcome` is None while the app may still answer, then `acked`, `dispatch_failed` (no connection) or
    `operation_timeout`. `answer` is what came with the acknowledgement.
    """

    kind: str
    user: str
    channel: str
    payload: Json
    label: str = ""
    url: ResponseUrl | None = None
    view: View | None = None
    envelope_id: str | None = None
    outcome: str | None = None
    answer: Json | None = None
    watchers: list[Callable[[], None]] = msgspec.field(default_factory=list)

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Call back when the outcome is known, at once if it is."""
        if self.outcome is None:
            self.watchers.append(callback)
        else:
            callback()

    @property
    def errors(self) -> dict[str, str]:
        """The form errors that the app answered, by block id."""
        answer = self.answer or {}
        return dict(answer.get("errors", {})) if answer.get("response_action") == "errors" else {}


class Interactions:
    """Sends acts to the app and does what its answers say."""

    def __init__(self, team: Team, sockets: SocketMode, triggers: Triggers) -> None:
        self.urls = ResponseUrls(team)
        self._team = team
        self._sockets = sockets
        self._triggers = triggers
        self._open: dict[str, Interaction] = {}

    def slash_command(self, user: str, channel: str, command: str, text: str, now: datetime) -> Interaction:
        """Send a slash command typed in a channel; the answer is shown there, to this person."""
        url = ResponseUrl(channel=channel, user=user, given=now)
        payload = payloads.slash_command(
            self._team, user, channel, command, text, self._triggers.give(user, now), self.urls.give(url)
        )
        label = f"{command} {text}".strip()
        act = Interaction(
            kind="slash_commands", user=user, channel=channel, payload=payload, label=label, url=url
        )
        return self._send(act, now, accepts_response_payload=True)

    def block_action(self, user: str, message: Message, action: Json, now: datetime) -> Interaction:
        """Send a press of an element of a message."""
        url = ResponseUrl(
            channel=message.channel,
            user=user,
            given=now,
            answered=message.ts,
            pressed=True,
            thread_ts=message.thread_ts,
        )
        payload = payloads.block_action(
            self._team, user, message, action, self._triggers.give(user, now), self.urls.give(url)
        )
        act = Interaction(kind="interactive", user=user, channel=message.channel, payload=payload, url=url)
        return self._send(act, now)

    def view_action(self, user: str, view: View, action: Json, now: datetime) -> Interaction:
        """Send a press of an element of a modal or a home view."""
        payload = payloads.view_action(self._team, user, view, action, self._triggers.give(user, now))
        return self._send(
            Interaction(kind="interactive", user=user, channel="", payload=payload, view=view), now
        )

    def view_submission(self, user: str, view: View, values: Json, now: datetime) -> Interaction:
        """Send a filled form: `values` by block id and action id."""
        payload = payloads.view_submission(self._team, user, view, values, self._triggers.give(user, now))
        act = Interaction(kind="interactive", user=user, channel="", payload=payload, view=view)
        return self._send(act, now, accepts_response_payload=True)

    def close_view(self, user: str, now: datetime, *, cleared: bool = False) -> Interaction | None:
        """Close a person's top modal (or all); the app hears of it only if the view asked for that."""
        stack = self._team.views.get(user, [])
        if not stack:
            return None
        view = stack[-1]
        self._team.views[user] = [] if cleared else stack[:-1]
        self._team.publish(ViewsChanged(user))
        if not view.body.get("notify_on_close"):
            return None
        payload = payloads.view_closed(self._team, user, view, cleared=cleared)
        return self._send(
            Interaction(kind="interactive", user=user, channel="", payload=payload, view=view), now
        )

    def event(self, event: Json, now: datetime) -> Interaction:
        """Send an event of the Events API."""
        payload = payloads.event(self._team, event, now)
        channel = event.get("channel")
        act = Interaction(
            kind="events_api",
            user=str(event.get("user", "")),
            channel=channel if isinstance(channel, str) else "",
            payload=payload,
        )
        return self._send(act, now)

    def acknowledged(self, ack: Ack, now: datetime) -> None:
        """Do what the app's acknowledgement says; one that comes too late changes nothing."""
        act = self._open.pop(ack.envelope_id, None)
        if act is None:
            return
        act.answer = ack.payload
        if act.kind == "slash_commands" and act.url and _says_something(ack.payload):
            self._show_answer(act, act.url, ack.payload or {}, now)
        if act.payload.get("type") == "view_submission" and act.view:
            self._after_submission(act.view, ack.payload or {})
        _settle(act, ACKED)

    def expire(self, act: Interaction, now: datetime) -> None:
        """End an act that was not acknowledged in time."""
        if act.outcome is None and act.envelope_id:
            self._open.pop(act.envelope_id, None)
            self._fail(act, TOO_LATE, now)

    def _send(
        self, act: Interaction, now: datetime, *, accepts_response_payload: bool = False
    ) -> Interaction:
        envelope = self._sockets.deliver(
            act.kind, act.payload, accepts_response_payload=accepts_response_payload
        )
        if envelope is None:
            self._fail(act, NOBODY, now)
            return act
        act.envelope_id = envelope.id
        self._open[envelope.id] = act
        return act

    def _fail(self, act: Interaction, outcome: str, now: datetime) -> None:
        """Settle an act that nobody answered; who typed a command is told, as Slackbot does."""
        if act.kind == "slash_commands":
            text = f"`{act.label.split()[0]}` failed with the error “{outcome}”: the app did not answer."
            self._tell(act, text, now)
        _settle(act, outcome)

    def _show_answer(self, act: Interaction, url: ResponseUrl, answer: Json, now: datetime) -> None:
        """Show the text that came with the acknowledgement of a command."""
        if answer.get("response_type") == "in_channel":
            ts = self._team.next_ts(now)
            self._team.add_message(Message(channel=act.channel, ts=ts, user=act.user, text=act.label))
        try:
            self.urls.answer(url, answer, now)
        except Refusal as refusal:
            self._tell(act, f"The app's answer was refused: {refusal.error}", now)

    def _tell(self, act: Interaction, text: str, now: datetime) -> None:
        self._team.show_ephemeral(
            Message(
                channel=act.channel,
                ts=self._team.next_ts(now),
                user=SLACKBOT.id,
                text=text,
                visible_to=act.user,
            )
        )

    def _after_submission(self, view: View, answer: Json) -> None:
        """Close a submitted view, or do what the answer asks for instead."""
        stack = self._team.views.get(view.user, [])
        action = answer.get("response_action")
        if action == "errors":
            return
        if action in {"update", "push"} and not validate_view(answer.get("view", {})):
            self._next_view(view, str(action), answer["view"])
            return
        self._team.views[view.user] = [] if action == "clear" else [v for v in stack if v.id != view.id]
        self._team.publish(ViewsChanged(view.user))

    def _next_view(self, view: View, action: str, body: Json) -> None:
        if action == "update":
            replace_view(self._team, view, body)
            return
        self._team.views[view.user] = [
            *self._team.views.get(view.user, []),
            new_view(self._team, view.user, body, view),
        ]
        self._team.publish(ViewsChanged(view.user))


def _says_something(payload: Json | None) -> bool:
    return bool(payload and (payload.get("text") or payload.get("blocks")))


def _settle(act: Interaction, outcome: str) -> None:
    act.outcome = outcome
    for watcher in act.watchers:
        watcher()
    act.watchers.clear()
