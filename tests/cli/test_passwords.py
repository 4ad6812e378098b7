import io
import sys
from pathlib import Path

import pytest

from bot.cli.boundary import UsageProblem
from bot.cli.passwords import Source

SECRET = "made-up Pa55 word"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a password file of two lines."""
    (tmp_path / "secret").write_text(f"{SECRET}\r\nnot this\n", "utf-8")
    return tmp_path


def _script(folder: Path, text: str) -> str:
    path = folder / "script.py"
    path.write_text(text, "utf-8")
    return f"{sys.executable} {path}"


def test_first_line_of_a_file(folder: Path) -> None:
    """Only the first line counts, blanks in it included."""
    assert Source(file=folder / "secret").read({}, "?") == SECRET


def test_environment_variable(folder: Path) -> None:
    """The variable's value is taken as it is; it may be empty."""
    del folder
    assert Source(env="OB").read({"OB": SECRET}, "?") == SECRET
    assert Source(env="OB").read({"OB": ""}, "?") == ""


def test_first_line_of_a_command(folder: Path) -> None:
    """A command's first line is the password."""
    command = _script(folder, f"print({SECRET!r}); print('not this')")
    assert Source(command=command).read({}, "?") == SECRET


def test_first_line_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input gives its first line, which may be empty."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\nnot this\n"))
    assert Source(stdin=True).read({}, "?") == SECRET
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert Source(stdin=True).read({}, "?") == ""


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal and without an option there is no password: the options are named."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(UsageProblem, match="--password-stdin, --password-env"):
        Source().read({}, "?")


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (Source(env="OB"), "OB is not set"),
        (Source(file=Path("nowhere")), "cannot read nowhere: No such file"),
        (Source(command="no-such-program-here"), "cannot run it: No such file"),
        (Source(command="'unbalanced"), "no command line"),
        (Source(command=" "), "no command line"),
        (Source(env="A", file=Path("b")), "not several"),
    ],
)
def test_sources_that_give_nothing(source: Source, named: str) -> None:
    """What is wrong with a source is named."""
    with pytest.raises(UsageProblem, match=named):
        source.read({}, "?")


def test_failing_command(folder: Path) -> None:
    """A command that fails gives no password, and what it printed is not repeated."""
    command = _script(folder, f"print({SECRET!r}); raise SystemExit(3)")
    with pytest.raises(UsageProblem, match="exit status 3") as caught:
        Source(command=command).read({}, "?")
    assert SECRET not in str(caught.value)
