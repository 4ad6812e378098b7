"""Who runs the service: a lock that dies with its process, so that a killed one never stops the next.

SQLite: `flock` on a file beside the database. PostgreSQL: an advisory lock on a connection of its own, one
per role, so that one process may poll while another delivers. `holder()` takes nothing that a starting
service would trip over for longer than it waits.
"""

import fcntl
import os
import socket
import time
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from bot.store.engine import sqlite_file

PATIENCE = (0.05, 0.1, 0.2)
"""Seconds between attempts: whoever only looks for the holder locks for microseconds."""


class Held(Exception):
    """Another process holds the lock; `str()` says which, and what to do."""

    def __init__(self, holder: str, where: str) -> None:
        self.holder = holder
        super().__init__(f"another obdag run works on {where}: {holder}; stop it first")


class RunLock(Protocol):
    """The right to run the service on a database."""

    def acquire(self) -> None:
        """Take the lock; raises `Held`."""
        ...

    def release(self) -> None:
        """Give it back; harmless when it is not held."""
        ...

    def holder(self) -> str | None:
        """Return who holds it ("process 4242"), or None when no service runs."""
        ...


def lock_for(engine: Engine, role: str = "poll") -> RunLock:
    """Return the lock of a role; on SQLite one lock stands for all roles."""
    file = sqlite_file(engine.url)
    return FileLock(file.with_name(f"{file.name}.lock")) if file else AdvisoryLock(engine, role)


def locks_for(engine: Engine, roles: Collection[str]) -> list[RunLock]:
    """Return the locks of the roles of which there is one: SQLite has one service, PostgreSQL one of each.

    Answering people needs no lock: any number of processes may.
    """
    if sqlite_file(engine.url) is not None:
        return [lock_for(engine)]
    return [lock_for(engine, role) for role in ("poll", "deliver") if role in roles]


class FileLock:
    """An exclusive `flock`; the file holds the process id and stays behind, unlocked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises `Held`, or OSError when the file cannot be made."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        for pause in (*PATIENCE, None):
            if _flock(handle):
                break
            if pause is None:
                os.close(handle)
                raise Held(self._text(), str(self._path.with_suffix("")))
            time.sleep(pause)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def holder(self) -> str | None:
        """Return who holds it."""
        try:
            handle = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return None if _flock(handle) else self._text()
        finally:
            os.close(handle)

    def _text(self) -> str:
        return f"process {self._path.read_text('ascii', 'replace').strip() or 'unknown'}"


def _flock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class AdvisoryLock:
    """A session's advisory lock; it goes when the connection does. The session's name says who we are."""

    def __init__(self, engine: Engine, role: str) -> None:
        self._engine = engine
        self._role = role
        self._key = zlib.crc32(f"obdag {role}".encode())
        self._connection: Connection | None = None

    def acquire(self) -> None:
        """Take the lock; raises `Held`."""
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        name = f"process {os.getpid()} on {socket.gethostname()}"[:63]
        connection.execute(text("SELECT set_config('application_name', :name, false)"), {"name": name})
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}):
            connection.invalidate()
            connection.close()
            where = self._engine.url.render_as_string(hide_password=True)
            raise Held(self.holder() or "a process that has just ended", f"{where} ({self._role})")
        self._connection = connection

    def release(self) -> None:
        """Give the lock back by closing its connection for good."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def holder(self) -> str | None:
        """Return who holds it."""
        query = text(
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND l.classid = 0 AND l.objid::bigint = :key"
        )
        with self._engine.connect() as connection:
            name: str | None = connection.scalar(query, {"key": self._key})
        return name
