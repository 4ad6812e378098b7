"""After a send: done, again when, or never."""

import pytest

from bot.delivery.backoff import (
    LOOK_UP_AFTER_S,
    MAX_RETRY_S,
    OPERATOR_RETRY_S,
    Again,
    Decision,
    Done,
    GiveUp,
    RootLost,
    decide,
    retry_s,
)
from bot.delivery.notifier import NotSent, Outcome, Reason, Refused, RetryAfter, Sent, Unclear
from tests.factories import NOW, at

TABLE: list[tuple[Outcome, int, Decision]] = [
    (Sent("1.2"), 0, Done("1.2")),
    (Sent("1.2", in_thread=False), 7, Done("1.2")),
    (RetryAfter("chat.update", 30), 0, Again(at(30), "chat.update is over its limit")),
    (RetryAfter("chat.update", 0.5), 9, Again(at(0.5), "chat.update is over its limit")),
    (NotSent(Reason.SERVICE, "503"), 0, Again(at(1), "service: 503")),
    (NotSent(Reason.NETWORK, "refused"), 3, Again(at(8), "network: refused")),
    (NotSent(Reason.NETWORK, "refused"), 99, Again(at(60), "network: refused")),
    (Unclear("cut"), 0, Again(at(3), "cut", unclear=True)),
    (Unclear("cut"), 50, Again(at(3), "cut", unclear=True)),
    (Refused(Reason.AUTH, "invalid_auth"), 0, Again(at(60), "auth: invalid_auth")),
    (Refused(Reason.SCOPE, "missing_scope"), 50, Again(at(60), "scope: missing_scope")),
    (Refused(Reason.THREAD_LOST, "message_not_found"), 0, RootLost()),
    (Refused(Reason.CHANNEL, "is_archived"), 0, GiveUp("channel: is_archived")),
    (Refused(Reason.CONTENT, "invalid_blocks"), 0, GiveUp("content: invalid_blocks")),
]


@pytest.mark.parametrize(("outcome", "attempts", "expected"), TABLE)
def test_what_follows_from_an_outcome(outcome: Outcome, attempts: int, expected: Decision) -> None:
    """Taken is done, trouble is tried again, what only an operator can mend waits for him, a refusal ends."""
    assert decide(outcome, attempts, NOW) == expected


@pytest.mark.parametrize("reason", Reason)
def test_only_an_unclear_send_is_marked_unclear(reason: Reason) -> None:
    """What was certainly not sent is never looked up, and a refused token or scope gives nothing up."""
    for outcome in (NotSent(reason, "x"), Refused(reason, "x")):
        decision = decide(outcome, 0, NOW)
        assert not isinstance(decision, Again) or not decision.unclear
    waits = {Reason.AUTH, Reason.SCOPE}
    assert isinstance(decide(Refused(reason, "x"), 0, NOW), Again) is (reason in waits)


def test_waits_grow_to_a_minute_and_stay_there() -> None:
    """1, 2, 4 ... 60 seconds, for ever: nothing is given up for being late."""
    assert [retry_s(n) for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert retry_s(10_000) == MAX_RETRY_S
    assert 0 < LOOK_UP_AFTER_S < OPERATOR_RETRY_S
