"""One call of the Web API: token, scripted trouble, limits, the method, the journal."""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

import msgspec

from bot.sandbox.messages import Json
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.team import Team
from bot.sandbox.webapi import chat, conversations, files, people, views
from bot.sandbox.webapi.answers import ApiResponse, Refusal, ok
from bot.sandbox.webapi.limits import RateLimits
from bot.sandbox.webapi.params import word
from bot.sandbox.webapi.scopes import ALL_SCOPES, Scopes
from bot.sandbox.webapi.triggers import Triggers
from bot.sandbox.webapi.trouble import Script, instead, limited, spoiled

Method = Callable[[Json, datetime], Json]
KEPT_CALLS = 10_000
APP_LEVEL = "apps.connections.open"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call as it was: `outcome` is `ok`, Slack's error word, `http 503` or `dropped`; no token."""

    method: str
    params: Json
    at: datetime
    outcome: str


class WebApi:
    """The methods of the Web API for one installed app.

    `limits` is None while no rate limit holds. `dead_token` is an error word (`token_revoked`,
    `account_inactive`) that every call with the bot token gets.
    """

    def __init__(
        self, team: Team, sockets: SocketMode, *, bot_token: str, app_token: str, scopes: Iterable[str]
    ) -> None:
        self.scopes = Scopes(scopes)
        self.triggers = Triggers()
        self.uploads = files.Uploads()
        self.trouble = Script()
        self.limits: RateLimits | None = None
        self.dead_token: str | None = None
        self.journal: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._team = team
        self._sockets = sockets
        self._tokens = {bot_token: "bot", app_token: "app"}
        self._methods = self._table()

    @property
    def methods(self) -> frozenset[str]:
        """The supported methods."""
        return frozenset(self._methods)

    def call(self, method: str, params: Json, token: str | None, now: datetime) -> ApiResponse:
        """Answer one call; parameters are JSON values, or strings as a form gives them."""
        given = {key: value for key, value in params.items() if value is not None and key != "token"}
        trouble = self.trouble.take(method)
        answer = instead(trouble) or spoiled(trouble, self._answer(method, given, token, now))
        self.journal.append(Call(method=method, params=given, at=now, outcome=_outcome(answer)))
        return answer

    def calls(self, method: str) -> list[Call]:
        """Return the calls of one method so far."""
        return [call for call in self.journal if call.method == method]

    def _answer(self, method: str, params: Json, token: str | None, now: datetime) -> ApiResponse:
        try:
            do = self._permitted(method, token)
            if self.limits and (wait := self.limits.wait_s(method, word(params, "channel"), now)):
                return limited(wait)
            body = do(params, now)
        except Refusal as refusal:
            body = {"ok": False, "error": refusal.error, **refusal.extra}
        return ApiResponse(headers={"x-oauth-scopes": ",".join(self.scopes)}, body=body)

    def _permitted(self, method: str, token: str | None) -> Method:
        """Return a method that this token may call."""
        do = self._methods.get(method)
        if do is None:
            raise Refusal("unknown_method", req_method=method)
        if not token:
            raise Refusal("not_authed")
        kind = self._tokens.get(token)
        if kind is None:
            raise Refusal("invalid_auth")
        if (kind == "app") != (method == APP_LEVEL):
            raise Refusal("not_allowed_token_type")
        if kind == "bot" and self.dead_token:
            raise Refusal(self.dead_token)
        return do

    def _open_connection(self, _params: Json, _now: datetime) -> Json:
        """`apps.connections.open`: the address of one Socket Mode connection."""
        base = self._team.base_url.replace("http", "ws", 1)
        return ok(url=f"{base}link?ticket={self._sockets.ticket()}&app_id={self._team.app_id}")

    def _table(self) -> dict[str, Method]:
        scoped = {
            "auth.test": people.auth_test,
            "chat.delete": chat.delete,
            "chat.getPermalink": chat.permalink,
            "chat.postEphemeral": chat.post_ephemeral,
            "chat.postMessage": chat.post_message,
            "chat.update": chat.update,
            "conversations.history": conversations.history,
            "conversations.info": conversations.info,
            "conversations.join": conversations.join,
            "conversations.list": conversations.list_all,
            "conversations.members": conversations.members,
            "conversations.open": conversations.open_direct,
            "conversations.replies": conversations.replies,
            "reactions.add": chat.add_reaction,
            "users.info": people.user_info,
        }
        modal = {
            "views.open": views.open_modal,
            "views.publish": views.publish,
            "views.push": views.push,
            "views.update": views.update,
        }
        return {
            APP_LEVEL: self._open_connection,
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete_upload,
            **{name: partial(do, self._team, self.scopes) for name, do in scoped.items()},
            **{name: partial(do, self._team, self.triggers) for name, do in modal.items()},
        }

    def _upload_url(self, params: Json, _now: datetime) -> Json:
        return files.upload_url(self._team, self.scopes, self.uploads, params)

    def _complete_upload(self, params: Json, now: datetime) -> Json:
        return files.complete(self._team, self.scopes, self.uploads, params, now)


def _outcome(answer: ApiResponse) -> str:
    if answer.drop:
        return "dropped"
    if not isinstance(answer.body, dict):
        return f"http {answer.status}"
    return "ok" if answer.body.get("ok") else str(answer.body.get("error"))


__all__ = ["ALL_SCOPES", "Call", "WebApi"]
