"""The schema of the database, and the way from an older one to ours. Forward only.

DatabaseProblem
├── CannotOpen      there is no way to the database at all
└── WrongSchema     it is older, newer, or not ours

Revisions are numbered `0001`, `0002`, ...; a release adds at most one. So a number above our own is a newer
release's, and how much newer is known too; anything else in `alembic_version` is somebody else's.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from shutil import copymode

import msgspec
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from bot.store.engine import database_url, make_engine, sqlite_file

OURS = frozenset({"clusters", "agents", "outbox"})
"""Tables that every schema of ours has: numbered revisions are a habit of others too."""
MIGRATION_LOCK = 0x6F626461
"""PostgreSQL's advisory lock under which one process at a time upgrades."""


class DatabaseProblem(Exception):
    """The database cannot be used; `str()` says which, why, and what to do."""


class CannotOpen(DatabaseProblem):
    """The file or server cannot be reached, or is no database."""


class WrongSchema(DatabaseProblem):
    """The schema is not the one that this release works with."""


class Standing(StrEnum):
    """How a database's schema stands to ours."""

    OK = "ok"
    OLDER = "older"
    NEWER = "newer"
    EMPTY = "empty"
    FOREIGN = "foreign"


class SchemaState(msgspec.Struct, frozen=True):
    """What was found: the database's revision (None without one), ours, and how they compare."""

    standing: Standing
    current: str | None
    head: str

    @property
    def ahead(self) -> int:
        """By how many releases the database is newer than we are."""
        return int(self.current or 0) - int(self.head) if self.standing is Standing.NEWER else 0


@contextmanager
def engine_for(text: str) -> Iterator[Engine]:
    """Give an engine for a DATABASE_URL, and close all its connections at the end."""
    engine = make_engine(database_url(text))
    try:
        yield engine
    finally:
        engine.dispose()


def check(engine: Engine) -> SchemaState:
    """Return how the schema stands, changing nothing; raises `CannotOpen`."""
    file = sqlite_file(engine.url)
    if file is not None and not file.exists():
        return SchemaState(Standing.EMPTY, None, _head())
    with opening(engine), engine.execution_options(obdag_reading=True).begin() as connection:
        return _state(connection, _head())


def upgrade(engine: Engine) -> SchemaState:
    """Bring an empty or older schema to ours and return what was found; raises `DatabaseProblem`.

    Everything happens in one transaction that others wait for, so two first commands do not clash. An older
    SQLite file is copied first, to `FILE.before-REVISION`.
    """
    with opening(engine), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        found = _state(connection, _head())
        refuse(engine, found, allow={Standing.OK, Standing.EMPTY, Standing.OLDER})
        if found.standing is Standing.OLDER:
            _copy(engine, found.head)
        if found.standing is not Standing.OK:
            _migrate(connection)
        return found


def prepare(engine: Engine) -> None:
    """Make the database ready for use, or raise `DatabaseProblem`.

    SQLite is created and upgraded on the way. PostgreSQL is shared with other processes: there somebody
    upgrades it on purpose, and a schema one release newer is normal while a new release is rolled out.
    """
    if engine.dialect.name == "sqlite":
        if check(engine).standing is not Standing.OK:
            upgrade(engine)
        return
    found = check(engine)
    if found.ahead != 1:
        refuse(engine, found, allow={Standing.OK})


def refuse(engine: Engine, found: SchemaState, *, allow: set[Standing]) -> None:
    """Raise `WrongSchema` unless the standing is allowed."""
    if found.standing in allow:
        return
    where = engine.url.render_as_string(hide_password=True)
    match found.standing:
        case Standing.NEWER:
            raise WrongSchema(
                f"{where} has schema {found.current}, made by a newer obdag (this one knows {found.head}): "
                "install the newer release"
            )
        case Standing.FOREIGN:
            raise WrongSchema(
                f"{where} holds tables that are not obdag's: set DATABASE_URL to a database of its own"
            )
        case _:
            raise WrongSchema(
                f"{where} has {_older(found)}, this release needs {found.head}: run obdag db upgrade"
            )


def _older(found: SchemaState) -> str:
    return "no tables yet" if found.standing is Standing.EMPTY else f"the older schema {found.current}"


def scripts() -> Path:
    """Return the folder of the migrations: inside the installed package, or beside it in a checkout."""
    package = Path(str(files("bot")))
    packed = package / "_migrations"
    return packed if packed.is_dir() else package.parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise WrongSchema(f"no migrations in {scripts()}: the installation is damaged, install obdag again")
    return head


def _state(connection: Connection, head: str) -> SchemaState:
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return SchemaState(Standing.EMPTY, None, head)
    if "alembic_version" not in tables or not tables >= OURS:
        return SchemaState(Standing.FOREIGN, None, head)
    current = MigrationContext.configure(connection).get_current_revision()
    return SchemaState(_standing(current, head), current, head)


def _standing(current: str | None, head: str) -> Standing:
    if current is None or not current.isascii() or not current.isdigit():
        return Standing.FOREIGN
    if current == head:
        return Standing.OK
    return Standing.NEWER if int(current) > int(head) else Standing.OLDER


def _migrate(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")


def _copy(engine: Engine, head: str) -> None:
    """Copy the file by SQLite's own means, so that what still stands in the WAL is in the copy."""
    file = sqlite_file(engine.url)
    if file is None:
        return
    target = file.with_name(f"{file.name}.before-{head}")
    unfinished = target.with_name(f"{target.name}.part")
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy)
        copymode(file, unfinished)
        unfinished.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise CannotOpen(f"cannot copy {file} to {target} before upgrading it: {error}") from error


@contextmanager
def opening(engine: Engine) -> Iterator[None]:
    """Turn what the driver says into `CannotOpen`: one line that names the database, never its password."""
    try:
        yield
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        where = engine.url.render_as_string(hide_password=True)
        raise CannotOpen(f"cannot use the database {where}: {reason}{_remedy(engine)}") from error


def _remedy(engine: Engine) -> str:
    file = sqlite_file(engine.url)
    if file is None:
        return ""
    if not file.parent.is_dir():
        return f"; there is no directory {file.parent.absolute()}"
    return f"; is {file.parent.absolute()} a directory that this user may write to?"
