"""`obdag db`, `keys`, `manifest`: what is done once, or once per release."""

from typing import Annotated

import typer

from bot.cli.session import of
from bot.keys import new_key
from bot.slack.manifest import manifest as slack_manifest
from bot.store import migrate
from bot.store.migrate import Standing

db = typer.Typer(no_args_is_help=True, help="Look after the database.")
keys = typer.Typer(no_args_is_help=True, help="Look after the keys of the stored passwords.")


@db.command()
def upgrade(context: typer.Context) -> None:
    """Create the tables, or bring an older schema to this release's."""
    settings = of(context).settings()
    with migrate.engine_for(settings.database_url.get_secret_value()) as engine:
        found, where = migrate.upgrade(engine), engine.url.render_as_string(hide_password=True)
    if found.standing is Standing.OK:
        typer.echo(f"{where} has schema {found.head} already")
    else:
        typer.echo(f"{where} upgraded from {found.current or 'nothing'} to schema {found.head}")


@db.command()
def check(context: typer.Context) -> None:
    """Say whether the schema is this release's. Exit status 1 when it is not."""
    settings = of(context).settings()
    with migrate.engine_for(settings.database_url.get_secret_value()) as engine:
        found, where = migrate.check(engine), engine.url.render_as_string(hide_password=True)
        migrate.refuse(engine, found, allow={Standing.OK})
    typer.echo(f"{where} has schema {found.head}, as it should")


@keys.command()
def new() -> None:
    """Print a new secret key for OBDAG_SECRET_KEY."""
    typer.echo(new_key())


def manifest(
    context: typer.Context,
    *,
    http_url: Annotated[
        str | None,
        typer.Option("--http-url", metavar="URL", help="Public URL of the bot: makes it an HTTP mode app."),
    ] = None,
) -> None:
    """Print the manifest from which the Slack app is made."""
    typer.echo(slack_manifest(of(context).settings().command, http_url), nl=False)
