"""Trigger ids: the right to open a modal, for three seconds and once."""

from datetime import datetime, timedelta

from bot.sandbox.webapi.answers import Refusal

LIFETIME = timedelta(seconds=3)


class Triggers:
    """The trigger ids given out."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[str, datetime]] = {}
        self._spent: set[str] = set()

    def give(self, user: str, now: datetime) -> str:
        """Return a new trigger id for a person's action."""
        trigger = f"{len(self._given) + 1}.local.{user}"
        self._given[trigger] = (user, now)
        return trigger

    def spend(self, trigger: str, now: datetime) -> str:
        """Return the person of a trigger id and use it up; refuses one unknown, used or older than 3 s."""
        if trigger not in self._given:
            raise Refusal("invalid_trigger_id")
        if trigger in self._spent:
            raise Refusal("exchanged_trigger_id")
        user, given = self._given[trigger]
        if now - given > LIFETIME:
            raise Refusal("expired_trigger_id")
        self._spent.add(trigger)
        return user
