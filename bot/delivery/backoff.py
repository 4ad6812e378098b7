"""After a send: done, again when, or never."""

from datetime import datetime, timedelta

import msgspec

from bot.delivery.notifier import NotSent, Outcome, Reason, Refused, RetryAfter, Sent, Unclear

FIRST_RETRY_S = 1.0
MAX_RETRY_S = 60.0
LOOK_UP_AFTER_S = 3.0
"""How long a message whose send was unclear is given to appear before it is looked for."""

OPERATOR_RETRY_S = 60.0
"""Distance of tries while only an operator can help: a refused token, a missing permission."""


class Done(msgspec.Struct, frozen=True):
    """The message stands at `ts`."""

    ts: str


class Again(msgspec.Struct, frozen=True):
    """Try again at `at`; `unclear` keeps the mark that it may have been sent."""

    at: datetime
    error: str
    unclear: bool = False


class GiveUp(msgspec.Struct, frozen=True):
    """Refused for good."""

    error: str


class RootLost(msgspec.Struct, frozen=True):
    """The message to edit is gone."""


Decision = Done | Again | GiveUp | RootLost


def decide(outcome: Outcome, attempts: int, now: datetime) -> Decision:
    """Return what follows from an outcome, after `attempts` tries before this one."""
    match outcome:
        case Sent(ts=ts):
            return Done(ts)
        case RetryAfter(method=method, seconds=seconds):
            return Again(now + timedelta(seconds=seconds), f"{method} is over its limit")
        case NotSent(reason=reason, detail=detail):
            return Again(now + timedelta(seconds=retry_s(attempts)), f"{reason}: {detail}")
        case Unclear(detail=detail):
            return Again(now + timedelta(seconds=LOOK_UP_AFTER_S), detail, unclear=True)
        case Refused(reason=Reason.AUTH | Reason.SCOPE as reason, detail=detail):
            return Again(now + timedelta(seconds=OPERATOR_RETRY_S), f"{reason}: {detail}")
        case Refused(reason=Reason.THREAD_LOST):
            return RootLost()
        case Refused(reason=reason, detail=detail):
            return GiveUp(f"{reason}: {detail}")


def retry_s(attempts: int) -> float:
    """Return the wait before the next try: doubling from a second to a minute."""
    return float(min(FIRST_RETRY_S * 2 ** min(attempts, 10), MAX_RETRY_S))
