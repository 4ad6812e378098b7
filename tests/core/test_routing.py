"""Who hears what."""

import pytest

from bot.core.dag import State
from bot.core.events import (
    CLUSTER_EVENTS,
    DAG_EVENTS,
    Cancelling,
    ClusterEvent,
    Digest,
    Discovered,
    Event,
    Failed,
    LateLines,
    Reminder,
    Resumed,
    StageAdvanced,
    Stalled,
    Started,
)
from bot.core.routing import Level, Subscription, destinations, hears
from tests.core.test_events import SAMPLES

ROUTINE = {Started, Discovered, StageAdvanced, LateLines, Cancelling, Resumed, Digest}
ALARMS = {Failed, Reminder, Stalled, *CLUSTER_EVENTS} - {Digest}


def told(level: Level) -> set[type[Event]]:
    """Return the kinds that a level hears."""
    return {kind for kind in (*DAG_EVENTS, *CLUSTER_EVENTS) if hears(level, SAMPLES[kind])}


def test_all_hears_everything() -> None:
    """The level of a cluster's own channel leaves nothing out."""
    assert told(Level.ALL) == {*DAG_EVENTS, *CLUSTER_EVENTS}


def test_important_leaves_out_the_routine() -> None:
    """Starts, stages and their like are left out; all ends, operators and alarms are heard."""
    assert told(Level.IMPORTANT) == {*DAG_EVENTS, *CLUSTER_EVENTS} - ROUTINE


def test_failures_hears_what_needs_somebody() -> None:
    """Failures, stalls and the troubles of clusters, and nothing else."""
    assert told(Level.FAILURES) == ALARMS


def subscribed(*rows: tuple[str, str, Level]) -> list[Subscription]:
    """Return subscriptions."""
    return [Subscription(cluster=cluster, channel=channel, level=level) for cluster, channel, level in rows]


DESTINATIONS = {
    "own channel": ("C1", "C0", [], {"C1": Level.ALL}),
    "default channel": (None, "C0", [], {"C0": Level.ALL}),
    "nobody": (None, None, [], {}),
    "another channel too": (
        "C1",
        None,
        subscribed(("prod", "C2", Level.FAILURES)),
        {"C1": Level.ALL, "C2": Level.FAILURES},
    ),
    "another cluster's subscription": ("C1", None, subscribed(("test", "C2", Level.ALL)), {"C1": Level.ALL}),
    "own channel wants less": (
        "C1",
        None,
        subscribed(("prod", "C1", Level.IMPORTANT)),
        {"C1": Level.IMPORTANT},
    ),
    "the particular goes before the general": (
        None,
        None,
        subscribed(("prod", "C2", Level.ALL), ("*", "C2", Level.FAILURES)),
        {"C2": Level.ALL},
    ),
    "all clusters": (None, None, subscribed(("*", "C2", Level.IMPORTANT)), {"C2": Level.IMPORTANT}),
}


@pytest.mark.parametrize("name", DESTINATIONS)
def test_channels_of_a_cluster(name: str) -> None:
    """Its own channel or the default one hears all unless it said otherwise; others as they subscribed."""
    own, default, subscriptions, expected = DESTINATIONS[name]
    assert destinations("prod", own, default, subscriptions) == expected


@pytest.mark.parametrize("kind", [*DAG_EVENTS, *CLUSTER_EVENTS])
def test_failures_are_urgent_and_shown_in_the_channel(kind: type[Event]) -> None:
    """Only `failed` goes first; failures, their reminders, stalls and outages are shown in the channel."""
    assert kind.is_failure is (kind is Failed)
    shown = kind.broadcast and not issubclass(kind, ClusterEvent)
    assert shown is (kind in {Failed, Reminder, Stalled})


def test_level_does_not_depend_on_the_state_of_the_dag() -> None:
    """A DAG discovered in failure is a discovery: it was wrong before obdag came."""
    sample = SAMPLES[Discovered]
    assert isinstance(sample, Discovered)
    discovered = Discovered(dag=sample.dag, at=sample.at, state=State.FAILED)
    assert not hears(Level.FAILURES, discovered)
