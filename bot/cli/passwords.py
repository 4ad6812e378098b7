"""Where a command gets a password from: never from its arguments, which the whole machine can read."""

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bot.cli.boundary import UsageProblem

COMMAND_TIMEOUT_S = 60.0
OPTIONS = "--password-stdin, --password-env, --password-file or --password-command"

FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]
FromEnv = Annotated[
    str | None, typer.Option("--password-env", metavar="VAR", help="Take it from this environment variable.")
]
FromFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="Take the first line of this file.")
]
FromCommand = Annotated[
    str | None,
    typer.Option("--password-command", metavar="CMD", help="Take the first line that this command prints."),
]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the password is to come from; nothing set means: ask at the terminal."""

    stdin: bool = False
    env: str | None = None
    file: Path | None = None
    command: str | None = None

    def read(self, environment: Mapping[str, str], prompt: str) -> str:
        """Return the password, which may be empty; raises `UsageProblem`."""
        given = [
            value for value in (self.stdin or None, self.env, self.file, self.command) if value is not None
        ]
        if len(given) > 1:
            raise UsageProblem(f"give one of {OPTIONS}, not several")
        if self.stdin:
            return _first_line(sys.stdin.readline())
        if self.env is not None:
            return _from_env(self.env, environment)
        if self.file is not None:
            return _from_file(self.file)
        if self.command is not None:
            return _from_command(self.command)
        return _ask(prompt)


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].removesuffix("\r")


def _from_env(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise UsageProblem(f"--password-env: the environment variable {name} is not set")
    return environment[name]


def _from_file(path: Path) -> str:
    try:
        return _first_line(path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise UsageProblem(f"--password-file: {path} is not UTF-8 text") from None
    except OSError as error:
        raise UsageProblem(f"--password-file: cannot read {path}: {error.strerror}") from None


def _from_command(command: str) -> str:
    """Run the command without a shell and return its first line; its own complaints go to stderr."""
    try:
        words = shlex.split(command)
        done = subprocess.run(  # noqa: S603 - running this command is what the operator asks for
            words, stdout=subprocess.PIPE, check=False, timeout=COMMAND_TIMEOUT_S, encoding="utf-8"
        )
    except (OSError, ValueError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no command line"
        raise UsageProblem(f"--password-command: cannot run it: {reason}") from None
    except subprocess.TimeoutExpired:
        raise UsageProblem(f"--password-command: not done within {COMMAND_TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        raise UsageProblem(f"--password-command: it ended with exit status {done.returncode}")
    return _first_line(done.stdout)


def _ask(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise UsageProblem(f"no terminal to ask for the password: use {OPTIONS}")
    answer: str = typer.prompt(prompt, default="", show_default=False, hide_input=True, err=True)
    return answer
