"""The agents of a cluster: which one is asked, and what a failure of all of them means."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from bot.core.dag import Host
from bot.core.health import PollFailure, Trouble
from bot.obshell.client import AgentClient
from bot.obshell.errors import AgentError, DatabaseDown, NotCluster, Rejected, Unreachable

T = TypeVar("T")
log = structlog.get_logger()

MAX_REST = 6
"""Polls that a silent agent is left alone in, at most, where others can be asked."""
HOPELESS = (Rejected, DatabaseDown, Unreachable)
"""After one of these an agent is asked nothing more until it gives a list again. A wrong password would be a
failed login each time; without a database each question for a DAG makes agents call each other; one that
hangs would hold up the poll by its limit of time for each question."""


class AllRoutesFailed(Exception):
    """No agent gave what was asked; `failure` says what that means for the cluster."""

    def __init__(self, failure: PollFailure) -> None:
        self.failure = failure
        super().__init__(failure.error)


class CannotConnect(Exception):
    """No client can be made: a certificate file or the key of the password is missing; `str()` says which."""


@dataclass
class Route:
    """One agent, and how it did so far.

    `home` is how the agent calls itself, once it was asked, `last_home` how it did before it failed;
    `failures` counts those since its last good list, and while there is one it is asked for nothing but
    lists; `rest` the polls for which a silent agent is left alone. One that `refused` the password is never
    asked again: each try is a failed login at the database. `note` says for people what of its own could not
    be read.
    """

    client: AgentClient
    home: Host | None = None
    last_home: Host | None = None
    failures: int = 0
    rest: int = 0
    refused: bool = False
    has_logs: bool = True
    note: str | None = None

    @property
    def url(self) -> str:
        """The base URL."""
        return str(self.client.url)

    def answered(self) -> None:
        """Note a good answer."""
        self.failures = self.rest = 0
        self.note = None

    def failed(self, trouble: Trouble) -> None:
        """Note a failure: the agent may come back as another one, and is left alone for some polls."""
        self.failures += 1
        self.rest = min(2**self.failures - 1, MAX_REST)
        self.refused = trouble is Trouble.AUTH
        self.last_home = self.home or self.last_home
        self.home = None


class Routes:
    """The agents of one cluster in the order of their health, the last good one first.

    One request is in flight to an agent at a time, and only the owner of a cluster asks at all. `open_client`
    makes the client of a URL at the first question; it may raise `CannotConnect`, which is a failure like
    another: it can pass, and it must not stop the watching of other clusters.
    """

    def __init__(self, urls: Sequence[str], open_client: Callable[[str], AgentClient]) -> None:
        self._urls, self._open = tuple(urls), open_client
        self._routes: list[Route] = []
        self._refusal: PollFailure | None = None

    @property
    def agents(self) -> tuple[str, ...]:
        """The base URLs, the preferred one first."""
        return tuple(route.url for route in self._routes) or self._urls

    async def close(self) -> None:
        """Close all connections."""
        for route in self._routes:
            await route.client.aclose()
        self._routes = []

    async def ask(self, question: Callable[[AgentClient], Awaitable[T]]) -> tuple[Route, T]:
        """Return the first good answer and who gave it; raises `AllRoutesFailed`.

        Once every agent has refused the password nobody is asked: not even when the refusal could not be
        stored, which would have stopped the polling.
        """
        failures: list[PollFailure] = []
        for route in self._in_order():
            try:
                answer = await question(route.client)
            except AgentError as error:
                failures.append(await self.failure(route, error))
                if failures[-1].trouble is Trouble.AUTH:
                    # Each further try with a wrong root password is a failed login at the database.
                    break
            else:
                route.answered()
                self._prefer(route)
                return route, answer
        if not failures and self._refusal is not None:
            raise AllRoutesFailed(self._refusal)
        raise AllRoutesFailed(_worst(failures))

    async def failure(self, route: Route, error: AgentError) -> PollFailure:
        """Note that an agent failed; return what that means."""
        trouble = await _trouble(route.client, error)
        route.failed(trouble)
        failure = PollFailure(
            trouble=trouble,
            error=str(error),
            agent=route.url,
            agents=self.agents,
            identity=await _identity(route.client) if trouble is Trouble.NOT_CLUSTER else None,
        )
        if route.refused:
            self._refusal = failure
        return failure

    @property
    def notes(self) -> tuple[str, ...]:
        """What cannot be read of agents, for people."""
        return tuple(route.note for route in self._routes if route.note)

    @property
    def known(self) -> tuple[Route, ...]:
        """All agents, those that refused the password too."""
        return tuple(self._routes)

    @property
    def all(self) -> tuple[Route, ...]:
        """The agents that may be asked, the healthiest first."""
        return tuple(self._in_order())

    def rested(self) -> tuple[Route, ...]:
        """Return the agents to ask for their own in this poll: a silent one is left alone for some polls."""
        ready = []
        for route in self.all:
            route.rest = max(0, route.rest - 1)
            if route.rest == 0:
                ready.append(route)
        return tuple(ready)

    def at_home(self, home: Host) -> Route | None:
        """Return the agent that calls itself so."""
        return next((route for route in self._routes if route.home == home), None)

    def add(self, urls: Iterable[str]) -> None:
        """Take up those agents of the cluster that are new, behind those that are registered.

        May raise `CannotConnect`.
        """
        for url in urls:
            if all(route.url != url for route in self._routes):
                self._routes.append(Route(self._open(url)))

    def _in_order(self) -> list[Route]:
        if not self._routes:
            try:
                self.add(self._urls)
            except CannotConnect as error:
                failure = PollFailure(
                    trouble=Trouble.UNREACHABLE, error=str(error), agent=self._urls[0], agents=self._urls
                )
                raise AllRoutesFailed(failure) from error
        willing = (route for route in self._routes if not route.refused)
        return sorted(willing, key=lambda route: route.failures)

    def _prefer(self, route: Route) -> None:
        self._routes.remove(route)
        self._routes.insert(0, route)


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


async def _identity(client: AgentClient) -> str | None:
    try:
        return (await client.info()).identity
    except AgentError as error:
        log.info("watch.identity_unknown", agent=str(client.url), error=str(error))
        return None


def _worst(failures: Sequence[PollFailure]) -> PollFailure:
    """Return the failure that says most: a refusal, then a lost database, then silence."""
    order = (Trouble.AUTH, Trouble.DEGRADED, Trouble.UNREACHABLE, Trouble.NOT_CLUSTER)
    return min(failures, key=lambda failure: order.index(failure.trouble))
