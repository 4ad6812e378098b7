"""The connection to the database: SQLite with real transactions, or PostgreSQL.

SQLite: WAL, foreign keys, a busy timeout. The driver's own transaction handling is off and `BEGIN` is sent by
us, otherwise a SELECT would open no transaction and DDL would survive a ROLLBACK. Writers begin IMMEDIATE, so
that a read followed by a write never fails half-way for want of the write lock.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_S = 10.0


class BadDatabaseUrl(ValueError):
    """DATABASE_URL names no database that obdag can use; the text never holds the password."""


def database_url(text: str) -> URL:
    """Return the SQLAlchemy URL for a DATABASE_URL; raises `BadDatabaseUrl`.

    `postgres://` and `postgresql://` mean psycopg 3; `sqlite:///relative` and `sqlite:////absolute` a file.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise BadDatabaseUrl("DATABASE_URL is no URL: use sqlite:///FILE or postgresql://HOST/NAME") from None
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database not in {None, "", ":memory:"}:
        return url
    raise BadDatabaseUrl(
        f"DATABASE_URL begins with {url.drivername!r}: use sqlite:///FILE or postgresql://HOST/NAME"
    )


def sqlite_file(url: URL) -> Path | None:
    """Return the file of a SQLite database, or None for PostgreSQL."""
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def make_engine(url: URL) -> Engine:
    """Return an engine; nothing is opened yet."""
    if url.drivername == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(url, pool_size=5, max_overflow=0, pool_pre_ping=True)


def _prepare_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    del record
    if not isinstance(connection, sqlite3.Connection):
        raise TypeError(f"expected a sqlite3 connection, got {type(connection)}")
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("obdag_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


class Store:
    """The database for asynchronous callers: one writer thread, one reader thread.

    Two threads, so that an answer to a person does not queue behind the saving of polls. A function given to
    `read` or `write` gets a connection inside one transaction; `write` commits when it returns.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = ThreadPoolExecutor(1, "obdag-write")
        self._reader = ThreadPoolExecutor(1, "obdag-read")

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, ...)` in a committed transaction; rolled back when it raises."""

        def run() -> T:
            with self.engine.begin() as connection:
                return work(connection, *args, **kwargs)

        return await _in(self._writer, run)

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, ...)` in a transaction that only reads."""

        def run() -> T:
            reading = self.engine.execution_options(obdag_reading=True)
            with reading.begin() as connection:
                return work(connection, *args, **kwargs)

        return await _in(self._reader, run)

    def close(self) -> None:
        """Wait for what is running and close all connections."""
        self._writer.shutdown()
        self._reader.shutdown()
        self.engine.dispose()


async def _in(pool: ThreadPoolExecutor, run: Callable[[], T]) -> T:
    """Run in a thread; a cancelled caller still lets the transaction come to its end."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(pool, run)
    result: T = await asyncio.shield(future)
    return result
