"""The program, called in this process from an empty directory; and a simulated agent to talk to."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bot.cli.main import run
from bot.cli.session import Session
from tests.cli.agents import PASSWORD, Served, cluster_agent, served


class Result(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, read as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on stderr that says what is wrong."""
        assert self.status != 0
        assert self.err.startswith("obdag: ")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.err
        return self.err.removeprefix("obdag: ").strip()


class Program:
    """Calls the program; `environment` is all that it sees of the environment."""

    def __init__(self, capture: pytest.CaptureFixture[str], typed: Callable[[str], None]) -> None:
        self.environment: dict[str, str] = {}
        self._capture, self._typed = capture, typed

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        """Run one command."""
        self._typed(stdin)
        status = run(arguments, Session(environment=self.environment))
        printed = self._capture.readouterr()
        return Result(status, printed.out, printed.err)

    def ok(self, *arguments: str, stdin: str = "") -> Result:
        """Run one command that must succeed."""
        result = self(*arguments, stdin=stdin)
        assert result.status == 0, result
        return result

    def add(self, url: str, *options: str, name: str = "prod", password: str = PASSWORD) -> Result:
        """Register a cluster."""
        return self("clusters", "add", name, url, "--password-stdin", *options, stdin=f"{password}\n")


@pytest.fixture
def obdag(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    """Return the program, in an empty working directory, with nothing in its environment."""
    monkeypatch.chdir(tmp_path)
    return Program(capsys, lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text)))


@pytest.fixture
def agent() -> Iterator[Served]:
    """Serve a healthy cluster agent."""
    with served(cluster_agent()) as found:
        yield found
