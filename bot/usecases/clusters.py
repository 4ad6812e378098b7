"""Registering clusters: check, then store. Passwords come in plain and are stored encrypted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import msgspec

from bot.clock import Clock
from bot.core.views import ClusterState
from bot.keys import Vault
from bot.obshell.client import AgentClient
from bot.obshell.connect import BadTlsFiles, connect
from bot.store import clusters, registering
from bot.store.clusters import Cluster, HealthRow, Registration
from bot.store.engine import Store
from bot.usecases.checking import AgentCheck, CheckFailed, WrongPassword, check_agent
from bot.usecases.errors import Invalid, UnknownCluster, UsecaseError
from bot.usecases.naming import checked, tls_files

KNOWN_NAMED = 20
"""So many names fit into one line of an error."""


class Duplicate(UsecaseError):
    """A cluster of that name is registered already."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"a cluster called {name!r} is registered already: obdag clusters edit {name}, or remove {name}"
        )


class PasswordRefused(UsecaseError):
    """An agent refused the stored password; nobody sends it again until it is set anew."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the password of {name} was refused and is not tried again: obdag clusters set-password {name}"
        )


@dataclass(frozen=True, kw_only=True)
class Registry:
    """What managing clusters needs; `connect` makes the client of one agent."""

    store: Store
    vault: Vault
    clock: Clock
    connect: Callable[..., AgentClient] = field(default=connect)


async def find(registry: Registry, name: str) -> Cluster:
    """Return a registered cluster; raises `UnknownCluster`."""
    cluster = await registry.store.read(clusters.find, name)
    if cluster is None:
        known = await registry.store.read(clusters.names)
        near = tuple(get_close_matches(name, known, n=3))
        raise UnknownCluster(name, near=near, known=tuple(known[:KNOWN_NAMED]))
    return cluster


async def everything(registry: Registry) -> list[tuple[Cluster, HealthRow]]:
    """Return all clusters by name, each with what its last polls came to."""
    return await registry.store.read(registering.overview)


async def add(
    registry: Registry, wanted: Registration, password: str, *, check: bool = True
) -> list[AgentCheck]:
    """Register a cluster and return what its agents said; raises `UsecaseError` and then stores nothing.

    With `check`, every agent named must be a healthy one and accept the password.
    """
    wanted = _sealed(registry, checked(wanted), password)
    if await registry.store.read(clusters.find, wanted.name):
        raise Duplicate(wanted.name)
    reports = [await _check_one(registry, wanted, url) for url in wanted.urls] if check else []
    if not await registry.store.write(registering.add_new, wanted, registry.clock()):
        raise Duplicate(wanted.name)
    return reports


async def edit(
    registry: Registry, name: str, changes: dict[str, Any], *, check: bool = True
) -> list[AgentCheck]:
    """Change what is registered, checking agents anew when the way to them changes; raises `UsecaseError`."""
    cluster = await find(registry, name)
    wanted = checked(msgspec.structs.replace(cluster.registration, **changes))
    rerouted = _route(wanted) != _route(cluster.registration)
    if rerouted and check:
        await _refuse_after_refusal(registry, cluster)
    reports = [await _check_one(registry, wanted, url) for url in wanted.urls] if rerouted and check else []
    await registry.store.write(clusters.edit, cluster.id, wanted)
    return reports


async def set_password(
    registry: Registry, name: str, password: str, *, user: str | None = None, check: bool = True
) -> list[AgentCheck | CheckFailed]:
    """Store a new password and let a stopped cluster be polled again; raises `UsecaseError`.

    With `check`, no agent may refuse it, and at least one must accept it: others may be down.
    """
    cluster = await find(registry, name)
    user = user or cluster.registration.user
    wanted = checked(msgspec.structs.replace(cluster.registration, user=user))
    wanted = _sealed(registry, wanted, password)
    reports = await _check_all(registry, wanted) if check else []
    failures = [report for report in reports if isinstance(report, CheckFailed)]
    for failure in failures:
        if isinstance(failure, WrongPassword) or len(failures) == len(reports):
            raise failure
    await registry.store.write(registering.renew_secret, cluster.id, wanted.secret, user)
    return reports


async def check(registry: Registry, name: str) -> list[AgentCheck | CheckFailed]:
    """Ask every agent of a cluster how it is; raises `PasswordRefused` when the password may not be sent.

    A refusal met here is stored, so that no command and no service sends the password again.
    """
    cluster = await find(registry, name)
    await _refuse_after_refusal(registry, cluster)
    reports = await _check_all(registry, cluster.registration)
    for report in reports:
        if isinstance(report, WrongPassword):
            await remember_refusal(registry, cluster, report.agent, str(report))
    return reports


async def remember_refusal(registry: Registry, cluster: Cluster, agent: str, error: str) -> None:
    """Store that an agent refused the stored password."""
    await registry.store.write(
        registering.remember_refusal, cluster.id, agent=agent, error=error, at=registry.clock()
    )


async def health(registry: Registry, cluster: Cluster) -> HealthRow:
    """Return what the last polls of a cluster came to."""
    return await registry.store.read(clusters.health_of, cluster.id)


async def remove(registry: Registry, name: str) -> None:
    """Forget a cluster with all that is stored about it; raises `UnknownCluster`."""
    cluster = await find(registry, name)
    await registry.store.write(clusters.remove, cluster.id)


async def set_paused(registry: Registry, name: str, *, paused: bool) -> None:
    """Stop or resume the polling of a cluster; raises `UnknownCluster`."""
    cluster = await find(registry, name)
    await registry.store.write(clusters.set_paused, cluster.id, paused=paused)


def open_client(registry: Registry, registration: Registration, url: str) -> AgentClient:
    """Return a client of one agent with the registered password.

    Raises `KeyProblem` when the password was encrypted with another key, `Invalid` for lost TLS files.
    """
    secret = registration.secret
    password = registry.vault.decrypt(secret) if secret is not None else ""
    try:
        return registry.connect(
            url,
            user=registration.user,
            password=lambda: password,
            clock=registry.clock,
            tls=tls_files(registration),
        )
    except BadTlsFiles as error:
        raise Invalid(f"cluster {registration.name}: {error}") from error


async def _refuse_after_refusal(registry: Registry, cluster: Cluster) -> None:
    if (await health(registry, cluster)).state is ClusterState.AUTH_FAILED:
        raise PasswordRefused(cluster.name)


def _sealed(registry: Registry, registration: Registration, password: str) -> Registration:
    secret = registry.vault.encrypt(password) if password else None
    return msgspec.structs.replace(registration, secret=secret)


def _route(registration: Registration) -> tuple[object, ...]:
    return registration.urls, registration.user, tls_files(registration)


async def _check_one(registry: Registry, registration: Registration, url: str) -> AgentCheck:
    async with open_client(registry, registration, url) as client:
        return await check_agent(client, registry.clock)


async def _check_all(registry: Registry, registration: Registration) -> list[AgentCheck | CheckFailed]:
    """Check agents one after the other; after a refused password no other is asked."""
    reports: list[AgentCheck | CheckFailed] = []
    for url in registration.urls:
        try:
            reports.append(await _check_one(registry, registration, url))
        except CheckFailed as failure:
            reports.append(failure)
            if isinstance(failure, WrongPassword):
                break
    return reports
