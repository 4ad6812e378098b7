"""Several engines that live in the same time: what happens first anywhere is done first."""

from collections.abc import Sequence
from datetime import datetime

from bot.sandbox.agents.engine import Engine


def advance(engines: Sequence[Engine], now: datetime) -> None:
    """Live through everything that is due in any of them until `now`, in its order."""
    while (due := _earliest(engines)) is not None and due <= now:
        for engine in engines:
            at = engine.next_due()
            if at is not None and at <= due:
                engine.advance(due)
    for engine in engines:
        engine.advance(now)


def _earliest(engines: Sequence[Engine]) -> datetime | None:
    return min((due for engine in engines if (due := engine.next_due()) is not None), default=None)
