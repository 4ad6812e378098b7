"""The migrations lead to the declared schema, lose nothing, and refuse what is not ours."""

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from bot.store import clusters
from bot.store.engine import database_url, make_engine
from bot.store.migrate import (
    CannotOpen,
    Standing,
    WrongSchema,
    check,
    prepare,
    upgrade,
)
from bot.store.schema import metadata

NOW = datetime(2026, 5, 9, 10, 0, tzinfo=UTC)


def _set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


def test_migrated_schema_is_the_declared_one(engine: Engine) -> None:
    """What the migrations make is what the code declares: nothing more, nothing less."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_migrated_sqlite_schema_is_the_declared_one_to_the_letter(tmp_path: Path) -> None:
    """What the comparison above does not see (AUTOINCREMENT, cascades) is the same too."""
    found = []
    for name, make in (("migrated", upgrade), ("declared", metadata.create_all)):
        engine = make_engine(database_url(f"sqlite:///{tmp_path}/{name}.db"))
        make(engine)
        with engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT sql FROM sqlite_master WHERE sql NOT LIKE '%alembic_version%' AND sql IS NOT NULL"
                )
            )
            found.append({frozenset(re.split(r"[\s,]+", sql)) for (sql,) in rows})
        engine.dispose()
    assert found[0] == found[1]


def test_upgrade_says_what_it_found(empty_engine: Engine) -> None:
    """The first upgrade finds nothing, the second finds today's schema."""
    assert check(empty_engine).standing is Standing.EMPTY
    assert upgrade(empty_engine).standing is Standing.EMPTY
    assert upgrade(empty_engine).standing is Standing.OK


def test_check_makes_no_file(sqlite_url: str, tmp_path: Path) -> None:
    """Looking at a SQLite database that does not exist does not create it."""
    assert check(make_engine(database_url(sqlite_url))).standing is Standing.EMPTY
    assert list(tmp_path.iterdir()) == []


def test_first_commands_at_once(empty_engine: Engine) -> None:
    """Several first commands at the same time all succeed, and the schema is made once."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: upgrade(empty_engine).standing, range(4)))
    assert sorted(found) == [Standing.EMPTY, *[Standing.OK] * 3]


def test_prepare_creates_sqlite_but_not_postgres(empty_engine: Engine) -> None:
    """The first command makes a SQLite database; a shared server is upgraded on purpose only."""
    if empty_engine.dialect.name == "sqlite":
        prepare(empty_engine)
        assert check(empty_engine).standing is Standing.OK
    else:
        with pytest.raises(WrongSchema, match="run obdag db upgrade"):
            prepare(empty_engine)
        assert check(empty_engine).standing is Standing.EMPTY


def test_older_sqlite_file_is_copied_before_it_is_upgraded(sqlite_url: str, tmp_path: Path) -> None:
    """An upgrade that goes wrong loses nothing: the file of before stands beside it, and still opens."""
    engine = make_engine(database_url(sqlite_url))
    upgrade(engine)
    with engine.begin() as connection:
        clusters.add(connection, clusters.Registration(name="prod", urls=("http://10.0.0.1:2886",)), NOW)
    head = check(engine).head
    _set_revision(engine, "0000")
    with pytest.raises(Exception, match="0000"):
        upgrade(engine)
    with sqlite3.connect(tmp_path / f"obdag.db.before-{head}") as copy:
        assert copy.execute("SELECT name FROM clusters").fetchall() == [("prod",)]
    copy.close()
    with engine.connect() as connection:
        assert clusters.names(connection) == ["prod"]
    engine.dispose()


def test_older_schema_on_postgres_names_the_command(postgres_url: str) -> None:
    """Beside a PostgreSQL schema that is older nothing starts; the refusal says what to run."""
    engine = make_engine(database_url(postgres_url))
    upgrade(engine)
    _set_revision(engine, "0000")
    with pytest.raises(WrongSchema, match=r"older schema 0000.*run obdag db upgrade"):
        prepare(engine)
    engine.dispose()


def test_newer_schema_is_refused(engine: Engine) -> None:
    """A schema two releases newer is left alone."""
    _set_revision(engine, f"{int(check(engine).head) + 2:04}")
    with pytest.raises(WrongSchema, match="newer obdag"):
        prepare(engine)
    with pytest.raises(WrongSchema, match="newer obdag"):
        upgrade(engine)


def test_one_release_newer_is_normal_on_postgres(postgres_url: str) -> None:
    """While a new release is rolled out, the old one goes on beside it."""
    engine = make_engine(database_url(postgres_url))
    upgrade(engine)
    _set_revision(engine, f"{int(check(engine).head) + 1:04}")
    prepare(engine)
    engine.dispose()


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE invoices (id INTEGER)"],
        ["CREATE TABLE clusters (id INTEGER)", "CREATE TABLE agents (id INTEGER)"],
        [
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "INSERT INTO alembic_version VALUES ('0001')",
            "CREATE TABLE invoices (id INTEGER)",
        ],
    ],
)
def test_database_of_somebody_else_is_left_alone(empty_engine: Engine, statements: list[str]) -> None:
    """Tables without our revision, or with another project's, are refused and not touched."""
    with empty_engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    before = set(inspect(empty_engine).get_table_names())
    for act in (prepare, upgrade):
        with pytest.raises(WrongSchema, match="not obdag's"):
            act(empty_engine)
    assert set(inspect(empty_engine).get_table_names()) == before


def test_foreign_revision_over_our_table_names_is_refused(engine: Engine) -> None:
    """A revision that is no number of ours is somebody else's."""
    _set_revision(engine, "a1b2c3d4")
    with pytest.raises(WrongSchema, match="not obdag's"):
        prepare(engine)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """A text file in the place of the database is named, and keeps its content."""
    file = tmp_path / "obdag.db"
    file.write_text("minutes of the last meeting " * 100)
    with pytest.raises(CannotOpen, match=r"obdag\.db: file is not a database"):
        prepare(make_engine(database_url(f"sqlite:///{file}")))
    assert file.read_text().startswith("minutes")


def test_directory_that_does_not_exist(tmp_path: Path) -> None:
    """A directory that is missing is named."""
    with pytest.raises(CannotOpen, match=r"there is no directory .*nowhere"):
        prepare(make_engine(database_url(f"sqlite:///{tmp_path}/nowhere/obdag.db")))


def test_unreachable_server_is_one_line_without_the_password() -> None:
    """What the driver says becomes one line, without the password."""
    engine = make_engine(database_url("postgresql://bot:s3cret@127.0.0.1:1/obdag"))
    with pytest.raises(CannotOpen) as caught:
        prepare(engine)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
