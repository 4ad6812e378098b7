"""`obdag show` and `obdag logs`: one DAG with its stages, and what its sub-tasks logged."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from bot.cli import direct, output, tables
from bot.cli.freshness import freshen
from bot.cli.session import Office, work
from bot.cli.status import Json
from bot.core.dag import Stage, State
from bot.core.logs import LogLine, new_lines
from bot.core.views import DagView
from bot.slack.text import printable
from bot.slack.wording import duration
from bot.usecases import status

FOLLOW_EVERY_S = 2.0

ClusterName = Annotated[str, typer.Argument(metavar="NAME", help="The cluster.")]
DagId = Annotated[str, typer.Argument(metavar="DAG_ID", help="The DAG's id, as status shows it.")]


def show(context: typer.Context, name: ClusterName, dag_id: DagId, *, json: Json = False) -> None:
    """Show one DAG with its stages."""

    async def task(office: Office) -> None:
        view = await _fresh(office, name, dag_id) or await _stored(office, name, dag_id)
        if json:
            output.write(output.dag_with_stages(view))
        else:
            _print(view, office.registry.clock())

    work(context, task)


def logs(
    context: typer.Context,
    name: ClusterName,
    dag_id: DagId,
    *,
    stage: Annotated[int | None, typer.Option("--stage", min=1, help="Only this stage.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the DAG ends.")] = False,
) -> None:
    """Show the log lines of a DAG's sub-tasks: stage, host, line."""

    async def task(office: Office) -> None:
        printed: list[LogLine] = []
        while True:
            view, lines = await _lines(office, name, dag_id, stage)
            for line in _unprinted(lines, printed):
                typer.echo(f"{line.position:>2}  {line.host or '-'}  {printable(line.line)}")
                printed.append(line)
            if not follow or view.outcome is not None:
                return
            await asyncio.sleep(FOLLOW_EVERY_S)

    work(context, task)


async def _fresh(office: Office, name: str, dag_id: str) -> DagView | None:
    """Return the DAG as an agent tells it, or None when the stored state is what may be shown."""
    cluster = await status.resolve(office.store, name)
    if office.service() is None:
        return await direct.dag(office, cluster, dag_id)
    await freshen(office, [cluster])
    return None


async def _stored(office: Office, name: str, dag_id: str) -> DagView:
    return await status.dag(office.store, now=office.registry.clock(), cluster=name, dag_id=dag_id)


async def _lines(office: Office, name: str, dag_id: str, stage: int | None) -> tuple[DagView, list[LogLine]]:
    if (found := await _fresh(office, name, dag_id)) is not None:
        lines = new_lines(None, found.snapshot)
        return found, [line for line in lines if stage is None or line.position == stage]
    view, now = await _stored(office, name, dag_id), office.registry.clock()
    return view, await status.log_lines(office.store, now=now, cluster=name, dag_id=dag_id, stage=stage)


def _unprinted(lines: list[LogLine], printed: list[LogLine]) -> list[LogLine]:
    """Return the lines that were not printed yet; each line counts as often as it stands there."""
    left = list(printed)
    new = []
    for line in lines:
        if line in left:
            left.remove(line)
        else:
            new.append(line)
    return new


def _print(view: DagView, now: datetime) -> None:
    typer.echo(f"{view.cluster}  {tables.dag_line(view)}")
    typer.echo(f"as of {tables.age(view.checked_at, now)}")
    if view.snapshot.stages is None:
        typer.echo("its stages are not known: no answer of an agent held them yet")
        return
    tables.columns(["#", "stage", "state", "took", "hosts"], [_row(s) for s in view.snapshot.stages])


def _row(stage: Stage) -> list[str]:
    hosts = sorted({str(task.host) for task in stage.sub_tasks if task.host})
    took = ""
    ended = stage.state in {State.SUCCEED, State.FAILED}
    if ended and stage.started_at and stage.ended_at and stage.ended_at >= stage.started_at:
        took = duration((stage.ended_at - stage.started_at).total_seconds())
    return [str(stage.position), stage.name, stage.state.value.lower(), took, ", ".join(hosts)]
