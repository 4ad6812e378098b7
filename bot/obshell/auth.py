"""How a request gets its sealed header: a conversation without I/O.

`Credentials.conversation` is a generator. It yields what to ask (`Ask`), is sent what came back (`Answer`)
and returns the answer to the real question. On the way it fetches the agent's public key once, and corrects
each of three mistakes once: a key that is no longer the agent's, a clock that runs differently, a header of
the other kind. Any other rejection is the caller's: above all, a wrong password is never tried again, also
where the agent does not say what was wrong: then only a key that has changed is worth another try.

It is not an `httpx.Auth`: that would read the answers it looks at without a limit of size, and the client
wants its own time limit around the whole conversation.
"""

import os
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from bot.clock import Clock
from bot.obshell import wire
from bot.obshell.envelope import PublicKey, Rand, header_json, seal
from bot.obshell.errors import Reason
from bot.obshell.refusals import rejection
from bot.obshell.wire import Answer

SECRET = "/api/v1/secret"  # noqa: S105 - where the public key is
LIFE = timedelta(seconds=30)
"""How long a header is good for. Agents accept a replay of a header until then, so it is short."""
SPARE = timedelta(seconds=10)
"""A header with less left than this is sealed anew: the request must arrive before it expires."""


class User(StrEnum):
    """Whose password we have: that of root@sys, or the agent's own."""

    ROOT = "root"
    AGENT = "agent"


HEADERS = {User.ROOT: "X-OCS-Header", User.AGENT: "X-OCS-Agent-Header"}
OTHER = {User.ROOT: User.AGENT, User.AGENT: User.ROOT}


class Ask(NamedTuple):
    """What to ask an agent: GET this target, with this header if there is one."""

    target: str
    header: tuple[str, str] | None = None


Conversation = Generator[Ask, Answer, Answer]


class _Sealed(NamedTuple):
    value: str
    expires: datetime


class Credentials:
    """What one agent is asked with, and what was learnt of its key and clock.

    `password` is called when a header is sealed, and is not kept.
    """

    def __init__(
        self, *, user: User, password: Callable[[], str], clock: Clock, rand: Rand = os.urandom
    ) -> None:
        self._declared = self._user = user
        self._password, self._clock, self._rand = password, clock, rand
        self._key: PublicKey | None = None
        self._sealed: dict[str, _Sealed] = {}
        self._skew: timedelta | None = None

    def __repr__(self) -> str:
        return f"Credentials(user={self._user.value!r})"

    @property
    def skew_s(self) -> float | None:
        """How many seconds the agent's clock is ahead of ours, None before the first answer."""
        return None if self._skew is None else self._skew.total_seconds()

    def secret(self) -> str:
        """Return the password, to hide it in foreign text."""
        return self._password()

    def open_conversation(self, target: str) -> Conversation:
        """Ask for something that needs no header."""
        return (yield from self._ask(Ask(target)))

    def conversation(self, target: str) -> Conversation:
        """Ask for something that needs a header; `target` is the path with its query, exactly as sent.

        Returns the last answer, also if it is a refusal. Raises `Malformed` for a key that is none.
        """
        corrected: set[Reason] = set()
        while True:
            if self._key is None:
                secret = yield from self._ask(Ask(SECRET))
                if secret.error is not None:
                    return secret
                self._key = wire.public_key(secret)
            sealed = self._header(target, self._key)
            answer = yield from self._ask(Ask(target, (HEADERS[self._user], sealed.value)))
            reason = rejection(answer.error, answer.status) if answer.error else None
            if reason is Reason.UNSAID and answer.told_at and answer.told_at >= sealed.expires:
                reason = Reason.EXPIRED
            if reason is None:
                return answer
            self._sealed.clear()
            if reason in corrected or not (yield from self._correct(reason, answer)):
                self._user = self._declared
                return answer
            corrected.add(reason)

    def _ask(self, ask: Ask) -> Conversation:
        answer = yield ask
        if told_at := answer.told_at:
            self._skew = told_at - self._clock()
        return answer

    def _correct(self, reason: Reason, answer: Answer) -> Generator[Ask, Answer, bool]:
        """Tell whether another try makes sense, having changed what was wrong."""
        if reason is Reason.KEY:
            self._key = None
            return True
        if reason is Reason.HEADER_KIND:
            self._user = OTHER[self._user]
            return True
        if reason is Reason.UNSAID:
            return (yield from self._key_has_changed())
        return reason is Reason.EXPIRED and answer.told_at is not None

    def _key_has_changed(self) -> Generator[Ask, Answer, bool]:
        """Fetch the key again and tell whether ours is not the agent's; one not to be had is another."""
        secret = yield from self._ask(Ask(SECRET))
        ours, self._key = self._key, None if secret.error else wire.public_key(secret)
        return ours != self._key

    def _header(self, target: str, key: PublicKey) -> _Sealed:
        """Return the sealed header for a target, from an earlier request while it is good."""
        now = self._clock() + (self._skew or timedelta())
        self._sealed = {uri: kept for uri, kept in self._sealed.items() if kept.expires - now > SPARE}
        if target not in self._sealed:
            expires = now + LIFE
            plain = header_json(password=self._password(), expires=int(expires.timestamp()), uri=target)
            self._sealed[target] = _Sealed(seal(plain, key, self._rand), expires)
        return self._sealed[target]
