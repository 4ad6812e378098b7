"""What the polls of a cluster come to: its state, and the troubles that people are told of, once each.

    poll answered            → ok; an earlier trouble that was told is `cluster_recovered`
    no agent reachable       → `cluster_unreachable` at the third failure in a row
    database down            → `cluster_degraded` at the third failure in a row
    password refused         → `auth_failed` at once
    not a cluster agent      → `not_cluster_agent` at once

A trouble is one episode from its first failure to the next good answer, whatever forms it takes meanwhile;
only a refused password is told inside an episode too: it is the operator's turn, and polling has stopped.
When another password was set, the count of failures begins anew (`another_password`).

After an outage lines and states of that time still come in for some seconds (`settling`).
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from bot.core.clocks import ClockWatch
from bot.core.events import (
    AuthFailed,
    ClusterDegraded,
    ClusterEvent,
    ClusterRecovered,
    ClusterUnreachable,
    NotClusterAgent,
)
from bot.core.rebuild import BUILDING
from bot.core.views import ClusterState

FAILURES_BEFORE_ALARM = 3
SETTLING = timedelta(seconds=2.5)
"""Lines and states of an outage appear within about 2 s after it (recording `database-down`)."""


class Trouble(StrEnum):
    """Why a poll gave no list of DAGs."""

    UNREACHABLE = "unreachable"
    DEGRADED = "degraded"
    AUTH = "auth_failed"
    NOT_CLUSTER = "not_cluster_agent"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What has been seen and told so far.

    `told` is the kind of the event that told the present trouble; `left` the identity without a cluster that
    an agent had during it; `answers_since` the end of the last trouble, until all of it has settled; `newest`
    the highest row number of a DAG that was ever seen in the cluster's store.
    """

    failures: int = 0
    since: datetime | None = None
    episode: int = 0
    told: str | None = None
    left: str | None = None
    answers_since: datetime | None = None
    clock: ClockWatch = ClockWatch()
    newest: int | None = None


class PollFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A poll that failed on every route; `error` is one line for people.

    `identity` is what an agent said to be that is no cluster agent; `local` tells that the agents' own DAGs
    could be read all the same.
    """

    trouble: Trouble
    error: str
    agent: str
    agents: tuple[str, ...] = ()
    open_dags: tuple[str, ...] = ()
    identity: str | None = None
    local: bool = False


STATE_OF: dict[Trouble, ClusterState] = {
    Trouble.UNREACHABLE: ClusterState.UNREACHABLE,
    Trouble.DEGRADED: ClusterState.DEGRADED,
    Trouble.AUTH: ClusterState.AUTH_FAILED,
    Trouble.NOT_CLUSTER: ClusterState.NOT_CLUSTER_AGENT,
}


def answered(health: Health, cluster: str, now: datetime) -> tuple[Health, ClusterEvent | None]:
    """Return the health after a good poll, and the recovery to tell if a trouble had been told."""
    fresh = Health(
        episode=health.episode, clock=health.clock, newest=health.newest, answers_since=_settles(health, now)
    )
    if health.told is None:
        return fresh, None
    recovered = ClusterRecovered(
        cluster=cluster, episode=health.episode, at=now, was=health.told, since=health.since or now
    )
    return fresh, recovered


def settling_until(health: Health, now: datetime) -> datetime | None:
    """Return until when what happened during an outage may still come in, None when all is in."""
    since = _settles(health, now)
    return since + SETTLING if since else None


def _settles(health: Health, now: datetime) -> datetime | None:
    """Return when the agents began to answer again, unless that is long past."""
    since = now if health.failures else health.answers_since
    return since if since is not None and now < since + SETTLING else None


def failed(
    health: Health, cluster: str, failure: PollFailure, now: datetime
) -> tuple[Health, ClusterEvent | None]:
    """Return the health after a failed poll, and the trouble to tell if it is time to."""
    first = health.failures == 0
    counted = msgspec.structs.replace(
        health,
        failures=health.failures + 1,
        since=now if first else health.since,
        episode=health.episode + 1 if first else health.episode,
        left=failure.identity if failure.identity in BUILDING else health.left,
        answers_since=None,
    )
    if not _is_news(counted, failure.trouble):
        return counted, None
    event = _event(counted, cluster, failure, now)
    return msgspec.structs.replace(counted, told=event.kind), event


def another_password(health: Health) -> Health:
    """Return the health after an operator set another password: what was told is still to be ended."""
    return msgspec.structs.replace(health, failures=0)


def state_after(health: Health, trouble: Trouble) -> ClusterState | None:
    """Return the state to show after a failure, or None while the last state still stands."""
    if trouble in {Trouble.AUTH, Trouble.NOT_CLUSTER} or health.failures >= FAILURES_BEFORE_ALARM:
        return STATE_OF[trouble]
    return None


def _is_news(health: Health, trouble: Trouble) -> bool:
    if trouble is Trouble.AUTH:
        # After a refusal polling goes on only with another password: that one's refusal is news again.
        return health.told != "auth_failed" or health.failures == 1
    if health.told is not None:
        return False
    return trouble is Trouble.NOT_CLUSTER or health.failures >= FAILURES_BEFORE_ALARM


def _event(health: Health, cluster: str, failure: PollFailure, now: datetime) -> ClusterEvent:
    since = health.since or now
    match failure.trouble:
        case Trouble.AUTH:
            return AuthFailed(
                cluster=cluster, episode=health.episode, at=now, agent=failure.agent, error=failure.error
            )
        case Trouble.NOT_CLUSTER:
            return NotClusterAgent(
                cluster=cluster,
                episode=health.episode,
                at=now,
                agent=failure.agent,
                identity=failure.identity,
                error=failure.error,
            )
        case Trouble.DEGRADED:
            return ClusterDegraded(
                cluster=cluster,
                episode=health.episode,
                at=now,
                since=since,
                error=failure.error,
                agents=failure.agents,
                open_dags=failure.open_dags,
                local=failure.local,
            )
        case Trouble.UNREACHABLE:
            return ClusterUnreachable(
                cluster=cluster,
                episode=health.episode,
                at=now,
                since=since,
                error=failure.error,
                agents=failure.agents,
                open_dags=failure.open_dags,
            )
