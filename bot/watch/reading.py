"""What the agents of a cluster say in one poll: the cluster's list, and the agents' own where asked for."""

import asyncio
from dataclasses import dataclass, field

import structlog

from bot.core.dag import DagSnapshot, Host
from bot.core.health import PollFailure, Trouble
from bot.obshell.client import AgentClient
from bot.obshell.errors import AgentError, Rejected, UnknownTaskType
from bot.watch.routes import HOPELESS, AllRoutesFailed, CannotConnect, Route, Routes

log = structlog.get_logger()

MAX_DETAILS = 20
"""DAGs whose details are asked for one by one where the detailed list cannot be had."""
MEMBERS_EVERY = 60
"""So many polls pass between two questions for the members of the cluster."""
READABLE = frozenset({Trouble.DEGRADED, Trouble.NOT_CLUSTER})
"""Troubles in which agents can still read their own lists."""


@dataclass
class Reading:
    """What was read, by whom, and what of it is limited.

    `homes` are the agents whose own lists were read. `failure` is set when the cluster's list could not be
    read and only those of agents are here. `notes` are for people.
    """

    route: Route
    snapshots: tuple[DagSnapshot, ...] = ()
    homes: frozenset[Host] = frozenset()
    notes: tuple[str, ...] = ()
    failure: PollFailure | None = None


@dataclass
class Reader:
    """Reads a cluster poll by poll; `everything` includes what agents do on their own (scope `all`)."""

    routes: Routes
    everything: bool = False
    _polls: int = field(default=0, init=False)

    async def read(self) -> Reading:
        """Return what the agents say; raises `AllRoutesFailed` when none says anything of use."""
        try:
            route, (snapshots, notes) = await self.routes.ask(_unfinished)
        except AllRoutesFailed as error:
            if not self.everything or error.failure.trouble not in READABLE:
                raise
            return await self._without_cluster(error)
        reading = Reading(route, snapshots, notes=notes)
        if self.everything:
            await self._learn_members(route)
            local, reading.homes = await self._local()
            reading.snapshots += local
            reading.notes += self.routes.notes
        return reading

    async def _without_cluster(self, error: AllRoutesFailed) -> Reading:
        snapshots, homes = await self._local()
        if not homes:
            raise error
        first = next(route for route in self.routes.all if route.home in homes)
        return Reading(first, snapshots, homes, failure=_locally(error.failure))

    async def _learn_members(self, route: Route) -> None:
        """Take up the agents of the cluster that are not registered."""
        self._polls += 1
        if self._polls % MEMBERS_EVERY != 1:
            return
        try:
            members = await route.client.members()
            # A registered name may stand for the same agent as a member's address.
            known = {one.last_home if one.failures else await _find_home(one) for one in self.routes.known}
            scheme = route.client.url.scheme
            self.routes.add(f"{scheme}://{member}" for member in members if member not in known)
        except AgentError as error:
            log.warning("watch.members_unknown", agent=route.url, error=str(error))
            if isinstance(error, HOPELESS):
                await self.routes.failure(route, error)
        except CannotConnect as error:
            log.warning("watch.members_out_of_reach", agent=route.url, error=str(error))

    async def _local(self) -> tuple[tuple[DagSnapshot, ...], frozenset[Host]]:
        """Return what agents do on their own, and which agents said so; all are asked at the same time."""
        found = await asyncio.gather(*(self._of_agent(route) for route in self.routes.rested()))
        seen = {snapshot.id: snapshot for snapshots, _ in found for snapshot in snapshots}
        return tuple(seen.values()), frozenset(home for _, home in found if home is not None)

    async def _of_agent(self, route: Route) -> tuple[tuple[DagSnapshot, ...], Host | None]:
        try:
            snapshots = await _own(route.client)
        except AgentError as error:
            await self.routes.failure(route, error)
            route.note = f"the own tasks of {route.url} cannot be read: {error.message}"
            log.warning("watch.local_unread", agent=route.url, error=str(error))
            return (), None
        route.answered()
        return snapshots, await _find_home(route)


async def summary_or_details(client: AgentClient, dag_id: str) -> DagSnapshot:
    """Return one DAG; of one with a task type that the agent does not know, the summary."""
    try:
        return await client.dag(dag_id)
    except UnknownTaskType as error:
        log.warning("watch.summary_only", agent=str(client.url), dag=dag_id, error=str(error))
        return await client.dag(dag_id, details=False)


async def _unfinished(client: AgentClient) -> tuple[tuple[DagSnapshot, ...], tuple[str, ...]]:
    """Return the cluster's list, and what it lacks.

    One DAG with a task type that the agent does not know spoils the details of all, not the summaries
    (recording `unknown-task-type`); the details of the others can be had one by one.
    """
    try:
        return await client.unfinished(), ()
    except UnknownTaskType as error:
        summaries = await client.unfinished(details=False)
        note = f"{client.url} cannot tell details of every DAG ({error.message}): upgrade that agent"
        log.warning("watch.summaries_only", agent=str(client.url), error=str(error))
        return await _detailed(client, summaries), (note,)


async def _detailed(client: AgentClient, summaries: tuple[DagSnapshot, ...]) -> tuple[DagSnapshot, ...]:
    detailed = []
    for snapshot in summaries[:MAX_DETAILS]:
        try:
            detailed.append(await summary_or_details(client, snapshot.id))
        except Rejected:
            raise
        except AgentError as error:
            log.warning("watch.no_details", agent=str(client.url), dag=snapshot.id, error=str(error))
            if isinstance(error, HOPELESS):
                break
            detailed.append(snapshot)
    return (*detailed, *summaries[len(detailed) :])


async def _own(client: AgentClient) -> tuple[DagSnapshot, ...]:
    try:
        return await client.local_unfinished()
    except UnknownTaskType as error:
        log.warning("watch.summaries_only", agent=str(client.url), error=str(error))
        return await client.local_unfinished(details=False)


async def _find_home(route: Route) -> Host | None:
    """Return how an agent calls itself: ids of its own DAGs begin with that."""
    if route.home is not None:
        return route.home
    try:
        info = await route.client.info()
    except AgentError as error:
        log.warning("watch.home_unknown", agent=route.url, error=str(error))
        return None
    route.home = Host(info.ip, info.port) if info.ip and info.port else None
    return route.home


def _locally(failure: PollFailure) -> PollFailure:
    return PollFailure(
        trouble=failure.trouble,
        error=failure.error,
        agent=failure.agent,
        agents=failure.agents,
        identity=failure.identity,
        local=True,
    )
