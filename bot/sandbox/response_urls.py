"""`response_url`s: five answers within thirty minutes, without a token."""

from datetime import datetime, timedelta

import msgspec

from bot.sandbox.messages import Json, Message
from bot.sandbox.team import Team
from bot.sandbox.webapi.answers import ApiResponse, Refusal
from bot.sandbox.webapi.chat import content
from bot.sandbox.webapi.params import flag, word

USES = 5
LIFETIME = timedelta(minutes=30)


class ResponseUrl(msgspec.Struct, kw_only=True):
    """Where the answers to one act go.

    `answered` is the message that a replacement replaces: for a press the message that holds the button
    (`pressed`), for a command what was last answered.
    """

    channel: str
    user: str
    given: datetime
    uses: int = 0
    answered: str | None = None
    pressed: bool = False
    thread_ts: str | None = None


class ResponseUrls:
    """The addresses given out for slash commands and buttons."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._given: dict[str, ResponseUrl] = {}

    def give(self, url: ResponseUrl) -> str:
        """Return the address for the answers of an action."""
        key = self._team.serial("R")
        self._given[key] = url
        return f"{self._team.base_url}response/{key}"

    def take(self, key: str, body: Json, now: datetime) -> ApiResponse:
        """Do what an answer asks for; refuses unknown, expired and used-up addresses with status 404."""
        key = key.rpartition("/")[2]
        url = self._given.get(key)
        if url is None or now - url.given > LIFETIME:
            return _no("expired_url", status=404)
        if url.uses >= USES:
            return _no("used_url", status=404)
        url.uses += 1
        try:
            self.answer(url, body, now)
        except Refusal as refusal:
            return _no(refusal.error, status=400)
        return ApiResponse(raw="ok")

    def answer(self, url: ResponseUrl, body: Json, now: datetime) -> None:
        """Show, replace or take away; ephemeral unless `response_type` says `in_channel`."""
        if flag(body, "delete_original"):
            self._delete(url)
            return
        payload = content(body)
        before = self._team.message(url.channel, url.answered or "") if url.answered else None
        if before and flag(body, "replace_original"):
            after = _with(before, payload)
            self._team.replace_message(before, after)
            return
        if word(body, "response_type") == "in_channel":
            public = _with(self._new(url, self._team.next_ts(now)), payload)
            self._team.add_message(msgspec.structs.replace(public, thread_ts=word(body, "thread_ts") or None))
            return
        shown = self._team.ephemeral(url.answered or "")
        ts = shown.ts if shown and flag(body, "replace_original") else self._team.next_ts(now)
        private = msgspec.structs.replace(self._new(url, ts), visible_to=url.user, thread_ts=url.thread_ts)
        message = self._team.show_ephemeral(_with(private, payload))
        if not url.pressed:
            url.answered = message.ts

    def _new(self, url: ResponseUrl, ts: str) -> Message:
        return Message(channel=url.channel, ts=ts, user=self._team.bot.id, by_app=True)

    def _delete(self, url: ResponseUrl) -> None:
        if message := self._team.message(url.channel, url.answered or ""):
            self._team.remove_message(message)
        elif url.answered:
            self._team.hide_ephemeral(url.answered)


def _with(message: Message, payload: Json) -> Message:
    return msgspec.structs.replace(
        message,
        text=str(payload["text"] or ""),
        blocks=tuple(payload["blocks"] or ()),
        attachments=tuple(payload["attachments"] or ()),
    )


def _no(error: str, *, status: int) -> ApiResponse:
    return ApiResponse(status=status, body={"ok": False, "error": error})
