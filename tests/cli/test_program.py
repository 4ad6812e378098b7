"""The program as a process of its own, as people and scripts call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot import __version__
from tests.cli.agents import PASSWORD, Served

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
Process = subprocess.Popen[str]


def _start(folder: Path, *arguments: str, **variables: str) -> Process:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "bot", *arguments],
        cwd=folder,
        env=ENVIRONMENT | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(folder: Path, *arguments: str, stdin: str = "", **variables: str) -> tuple[int, str, str]:
    with _start(folder, *arguments, **variables) as process:
        out, err = process.communicate(stdin, timeout=60)
        return process.returncode, out, err


def test_version(tmp_path: Path) -> None:
    """`--version` prints the version and touches nothing."""
    assert _run(tmp_path, "--version") == (0, f"obdag {__version__}\n", "")
    assert list(tmp_path.iterdir()) == []


def test_key(tmp_path: Path) -> None:
    """`keys new` prints a key and nothing else, another one each time."""
    first, second = _run(tmp_path, "keys", "new"), _run(tmp_path, "keys", "new")
    assert (first[0], first[2], first[1].count("\n")) == (0, "", 1)
    assert first[1] != second[1]
    assert list(tmp_path.iterdir()) == []


def test_register_and_look(tmp_path: Path, agent: Served) -> None:
    """A fresh directory, a registration, a status: JSON alone on standard output, logs beside it."""
    add = ("clusters", "add", "prod", agent.url, "--password-stdin")
    assert _run(tmp_path, *add, stdin=f"{PASSWORD}\n")[0] == 0
    status, out, _ = _run(tmp_path, "status", "--json", OBDAG_LOG_LEVEL="debug", OBDAG_LOG_FORMAT="json")
    assert status == 0
    assert json.loads(out)["clusters"][0]["state"] == "ok"
    assert {path.name for path in tmp_path.iterdir()} >= {"obdag.db", "obdag.key"}


def test_dotenv_of_the_working_directory(tmp_path: Path) -> None:
    """A `.env` file in the working directory is read."""
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///other.db\n", "utf-8")
    assert _run(tmp_path, "clusters", "list")[0] == 0
    assert (tmp_path / "other.db").exists()


def test_first_commands_at_once(tmp_path: Path) -> None:
    """Three first commands at the same time all succeed: one makes the database, the others wait."""
    processes = [_start(tmp_path, "clusters", "list") for _ in range(3)]
    ends = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ends


def test_error_is_one_line(tmp_path: Path) -> None:
    """A failure is one line on stderr, nothing on stdout, and no traceback, whatever the log level."""
    status, out, err = _run(tmp_path, "status", "nowhere", OBDAG_LOG_LEVEL="info")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("obdag: ")


@pytest.mark.parametrize("arguments", [(), ("clusters",), ("db",), ("keys",)])
def test_group_without_a_command_shows_its_help(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Called without a command, a group explains itself; that is wrong usage."""
    status, _, err = _run(tmp_path, *arguments)
    assert status == 2
    assert "Commands:" in err


def test_reader_that_goes_away(tmp_path: Path) -> None:
    """A reader that closes the pipe early (`| head`) sees no traceback."""
    with _start(tmp_path, "manifest") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.wait(timeout=60)
        assert "Traceback" not in process.stderr.read()
