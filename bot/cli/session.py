"""What the commands share: the settings, and the database opened for as long as a command runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import typer

from bot import log
from bot.clock import Clock, system_clock
from bot.config import Settings, process_environment
from bot.keys import load_vault
from bot.store import clusters
from bot.store.engine import Store, database_url, make_engine
from bot.store.lock import lock_for
from bot.store.migrate import opening, prepare
from bot.usecases.clusters import Registry

T = TypeVar("T")

DOTENV = Path(".env")


@dataclass(frozen=True)
class Session:
    """One call of the program."""

    environment: Mapping[str, str] = field(default_factory=process_environment)
    clock: Clock = system_clock
    redactor: log.Redactor = field(default_factory=log.Redactor)

    def settings(self, roles: Collection[str] = ()) -> Settings:
        """Return the settings, with the logs set up by them; raises `ConfigError`."""
        settings = Settings.from_env(self.environment, DOTENV, roles=roles)
        for secret in settings.secrets():
            self.redactor.add(secret)
        log.configure(settings.log_level, settings.log_format, secrets=settings.secrets())
        return settings


@dataclass(frozen=True)
class Office:
    """The open database with all that working on it needs."""

    settings: Settings
    registry: Registry

    @property
    def store(self) -> Store:
        """The open store."""
        return self.registry.store

    def service(self) -> str | None:
        """Return which process runs the service on this database, or None."""
        return lock_for(self.store.engine).holder()


def of(context: typer.Context) -> Session:
    """Return the session of a command."""
    session: Session = context.obj
    return session


def work(context: typer.Context, task: Callable[[Office], Awaitable[T]]) -> T:
    """Run a task on the open database; raises what the boundary knows."""

    async def run() -> T:
        async with _opened(of(context)) as office:
            return await task(office)

    return asyncio.run(run())


@asynccontextmanager
async def _opened(session: Session) -> AsyncIterator[Office]:
    settings = session.settings()
    engine = make_engine(database_url(settings.database_url.get_secret_value()))
    store = Store(engine)
    try:
        with opening(engine):
            prepare(engine)
            registered = await store.read(clusters.load)
            new = all(cluster.registration.secret is None for cluster in registered)
            registry = Registry(store=store, vault=load_vault(settings, create=new), clock=session.clock)
            yield Office(settings, registry)
    finally:
        store.close()
