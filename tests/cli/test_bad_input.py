"""Bad input gets one clear line and exit status 1 or 2, and loses nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.keys import new_key
from tests.cli.agents import Served
from tests.cli.conftest import Program


@pytest.mark.parametrize("command", [["status"], ["db", "upgrade"], ["clusters", "list"]])
@pytest.mark.parametrize("folder", ["/proc", "nowhere/at/all"])
def test_directory_that_is_not_writable(obdag: Program, command: list[str], folder: str) -> None:
    """A directory that nobody may write to is named."""
    obdag.environment["DATABASE_URL"] = f"sqlite:///{folder}/obdag.db"
    result = obdag(*command)
    assert folder in result.error
    assert result.status == 1


@pytest.mark.parametrize("command", [["status"], ["db", "upgrade"], ["db", "check"]])
def test_database_of_somebody_else(obdag: Program, command: list[str]) -> None:
    """A database that holds other tables is refused and left as it is."""
    with closing(sqlite3.connect("obdag.db")) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
        connection.commit()
    result = obdag(*command)
    assert "not obdag's" in result.error
    assert result.status == 1
    with closing(sqlite3.connect("obdag.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("invoices",)]


def test_file_that_is_no_database(obdag: Program) -> None:
    """A file of another kind is refused and left as it is."""
    Path("obdag.db").write_text("minutes of the last meeting " * 50, "utf-8")
    assert "file is not a database" in obdag("status").error
    assert Path("obdag.db").read_text("utf-8").startswith("minutes")


def test_newer_schema(obdag: Program) -> None:
    """A database of a newer release is refused."""
    obdag.ok("db", "upgrade")
    with closing(sqlite3.connect("obdag.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    for command in (["status"], ["db", "upgrade"], ["db", "check"]):
        result = obdag(*command)
        assert "made by a newer obdag" in result.error
        assert result.status == 1


def test_old_schema(obdag: Program) -> None:
    """`db check` tells an old schema and the command that brings it up to date."""
    obdag.ok("db", "upgrade")
    with closing(sqlite3.connect("obdag.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.commit()
    result = obdag("db", "check")
    assert "run obdag db upgrade" in result.error
    assert result.status == 1


def test_schema_before_anything(obdag: Program) -> None:
    """`db check` before the first command finds no tables, and makes no file."""
    assert "no tables yet" in obdag("db", "check").error
    assert list(Path().iterdir()) == []


def test_unreachable_server(obdag: Program) -> None:
    """A PostgreSQL server that is down is one line without the password."""
    obdag.environment |= {
        "DATABASE_URL": "postgres://bot:s3cret@127.0.0.1:1/obdag",
        "OBDAG_SECRET_KEY": new_key(),
    }
    result = obdag("status")
    assert "127.0.0.1" in result.error
    assert "s3cret" not in result.err
    assert result.status == 1


def test_older_schema_on_postgres(obdag: Program, postgres_url: str) -> None:
    """On PostgreSQL nothing is upgraded by the way: the command is named, and then it works."""
    obdag.environment |= {"DATABASE_URL": postgres_url, "OBDAG_SECRET_KEY": new_key()}
    assert "run obdag db upgrade" in obdag("status").error
    obdag.ok("db", "upgrade")
    obdag.ok("db", "check")
    obdag.ok("status")


def test_no_key_with_postgres(obdag: Program, postgres_url: str) -> None:
    """With PostgreSQL the key must be given."""
    obdag.environment["DATABASE_URL"] = postgres_url
    obdag.ok("db", "upgrade")
    result = obdag("status")
    assert "OBDAG_SECRET_KEY" in result.error
    assert result.status == 2


@pytest.mark.parametrize("content", [b"\xff\xfe", b"not a key", b""])
def test_key_file_that_is_none(obdag: Program, content: bytes) -> None:
    """A key file that holds no key is named, and not replaced."""
    Path("obdag.key").write_bytes(content)
    result = obdag("status")
    assert "obdag.key" in result.error
    assert result.status == 2
    assert Path("obdag.key").read_bytes() == content


def test_key_file_that_cannot_be_read(obdag: Program) -> None:
    """A key file that cannot be opened is named with the reason."""
    Path("obdag.key").mkdir()
    result = obdag("status")
    assert "cannot read the key file" in result.error
    assert "obdag.key" in result.error
    assert result.status == 2


def test_wrong_key(obdag: Program, agent: Served) -> None:
    """With another key the stored password is unreadable: that is said, and the right key still works."""
    obdag.add(agent.url)
    obdag.environment["OBDAG_SECRET_KEY"] = new_key()
    for command in (["status"], ["clusters", "check", "prod"]):
        result = obdag(*command)
        assert "encrypted with another key than that of OBDAG_SECRET_KEY" in result.error
        assert result.status == 2
    del obdag.environment["OBDAG_SECRET_KEY"]
    obdag.ok("status")


def test_lost_key_file(obdag: Program, agent: Served) -> None:
    """A lost key file is not silently replaced while passwords need it."""
    obdag.add(agent.url)
    Path("obdag.key").rename("elsewhere.key")
    result = obdag("status")
    assert "obdag.key is gone" in result.error
    assert result.status == 2
    Path("elsewhere.key").rename("obdag.key")
    obdag.ok("status")


def test_all_problems_of_the_configuration_at_once(obdag: Program) -> None:
    """Every wrong variable is named in the one line, and no value is repeated."""
    obdag.environment |= {
        "DATABASE_URL": "mysql://u:s3cret@h/db",
        "OBDAG_POLL_INTERVAL": "s3cret",
        "OBDAG_CHANNEL": "#s3cret",
        "SLACK_BOT_TOKEN": "s3cret",
    }
    result = obdag("run")
    for name in (
        "DATABASE_URL",
        "OBDAG_POLL_INTERVAL",
        "OBDAG_CHANNEL",
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
    ):
        assert name in result.error
    assert "s3cret" not in result.err
    assert result.status == 2


def test_slack_is_needed_by_run_alone(obdag: Program) -> None:
    """Commands about clusters and the database need no Slack variable."""
    assert "SLACK_BOT_TOKEN" in obdag("run").error
    obdag.ok("clusters", "list")


def test_both_ways_to_reach_slack(obdag: Program) -> None:
    """Socket Mode and HTTP mode at once are refused, naming both; other commands do not mind."""
    obdag.environment |= {
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_APP_TOKEN": "xapp-1",
        "SLACK_SIGNING_SECRET": "made-up",
    }
    result = obdag("run")
    assert "SLACK_APP_TOKEN" in result.error
    assert "SLACK_SIGNING_SECRET" in result.error
    assert result.status == 2
    obdag.ok("status")


@pytest.mark.parametrize("roles", ["", "poll,dance", ","])
def test_roles_that_do_not_exist(obdag: Program, roles: str) -> None:
    """An unknown role is wrong usage; the known ones are named."""
    result = obdag("run", "--roles", roles)
    assert "deliver, poll, slack" in result.error
    assert result.status == 2


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["status", "--nonsense"], ["clusters", "add"], ["logs", "a", "1", "--stage", "x"],
     ["status", "--json", "--watch"], ["clusters", "nonsense"]],
)  # fmt: skip
def test_wrong_usage(obdag: Program, arguments: list[str]) -> None:
    """Wrong usage is one line and status 2."""
    result = obdag(*arguments)
    assert result.error
    assert result.status == 2
    assert result.out == ""


@pytest.mark.parametrize(
    "command", [["status", "nowhere"], ["show", "nowhere", "11"], ["logs", "nowhere", "11"]]
)
def test_unknown_cluster(obdag: Program, command: list[str]) -> None:
    """A cluster that is not registered is one line."""
    result = obdag(*command)
    assert "No cluster is called 'nowhere'" in result.error
    assert result.status == 1
