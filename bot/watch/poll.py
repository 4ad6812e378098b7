"""What one poll of a cluster comes to. Nothing is asked and nothing is stored here."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from bot.core import health as health_rules
from bot.core.clocks import measured
from bot.core.dag import DagSnapshot
from bot.core.events import ClusterEvent
from bot.core.health import Health, PollFailure, Trouble
from bot.core.rebuild import rebuilt
from bot.core.stall import Policy
from bot.core.sweep import Answer, forget_all, sweep
from bot.core.tracked import Observation, TrackedDag
from bot.core.views import ClusterState
from bot.store.clusters import Cluster, HealthRow
from bot.watch.reading import Reading

RECENT = timedelta(minutes=5)


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll came to, before it is stored.

    `rebuilt` tells that the cluster is another one than before: its DAGs begin anew. `again_at` asks for a
    poll before the next regular one.
    """

    health: HealthRow
    observations: dict[str, Observation] = {}
    cluster_events: tuple[ClusterEvent, ...] = ()
    sight_changed: bool = False
    rebuilt: bool = False
    again_at: datetime | None = None


def answer_of(cluster: Cluster, health: HealthRow, reading: Reading, now: datetime) -> Answer:
    """Return what was read at `now` with its circumstances."""
    client = reading.route.client
    settles = health_rules.settling_until(health.tracking, now)
    return Answer(
        cluster=cluster.name,
        snapshots=reading.snapshots,
        at=now,
        agent_now=now + timedelta(seconds=client.skew_s or 0.0),
        first_poll=health.checked_at is None,
        fresh=health.checked_at is not None and now - health.checked_at < RECENT,
        settling=settles is not None and reading.failure is None,
        cluster_read=reading.failure is None,
        homes=reading.homes,
        agent_url=str(client.url),
        runbook=cluster.registration.runbook,
    )


def observed(
    answer: Answer,
    reading: Reading,
    tracked: Mapping[str, TrackedDag],
    policy: Policy,
    health: HealthRow,
    newest: int | None,
) -> Polled:
    """Return what a good answer came to; `newest` is the highest row number seen."""
    tracking, recovered = health_rules.answered(health.tracking, answer.cluster, answer.at)
    clock, skewed = measured(
        tracking.clock, answer.cluster, reading.route.url, reading.route.client.skew_s or 0.0, answer.at
    )
    row = HealthRow(
        state=ClusterState.OK,
        tracking=msgspec.structs.replace(tracking, clock=clock, newest=newest),
        agent=reading.route.url,
        error="; ".join(reading.notes) or None,
        checked_at=answer.at,
        attempted_at=answer.at,
    )
    seen: tuple[DagSnapshot, ...] = (*answer.snapshots, *answer.looked_up)
    if proof := rebuilt(tracked, seen, health.tracking.left):
        return _rebuilt(answer, tracked, row, recovered, proof)
    swept = sweep(tracked, answer, policy)
    return Polled(
        health=row,
        observations=swept.observations,
        cluster_events=tuple(e for e in (recovered, skewed, swept.digest) if e is not None),
        sight_changed=recovered is not None,
        again_at=health_rules.settling_until(health.tracking, answer.at),
    )


def failed(cluster: Cluster, health: HealthRow, failure: PollFailure, now: datetime) -> Polled:
    """Return what a poll without an answer came to: nothing is concluded about any DAG."""
    tracking, event = health_rules.failed(health.tracking, cluster.name, failure, now)
    state = health_rules.state_after(tracking, failure.trouble) or health.state
    return Polled(
        health=msgspec.structs.replace(
            health, state=state, tracking=tracking, error=_error(failure), attempted_at=now
        ),
        cluster_events=(event,) if event else (),
        sight_changed=event is not None,
    )


def local_only(
    cluster: Cluster,
    health: HealthRow,
    failure: PollFailure,
    answer: Answer,
    tracked: Mapping[str, TrackedDag],
    policy: Policy,
) -> Polled:
    """Return what a poll came to that reached the agents' own lists, but not the cluster's."""
    polled = failed(cluster, health, failure, answer.at)
    swept = sweep(tracked, answer, policy)
    digest = () if swept.digest is None else (swept.digest,)
    return msgspec.structs.replace(
        polled, observations=swept.observations, cluster_events=(*polled.cluster_events, *digest)
    )


def refused_meanwhile(cluster: Cluster, health: HealthRow, now: datetime) -> Polled:
    """Return what is to be told of a refused password that a command met while no service ran."""
    agent = health.agent or cluster.registration.urls[0]
    failure = PollFailure(trouble=Trouble.AUTH, error=health.error or "the password was refused", agent=agent)
    return failed(cluster, health, failure, now)


def _rebuilt(
    answer: Answer,
    tracked: Mapping[str, TrackedDag],
    row: HealthRow,
    recovered: ClusterEvent | None,
    proof: str,
) -> Polled:
    """Close what belonged to the old cluster; the next poll is the first one of the new."""
    reason = f"The cluster was rebuilt: {proof}."
    fresh = Health(episode=row.tracking.episode, clock=row.tracking.clock)
    return Polled(
        health=msgspec.structs.replace(row, tracking=fresh, checked_at=None),
        observations=forget_all(tracked, answer.cluster, answer.at, reason),
        cluster_events=(recovered,) if recovered else (),
        sight_changed=recovered is not None,
        rebuilt=True,
        again_at=answer.at,
    )


def _error(failure: PollFailure) -> str:
    if not failure.local:
        return failure.error
    return f"degraded: reading agents' local state, the cluster's cannot be read: {failure.error}"
