"""The process of an agent: its number, its start, the key that it holds."""

from collections.abc import Sequence
from datetime import datetime

from bot.core.dag import Host
from bot.obshell.envelope import PrivateKey

FIRST_PID = 4120
START_NANOSECONDS = 123
"""Below the microseconds that Python knows; makes `startAt` the 19 digits that do not fit a double."""


class Process:
    """One process after another; `keys` are used one after another by starts with a new key."""

    def __init__(self, host: Host, now: datetime, keys: Sequence[PrivateKey]) -> None:
        self._host, self._keys, self._key_at = host, tuple(keys), 0
        self.started_at, self.starts, self.running = now, 0, True

    @property
    def key(self) -> PrivateKey:
        """The key with which it opens headers now."""
        return self._keys[self._key_at]

    @property
    def pid(self) -> int:
        """Process id, another one after each start."""
        return FIRST_PID + self._host.port % 100 + self.starts

    @property
    def start_nanoseconds(self) -> int:
        """`startAt`: nanoseconds since the epoch."""
        seconds = int(self.started_at.timestamp())
        return (seconds * 10**6 + self.started_at.microsecond) * 1000 + START_NANOSECONDS

    def start(self, now: datetime, *, new_key: bool, keys: Sequence[PrivateKey] = ()) -> None:
        """Start again, with the next key if `new_key`, or the first of other `keys`."""
        self.started_at, self.running = now, True
        self.starts += 1
        if keys:
            self._keys, self._key_at = tuple(keys), 0
        elif new_key:
            self._key_at = (self._key_at + 1) % len(self._keys)
