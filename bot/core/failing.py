"""A failure: when it is told, what its card says, and how often people are reminded of it."""

from datetime import datetime, timedelta

import msgspec

from bot.core import evidence
from bot.core.catalogue import holds_lock, operators_after_failure
from bot.core.dag import DagSnapshot, Operator, Outcome, reading
from bot.core.events import Failed, Reminder
from bot.core.ids import home
from bot.core.runs import begins_run
from bot.core.tracked import LAST_LINE_WAIT, Sight, TrackedDag, reference

FIRST_REMINDER = timedelta(minutes=30)
"""From a failure to the first reminder; each later gap is twice the one before."""

_Told = tuple[TrackedDag, Failed | Reminder | None]


def missed(before: TrackedDag, after: TrackedDag, sight: Sight) -> _Told:
    """Tell a failure that still waited for its last line and is over now."""
    pending = before.failure_seen_at is not None and before.outcome is None
    if not pending or not _is_over(before.snapshot, after.snapshot):
        return after, None
    return msgspec.structs.replace(after, failure_seen_at=None), card(before, sight)


def failure(after: TrackedDag, sight: Sight) -> _Told:
    """Tell a failure once its last line is known, or after it was waited for."""
    if reading(after.snapshot) is not Outcome.FAILED or after.outcome is not None:
        return after, None
    seen_at = after.failure_seen_at or sight.at
    after = msgspec.structs.replace(after, failure_seen_at=seen_at)
    if not _last_line_known(after) and sight.at - seen_at < LAST_LINE_WAIT:
        return after, None
    told = msgspec.structs.replace(after, outcome=Outcome.FAILED, outcome_at=sight.at, failure_seen_at=None)
    return told, card(after, sight)


def reminder(after: TrackedDag, sight: Sight) -> _Told:
    """Remind of a failure that waits for an operator; one that blocks nobody is left in peace."""
    waits = after.outcome is Outcome.FAILED and after.listed and after.outcome_at is not None
    held = holds_lock(after.snapshot)
    if not waits or after.outcome_at is None or held is False:
        return after, None
    if sight.at < due_at(after.outcome_at, after.reminders):
        return after, None
    reminded = msgspec.structs.replace(after, reminders=_reminders_by(after.outcome_at, sight.at))
    return reminded, Reminder(
        dag=reference(sight.cluster, after),
        at=sight.at,
        number=reminded.reminders,
        failed_at=after.outcome_at,
        holds_lock=held,
    )


def due_at(failed_at: datetime, reminders: int) -> datetime:
    """Return when the next reminder is due after so many."""
    gaps: int = 2 ** (reminders + 1) - 1
    return failed_at + FIRST_REMINDER * gaps


def card(tracked: TrackedDag, sight: Sight) -> Failed:
    """Return the failure of a DAG with all that helps to act on it."""
    snapshot = tracked.snapshot
    return Failed(
        dag=reference(sight.cluster, tracked),
        at=sight.at,
        operator=snapshot.operator,
        ended_at=snapshot.ended_at,
        failures=evidence.failures(snapshot, tracked.known),
        operators=operators_after_failure(snapshot),
        holds_lock=holds_lock(snapshot),
        listed=tracked.listed,
        holding=holding(sight),
        agent_url=sight.agent_url,
        runbook=sight.runbook,
    )


def holding(sight: Sight) -> tuple[str, ...]:
    """Return the agents on which unfinished sub-DAGs of this one stay behind, with their agent's lock."""
    return tuple(sorted(map(_home, sight.sub_dags)))


def _is_over(old: DagSnapshot, new: DagSnapshot) -> bool:
    return new.operator is Operator.PASS or begins_run(old, new)


def _last_line_known(tracked: TrackedDag) -> bool:
    found = evidence.failures(tracked.snapshot, tracked.known)
    return bool(found) and all(failure.error_code is not None for failure in found)


def _reminders_by(failed_at: datetime, now: datetime) -> int:
    """Return how many reminders are due by now: those of a time without obdag are one."""
    number = 0
    while due_at(failed_at, number) <= now:
        number += 1
    return number


def _home(sub_dag: DagSnapshot) -> str:
    return str(home(sub_dag.id) or sub_dag.id)
