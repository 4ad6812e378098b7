"""What people read: tables with colours on a terminal, plain lines when the output goes elsewhere."""

from collections.abc import Sequence
from datetime import datetime

import typer
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bot.core.views import ClusterState, ClusterView, DagView
from bot.slack.wording import duration, mood_of

BAR_WIDTH = 18
STYLES = {ClusterState.OK: "green", ClusterState.PAUSED: "yellow", ClusterState.UNKNOWN: "yellow"}


def console() -> Console:
    """Return the console of standard output."""
    return Console(highlight=False, soft_wrap=True)


def age(then: datetime | None, now: datetime) -> str:
    """Say how old something is."""
    return "never" if then is None else f"{duration((now - then).total_seconds())} ago"


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: a table on a terminal, else lines of aligned columns that nothing cuts off."""
    screen = console()
    if screen.is_terminal:
        table = Table(*headers, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*map(Text, row))
        screen.print(table)
        return
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def status(views: Sequence[ClusterView], now: datetime, note: str = "") -> None:
    """Print the unfinished DAGs of clusters."""
    screen = console()
    if screen.is_terminal:
        screen.print(live(views, now, note))
        return
    for line in status_lines(views, now, note):
        typer.echo(line)


def status_lines(views: Sequence[ClusterView], now: datetime, note: str = "") -> list[str]:
    """Return the unfinished DAGs as plain lines: one per cluster, then one per DAG of it."""
    lines = [note] if note else []
    if not views:
        return [*lines, "no cluster is registered yet: obdag clusters add NAME URL"]
    for view in views:
        lines.append(_cluster_line(view, now))
        lines += [f"  {dag_line(each)}" for each in view.dags]
        if not view.dags and view.state is ClusterState.OK:
            lines.append("  nothing unfinished")
    return lines


def live(views: Sequence[ClusterView], now: datetime, note: str = "") -> RenderableType:
    """Return the unfinished DAGs for a terminal, with progress bars."""
    parts: list[RenderableType] = [Text(note, style="dim")] if note else []
    if not views:
        parts.append(Text("no cluster is registered yet: obdag clusters add NAME URL"))
    for view in views:
        parts.append(Text(_cluster_line(view, now), style=STYLES.get(view.state, "red")))
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
        for each in view.dags:
            table.add_row(*_cells(each))
        parts.append(table if view.dags else Text("  nothing unfinished", style="dim"))
    return Group(*parts)


def dag_line(view: DagView) -> str:
    """Return one DAG in one line."""
    seen = view.snapshot
    parts = [
        f"{seen.id}  {seen.name}",
        mood_of(view).words,
        f"{seen.stage}/{seen.max_stage} {seen.stage_name or ''}".rstrip(),
        f"for {duration(view.elapsed_s)}" if view.elapsed_s is not None else "",
        f"attempt {view.run}" if view.run > 1 else "",
    ]
    return "  ".join(part for part in parts if part)


def _cells(view: DagView) -> list[RenderableType]:
    seen = view.snapshot
    stage = f"{seen.stage}/{seen.max_stage}"
    done = seen.stage if view.outcome else max(0, seen.stage - 1)
    return [
        Text(seen.id, style="dim"),
        Text(seen.name, style="bold"),
        Text(mood_of(view).words),
        ProgressBar(total=max(1, seen.max_stage), completed=done, width=BAR_WIDTH),
        Text(f"{stage} {seen.stage_name or ''}"),
        Text(duration(view.elapsed_s) if view.elapsed_s is not None else ""),
    ]


def _cluster_line(view: ClusterView, now: datetime) -> str:
    answered = f"as of {age(view.checked_at, now)}" if view.checked_at else "never answered yet"
    parts = [view.name, view.state.value, view.agent or "", answered]
    if view.state not in {ClusterState.OK, ClusterState.PAUSED} and view.error:
        parts.append(view.error)
    return "  ".join(part for part in parts if part)
