"""Reminders of a failure that nobody takes in hand."""

from datetime import timedelta
from typing import Any

import pytest

from bot.core.dag import DagSnapshot, Maintenance, Operator, State
from bot.core.events import DagEvent, Failed, Reminder, event_id
from bot.core.stall import Policy
from bot.core.tracked import TrackedDag
from bot.core.tracker import observe
from tests.factories import at, dag, sight, stage, sub_task

MINUTE = 60.0
HOUR = 60 * MINUTE
FIRST_DAY = [30 * MINUTE, 90 * MINUTE, 3.5 * HOUR, 7.5 * HOUR, 15.5 * HOUR]


def failed(**members: Any) -> DagSnapshot:
    """Return a DAG that failed at its only stage, its last line known."""
    broken = sub_task(State.FAILED, lines=("ERROR: [A.B]: no",))
    stages = (stage(1, State.FAILED, sub_tasks=(broken,)),)
    return dag(1, of=1, state=State.FAILED, **{"ended_at": at(0), "stages": stages, **members})


def live(
    looks: list[tuple[float, DagSnapshot]], tracked: TrackedDag | None = None, *, listed: bool = True
) -> tuple[TrackedDag, list[DagEvent]]:
    """Look at a DAG at those seconds."""
    events: list[DagEvent] = []
    for seconds, snapshot in looks:
        seen = observe(tracked, sight(snapshot, seconds, listed=listed), Policy())
        tracked = seen.tracked
        events += seen.events
    assert tracked is not None
    return tracked, events


def reminders(events: list[DagEvent]) -> list[Reminder]:
    """Return the reminders among events."""
    return [event for event in events if isinstance(event, Reminder)]


def minutely(snapshot: DagSnapshot, until: float, since: float = 0) -> list[tuple[float, DagSnapshot]]:
    """Return a look each minute."""
    return [(since + n * MINUTE, snapshot) for n in range(int((until - since) / MINUTE) + 1)]


def test_gaps_between_reminders_grow() -> None:
    """Half an hour after the failure, then after one, two, four hours more, and so on."""
    _, events = live(minutely(failed(), 24 * HOUR))
    told = reminders(events)
    assert [(e.at - at(0)).total_seconds() for e in told] == FIRST_DAY
    assert [e.number for e in told] == [1, 2, 3, 4, 5]
    assert len([e for e in events if isinstance(e, Failed)]) == 1
    assert len({event_id(1, 1, e) for e in events}) == len(events)


def test_reminder_says_what_waits() -> None:
    """Since when, and whether a lock is held."""
    _, events = live(minutely(failed(), HOUR))
    (told,) = reminders(events)
    assert (told.failed_at, told.holds_lock) == (at(0), True)


def test_whoever_acts_ends_the_reminders() -> None:
    """A retry is an answer; when it fails too, the gaps begin anew."""
    retried = dag(1, of=1, started_at=at(HOUR), ended_at=None)
    again = failed(ended_at=at(2 * HOUR))
    looks = [*minutely(failed(), HOUR), (1.5 * HOUR, retried), *minutely(again, 3 * HOUR, 2 * HOUR)]
    _, events = live(looks)
    assert [e.kind for e in events] == ["started", "failed", "reminder", "retried", "failed", "reminder"]
    assert reminders(events)[1].number == 1


def test_reminders_of_a_time_without_obdag_are_one() -> None:
    """After a weekend off one reminder is enough."""
    _, events = live([(0, failed()), (60 * HOUR, failed()), (60 * HOUR + 60, failed())])
    (told,) = reminders(events)
    assert told.number == 6


QUIET = {
    "a tenant's DAG gives its lock back": failed(maintenance=Maintenance.TENANT, name="Drop tenant"),
    "a DAG without a lock": failed(maintenance=Maintenance.NONE),
    "a cancelled DAG": failed(operator=Operator.CANCEL),
    "a DAG that runs": dag(1, of=1),
}


@pytest.mark.parametrize("name", QUIET)
def test_what_blocks_nobody_is_left_in_peace(name: str) -> None:
    """Only a failure that keeps a lock, or may keep one, is recalled."""
    _, events = live(minutely(QUIET[name], 2 * HOUR))
    assert reminders(events) == []


def test_failure_that_left_the_list_is_over() -> None:
    """A DAG that is not listed any more waits for nobody."""
    _, events = live(minutely(failed(), 2 * HOUR), listed=False)
    assert reminders(events) == []


def test_failure_found_at_the_first_poll_is_recalled_too() -> None:
    """It was wrong before obdag came, and waits for somebody all the same."""
    found = observe(None, sight(failed(), first_poll=True), Policy())
    _, events = live(minutely(failed(), HOUR, MINUTE), found.tracked)
    assert [e.kind for e in (*found.events, *events)] == ["discovered", "reminder"]
    assert events[0].at == at(0) + timedelta(minutes=30)
