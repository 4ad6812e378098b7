"""The boundary of every command: an expected error is one line on stderr and an exit status.

    2   wrong usage or configuration
    1   it was tried and failed
    130 interrupted at the terminal

An error that nobody expected is one line too; where it came from is logged at level debug.
"""

import structlog
import typer
from typer.exceptions import TyperException

from bot.config import ConfigError
from bot.keys import KeyProblem
from bot.log import Redactor
from bot.obshell.errors import AgentError
from bot.store.migrate import DatabaseProblem
from bot.usecases.errors import Invalid, UsecaseError

log = structlog.get_logger(__name__)

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class UsageProblem(Exception):
    """The command line asks for something that makes no sense."""


class Failure(Exception):
    """A command failed with a status of its own."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


WRONG_USAGE = (UsageProblem, Invalid, ConfigError, KeyProblem)
FAILURES = (UsecaseError, DatabaseProblem, AgentError)


def report(error: BaseException, redactor: Redactor) -> int:
    """Say on stderr what went wrong, in one line, and return the exit status."""
    status, text = _verdict(error)
    if text.startswith("Usage:"):
        # A group of commands called without one: the help is the answer.
        typer.echo(text, err=True)
    elif text:
        line = " ".join(redactor.text(text).split())
        typer.echo(f"obdag: {line}", err=True)
    return status


def _verdict(error: BaseException) -> tuple[int, str]:
    match error:
        case TyperException():
            return error.exit_code, f"{error.format_message()}{_see(error)}"
        case Failure():
            return error.status, str(error)
        case typer.Abort() | KeyboardInterrupt():
            return INTERRUPTED, ""
        case BrokenPipeError():
            return FAILED, ""
        case _ if isinstance(error, WRONG_USAGE):
            return USAGE, str(error)
        case _ if isinstance(error, FAILURES):
            return FAILED, str(error)
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return FAILED, f"{where}{error.strerror or error}"
        case _:
            log.debug("cli.unexpected", exc_info=error)
            hint = "OBDAG_LOG_LEVEL=debug shows where"
            return FAILED, f"unexpected {type(error).__name__}: {error} ({hint})"


def _see(error: TyperException) -> str:
    """Return where the usage of the command stands that was called wrongly."""
    context = getattr(error, "ctx", None)
    if context is None or error.format_message().startswith("Usage:"):
        return ""
    return f" See: {context.command_path} --help"
