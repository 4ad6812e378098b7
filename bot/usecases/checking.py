"""Looking at an agent before it is trusted with a registration: identity, version, clock, password."""

import re
from datetime import datetime

import msgspec

from bot.clock import Clock
from bot.obshell.client import AgentClient
from bot.obshell.errors import (
    AgentError,
    DatabaseDown,
    NotCluster,
    Protocol,
    Rejected,
    TlsFailed,
    UnknownTaskType,
)
from bot.obshell.values import AgentInfo
from bot.usecases.errors import UsecaseError

OLDEST = (4, 2, 3)
"""Agents before 4.2.3.0 know only the first way to authenticate, which obdag does not speak."""
SKEW_ALLOWED_S = 60.0


class CheckFailed(UsecaseError):
    """An agent cannot be used as it is; `str()` says why and what to do."""

    def __init__(self, agent: str, problem: str) -> None:
        self.agent = agent
        super().__init__(f"{agent}: {problem}")


class WrongPassword(CheckFailed):
    """The agent refused the password. Nobody may try it again: each try is a login at the database."""


class AgentCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a healthy agent said. `skew_s` is how far its clock is ahead of ours, in seconds."""

    agent: str
    version: str
    ob_version: str
    zone: str
    skew_s: float
    unfinished: int

    @property
    def clock_skewed(self) -> bool:
        """Whether the clocks differ enough to be worth a word."""
        return abs(self.skew_s) > SKEW_ALLOWED_S


async def check_agent(client: AgentClient, clock: Clock) -> AgentCheck:
    """Ask an agent all that matters, the password last; raises `CheckFailed`."""
    agent = str(client.url)
    try:
        info = await client.info()
        _refuse_identity(agent, info)
        _refuse_version(agent, info)
        told = await client.time()
        skew = _skew_s(told, clock())
        unfinished = await _count(client)
    except AgentError as error:
        raise await _explained(client, error) from error
    return AgentCheck(
        agent=agent,
        version=info.version,
        ob_version=info.ob_version,
        zone=info.zone,
        skew_s=skew,
        unfinished=unfinished,
    )


async def _count(client: AgentClient) -> int:
    try:
        return len(await client.unfinished(details=False))
    except UnknownTaskType as error:
        raise CheckFailed(str(client.url), f"it cannot list its DAGs: {error.message}") from error


def _refuse_identity(agent: str, info: AgentInfo) -> None:
    if not info.is_cluster_agent:
        raise CheckFailed(
            agent,
            f"not a cluster agent: its identity is {info.identity or 'unknown'}; name an agent of a running "
            "cluster (identity CLUSTER AGENT)",
        )


def _refuse_version(agent: str, info: AgentInfo) -> None:
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", info.version)
    old = match is not None and tuple(map(int, match.groups())) < OLDEST
    if old or (info.supported_auth and "v2" not in info.supported_auth):
        raise CheckFailed(
            agent, f"obshell {info.version} is too old: upgrade it to 4.2.3 or newer (obshell agent upgrade)"
        )


def _skew_s(told: datetime, now: datetime) -> float:
    return (told - now).total_seconds()


async def _explained(client: AgentClient, error: AgentError) -> CheckFailed:
    agent = str(client.url)
    match error:
        case Rejected() if error.blames_password:
            if await _database_is_down(client):
                return CheckFailed(
                    agent,
                    "the password cannot be checked while the database is down: start it first, or use "
                    "--no-check",
                )
            return WrongPassword(
                agent, f"the password is wrong ({error.message}); it is that of root@sys, or see --user agent"
            )
        case DatabaseDown():
            return CheckFailed(agent, f"its database is down, so its DAGs cannot be read: {error.message}")
        case NotCluster():
            return CheckFailed(agent, "not a cluster agent (any more): name an agent of a running cluster")
        case TlsFailed():
            return CheckFailed(
                agent, f"TLS failure: {error.message}; see --ca-file, --client-cert, --insecure"
            )
        case Protocol():
            return CheckFailed(agent, f"no OBShell agent answers there: {error.message}")
        case Rejected():
            return CheckFailed(agent, f"refused the request: {error.message}")
        case _:
            return CheckFailed(agent, f"unreachable: {error.message}")


async def _database_is_down(client: AgentClient) -> bool:
    """Return whether a correct password would be refused too: it is compared by a login."""
    try:
        return not (await client.status()).database_usable
    except AgentError:
        return False
