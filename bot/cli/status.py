"""`obdag status`: what is unfinished now."""

import asyncio
from typing import Annotated

import typer
from rich.live import Live

from bot.cli import output, tables
from bot.cli.boundary import FAILED, UsageProblem
from bot.cli.freshness import current, note
from bot.cli.session import Office, work
from bot.core.dag import State
from bot.core.views import ClusterState, ClusterView

WATCH_EVERY_S = 2.0
HEALTHY = frozenset({ClusterState.OK, ClusterState.PAUSED})

Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


def status(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this cluster.")] = None,
    *,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until interrupted.")] = False,
) -> None:
    """Show the unfinished DAGs now.

    Exit status 1 when somebody should look: a cluster cannot be read, or a DAG failed or stalled.
    """
    if json and watch:
        raise UsageProblem("--json and --watch do not go together: call status --json again and again")

    async def task(office: Office) -> bool:
        if watch:
            await _watch(office, name)
        views = await current(office, name)
        if json:
            output.write(output.clusters(views))
        else:
            tables.status(views, office.registry.clock(), note(office))
        return in_trouble(views)

    if work(context, task):
        raise typer.Exit(FAILED)


def in_trouble(views: tuple[ClusterView, ...]) -> bool:
    """Return whether somebody should look."""
    return any(
        view.state not in HEALTHY or any(d.stalled or d.snapshot.state is State.FAILED for d in view.dags)
        for view in views
    )


async def _watch(office: Office, name: str | None) -> None:
    """Show it again and again until the user interrupts."""
    with Live(console=tables.console(), auto_refresh=False) as screen:
        while True:
            views = await current(office, name)
            screen.update(tables.live(views, office.registry.clock(), note(office)), refresh=True)
            await asyncio.sleep(WATCH_EVERY_S)
