"""The agents of a cluster: which one is asked, and what a failure of all of them means."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from bot.core.dag import DagSnapshot
from bot.core.health import PollFailure, Trouble
from bot.obshell.client import AgentClient
from bot.obshell.errors import AgentError, DatabaseDown, NotCluster, Rejected, UnknownTaskType

T = TypeVar("T")
log = structlog.get_logger()


class AllRoutesFailed(Exception):
    """No agent gave what was asked; `failure` says what that means for the cluster."""

    def __init__(self, failure: PollFailure) -> None:
        self.failure = failure
        super().__init__(failure.error)


class CannotConnect(Exception):
    """No client can be made: a certificate file or the key of the password is missing; `str()` says which."""


class Routes:
    """The agents of one cluster, the last good one first.

    One request is in flight at a time: agents are asked one after the other, and only the owner of a cluster
    asks at all. `open_clients` makes the clients at the first question; it may raise `CannotConnect`, which
    is a failure like another: it can pass, and it must not stop the watching of other clusters.
    """

    def __init__(self, urls: Sequence[str], open_clients: Callable[[], Sequence[AgentClient]]) -> None:
        self._urls, self._open = tuple(urls), open_clients
        self._clients: list[AgentClient] = []

    @property
    def agents(self) -> tuple[str, ...]:
        """The base URLs, the preferred one first."""
        return tuple(str(client.url) for client in self._clients) or self._urls

    async def unfinished(self) -> tuple[AgentClient, tuple[DagSnapshot, ...]]:
        """Return the unfinished DAGs and the agent that told them; raises `AllRoutesFailed`."""
        return await self._ask(_unfinished)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()
        self._clients = []

    async def _ask(self, question: Callable[[AgentClient], Awaitable[T]]) -> tuple[AgentClient, T]:
        self._ensure_clients()
        failures: list[PollFailure] = []
        for client in list(self._clients):
            try:
                answer = await question(client)
            except AgentError as error:
                failure = PollFailure(
                    trouble=await _trouble(client, error),
                    error=str(error),
                    agent=str(client.url),
                    agents=self.agents,
                )
                failures.append(failure)
                if failure.trouble is Trouble.AUTH:
                    # Each further try with a wrong root password is a failed login at the database.
                    break
            else:
                self._prefer(client)
                return client, answer
        raise AllRoutesFailed(_worst(failures))

    def _ensure_clients(self) -> None:
        if self._clients:
            return
        try:
            self._clients = list(self._open())
        except CannotConnect as error:
            failure = PollFailure(
                trouble=Trouble.UNREACHABLE, error=str(error), agent=self._urls[0], agents=self._urls
            )
            raise AllRoutesFailed(failure) from error

    def _prefer(self, client: AgentClient) -> None:
        if self._clients[0] is not client:
            self._clients.remove(client)
            self._clients.insert(0, client)


async def _unfinished(client: AgentClient) -> tuple[DagSnapshot, ...]:
    try:
        return await client.unfinished()
    except UnknownTaskType as error:
        # One DAG of another agent version spoils the detailed list, not the summaries.
        log.warning("watch.summaries_only", agent=str(client.url), error=str(error))
        return await client.unfinished(details=False)


async def _trouble(client: AgentClient, error: AgentError) -> Trouble:
    match error:
        case Rejected() if error.blames_password:
            return Trouble.DEGRADED if await _database_is_down(client) else Trouble.AUTH
        case DatabaseDown():
            return Trouble.DEGRADED
        case NotCluster():
            return Trouble.NOT_CLUSTER
        case _:
            return Trouble.UNREACHABLE


async def _database_is_down(client: AgentClient) -> bool:
    """Return whether a correct password would be refused too: it cannot be compared without a database."""
    try:
        status = await client.status()
    except AgentError:
        return False
    return not status.database_usable


def _worst(failures: Sequence[PollFailure]) -> PollFailure:
    """Return the failure that says most: a refusal, then a lost database, then silence."""
    order = (Trouble.AUTH, Trouble.DEGRADED, Trouble.UNREACHABLE, Trouble.NOT_CLUSTER)
    return min(failures, key=lambda failure: order.index(failure.trouble))
