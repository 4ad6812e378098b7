import pytest
import structlog
from structlog.testing import capture_logs

from bot.cli.boundary import Failure, UsageProblem, report
from bot.config import ConfigError
from bot.keys import KeyProblem
from bot.log import Redactor, configure
from bot.obshell.errors import Call, Unreachable
from bot.store.migrate import CannotOpen, WrongSchema
from bot.usecases.errors import Invalid, UnknownCluster

SECRET = "made-up-s3cret"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageProblem("x"), 2),
        (Invalid("x"), 2),
        (ConfigError(("x", "y")), 2),
        (KeyProblem("x"), 2),
        (UnknownCluster("x"), 1),
        (CannotOpen("x"), 1),
        (WrongSchema("x"), 1),
        (Unreachable(Call("http://a", "GET /"), "x"), 1),
        (Failure("x", 2), 2),
        (PermissionError(13, "Permission denied", "file"), 1),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_status_of_each_error(error: Exception, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage and configuration are 2, failures 1; each is one line."""
    configure("info")
    assert report(error, Redactor()) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("obdag: ")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 1)])
def test_silent_ends(error: BaseException, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever interrupts or goes away needs no explanation."""
    assert report(error, Redactor()) == status
    assert capsys.readouterr().err == ""


def test_no_secret_in_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Known secrets and tokens vanish from the line, and line breaks with them."""
    report(RuntimeError(f"{SECRET}\nxoxb-1-abc"), Redactor([SECRET]))
    line = capsys.readouterr().err
    assert SECRET not in line
    assert "xoxb-1-abc" not in line
    assert line.count("\n") == 1


def test_unexpected_error_is_logged_for_those_who_want_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Where an unexpected error came from is logged at level debug only."""
    structlog.reset_defaults()
    error = ZeroDivisionError("x")
    with capture_logs() as lines:
        report(error, Redactor())
    assert [(line["log_level"], line["exc_info"]) for line in lines] == [("debug", error)]
    assert "OBDAG_LOG_LEVEL=debug" in capsys.readouterr().err
