"""Sessions of one agent: logins that live in its memory alone (recording `sessions`)."""

import hashlib
from datetime import datetime, timedelta

from bot.sandbox.agents.faults import denied

LIFE = timedelta(seconds=1800)
"""How long a session lives after its last use."""


class Sessions:
    """The sessions of one process; `seed` makes their ids, which guard nothing, the same in every run."""

    def __init__(self, seed: str) -> None:
        self._seed, self._logins = seed, 0
        self._last_used: dict[str, datetime] = {}

    def open(self, now: datetime) -> str:
        """Return the id of a new session, 64 hexadecimal digits."""
        self._logins += 1
        session = hashlib.sha256(f"{self._seed}/{self._logins}".encode()).hexdigest()
        self._last_used[session] = now
        return session

    def use(self, session: str, now: datetime) -> None:
        """Let a session live on; raises `Fault` for one that is unknown or was not used for too long."""
        if session not in self._last_used:
            raise denied("SessionInvalid", "Session is invalid")
        if now - self._last_used[session] > LIFE:
            del self._last_used[session]
            raise denied("SessionExpired", "Session is expired")
        self._last_used[session] = now

    def close(self, session: str) -> None:
        """End a session; an unknown one is no error."""
        self._last_used.pop(session, None)

    def close_all(self) -> None:
        """End every session, as a change of a password does."""
        self._last_used.clear()
