"""The program `obdag`: all commands, and the one place where errors become a line and an exit status."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bot import __version__, log
from bot.cli import admin, clusters, one_dag, service, status
from bot.cli.boundary import report
from bot.cli.session import Session

app = typer.Typer(
    name="obdag",
    help="Tells Slack what happens to the long operations (DAGs) of OceanBase clusters.",
    epilog="Every command has --help. Exit status: 0 done, 1 failed, 2 wrong usage or configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(service.run)
app.command()(service.demo)
app.add_typer(clusters.app, name="clusters")
app.command()(status.status)
app.command()(one_dag.show)
app.command()(one_dag.logs)
app.command()(service.simulate)
app.add_typer(admin.db, name="db")
app.add_typer(admin.keys, name="keys")
app.command()(admin.manifest)


def _version(wanted: bool) -> None:  # noqa: FBT001 - how an option's callback is called
    if wanted:
        typer.echo(f"obdag {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def run(arguments: Sequence[str], session: Session | None = None) -> int:
    """Run one command and return its exit status; nothing but a stop of the process escapes."""
    session = session or Session()
    # Until the settings say otherwise: structlog's own default is everything, on standard output.
    log.configure("warning")
    try:
        result = app(args=list(arguments), prog_name="obdag", standalone_mode=False, obj=session)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the boundary of the program
        return report(error, session.redactor)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Be the console script."""
    sys.exit(run(sys.argv[1:]))
