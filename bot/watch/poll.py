"""One poll of one cluster: ask, observe, look up what is missing. Nothing is stored here."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
import structlog

from bot.core import health as health_rules
from bot.core.dag import DagSnapshot
from bot.core.events import ClusterEvent
from bot.core.health import PollFailure, Trouble
from bot.core.stall import Policy
from bot.core.sweep import Answer, sweep
from bot.core.tracker import Observation, TrackedDag, forget, observe
from bot.core.views import ClusterState
from bot.obshell.client import AgentClient
from bot.obshell.errors import AgentError, DatabaseDown, Gone, UnknownTaskType, Unreachable
from bot.store.clusters import Cluster, HealthRow

log = structlog.get_logger()

MAX_LOOKUPS = 20
"""DAGs looked up by id in one poll; what is left over is looked up in the next."""


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll came to, before it is stored."""

    health: HealthRow
    observations: dict[str, Observation] = {}
    cluster_events: tuple[ClusterEvent, ...] = ()
    sight_changed: bool = False


def answer_of(cluster: Cluster, health: HealthRow, client: AgentClient, now: datetime) -> Answer:
    """Return the circumstances of an answer that came at `now`, still without its DAGs."""
    recently = health.checked_at is not None and now - health.checked_at < timedelta(minutes=5)
    return Answer(
        cluster=cluster.name,
        snapshots=(),
        at=now,
        agent_now=now + timedelta(seconds=client.skew_s or 0.0),
        first_poll=health.checked_at is None,
        fresh=recently,
        agent_url=str(client.url),
        runbook=cluster.registration.runbook,
    )


async def observed(
    answer: Answer, client: AgentClient, tracked: Mapping[str, TrackedDag], policy: Policy, health: HealthRow
) -> Polled:
    """Return what a good answer came to, with the DAGs that left the list looked up by id."""
    swept = sweep(tracked, answer, policy)
    looked_up = await _look_up(answer, client, tracked, swept.missing[:MAX_LOOKUPS], policy)
    tracking, recovered = health_rules.answered(health.tracking, answer.cluster, answer.at)
    events = tuple(e for e in (recovered, swept.digest) if e is not None)
    return Polled(
        health=HealthRow(
            state=ClusterState.OK,
            tracking=tracking,
            agent=str(client.url),
            error=None,
            checked_at=answer.at,
            attempted_at=answer.at,
        ),
        observations={**swept.observations, **looked_up},
        cluster_events=events,
        sight_changed=recovered is not None,
    )


def failed(cluster: Cluster, health: HealthRow, failure: PollFailure, now: datetime) -> Polled:
    """Return what a poll without an answer came to: nothing is concluded about any DAG."""
    tracking, event = health_rules.failed(health.tracking, cluster.name, failure, now)
    state = health_rules.state_after(tracking, failure.trouble) or health.state
    return Polled(
        health=msgspec.structs.replace(
            health, state=state, tracking=tracking, error=failure.error, attempted_at=now
        ),
        cluster_events=(event,) if event else (),
        sight_changed=event is not None,
    )


def refused_meanwhile(cluster: Cluster, health: HealthRow, now: datetime) -> Polled:
    """Return what is to be told of a refused password that a command met while no service ran."""
    agent = health.agent or cluster.registration.urls[0]
    failure = PollFailure(trouble=Trouble.AUTH, error=health.error or "the password was refused", agent=agent)
    return failed(cluster, health, failure, now)


async def _look_up(
    answer: Answer,
    client: AgentClient,
    tracked: Mapping[str, TrackedDag],
    missing: tuple[str, ...],
    policy: Policy,
) -> dict[str, Observation]:
    found: dict[str, Observation] = {}
    for dag_id in missing:
        try:
            snapshot = await _dag(client, dag_id)
        except Gone as error:
            found[dag_id] = forget(tracked[dag_id], answer.cluster, answer.at, error.message)
        except (DatabaseDown, Unreachable) as error:
            # Without a database agents answer such a request by asking each other: send no more of them. An
            # agent that hangs would hold up the rest of this answer by its limit of time for each DAG.
            log.warning("watch.lookup_stopped", cluster=answer.cluster, dag=dag_id, error=str(error))
            break
        except AgentError as error:
            log.warning("watch.lookup_failed", cluster=answer.cluster, dag=dag_id, error=str(error))
        else:
            found[dag_id] = observe(tracked[dag_id], answer.sight(snapshot, listed=False), policy)
    return found


async def _dag(client: AgentClient, dag_id: str) -> DagSnapshot:
    try:
        return await client.dag(dag_id)
    except UnknownTaskType as error:
        # As with the list: a DAG of another agent version can be read in summary.
        log.warning("watch.summary_only", agent=str(client.url), dag=dag_id, error=str(error))
        return await client.dag(dag_id, details=False)
