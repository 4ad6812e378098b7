"""`obdag clusters ...`: which clusters are watched, and how they are reached."""

from pathlib import Path
from typing import Annotated

import typer

from bot.cli import cluster_texts as texts
from bot.cli import output, tables
from bot.cli.boundary import FAILED, UsageProblem
from bot.cli.freshness import current
from bot.cli.passwords import FromCommand, FromEnv, FromFile, FromStdin, Source
from bot.cli.session import Office, of, work
from bot.cli.status import HEALTHY, Json
from bot.store.clusters import Registration
from bot.usecases import clusters as usecase
from bot.usecases.naming import checked

app = typer.Typer(no_args_is_help=True, help="Manage the clusters that are watched.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The cluster's name.")]
Channel = Annotated[str | None, typer.Option("--channel", metavar="C", help="Slack channel ID.")]
Interval = Annotated[float | None, typer.Option("--interval", metavar="S", help="Seconds between polls.")]
StallAfter = Annotated[
    float | None,
    typer.Option("--stall-after", metavar="S", help="Seconds without progress that are a stall."),
]
Scope = Annotated[str, typer.Option("--scope", metavar="cluster|all", help="Which DAGs are watched.")]
User = Annotated[str, typer.Option("--user", metavar="root|agent", help="Whose password it is.")]
CaFile = Annotated[
    Path | None, typer.Option("--ca-file", help="Authorities that agents are checked against.")
]
ClientCert = Annotated[Path | None, typer.Option("--client-cert", help="Certificate to show to agents.")]
ClientKey = Annotated[Path | None, typer.Option("--client-key", help="Key of that certificate.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Trust any certificate of an agent.")]
NoCheck = Annotated[bool, typer.Option("--no-check", help="Store without connecting first.")]
Urls = Annotated[list[str], typer.Argument(metavar="URL", help="Agents, like http://10.0.0.1:2886")]


@app.command()
def add(
    context: typer.Context,
    name: Name,
    urls: Urls,
    *,
    channel: Channel = None,
    interval: Interval = None,
    stall_after: StallAfter = None,
    scope: Scope = "cluster",
    user: User = "root",
    password_stdin: FromStdin = False,
    password_env: FromEnv = None,
    password_file: FromFile = None,
    password_command: FromCommand = None,
    ca_file: CaFile = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
    insecure: Insecure = False,
    no_check: NoCheck = False,
) -> None:
    """Register a cluster with one or more agents, after looking at each of them."""
    wanted = checked(
        Registration(
            name=name,
            urls=tuple(urls),
            scope=scope,
            user=user,
            channel=channel,
            interval_s=interval,
            stall_after_s=stall_after,
            ca_file=_text(ca_file),
            client_cert=_text(client_cert),
            client_key=_text(client_key),
            insecure=insecure,
        )
    )
    source = Source(stdin=password_stdin, env=password_env, file=password_file, command=password_command)
    password = source.read(of(context).environment, texts.prompt(name, user))
    of(context).redactor.add(password)

    async def task(office: Office) -> None:
        reports = await usecase.add(office.registry, wanted, password, check=not no_check)
        typer.echo(f"added {name} with {', '.join(wanted.urls)}")
        for line in (*map(texts.report, reports), *texts.advice(wanted, office.settings.channel)):
            typer.echo(line)

    work(context, task)


@app.command("list")
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List the registered clusters."""

    async def task(office: Office) -> None:
        found = await usecase.everything(office.registry)
        if json:
            output.write([output.registration(cluster, row) for cluster, row in found])
        elif found:
            now = office.registry.clock()
            tables.columns(texts.LIST_HEADERS, [texts.list_row(cluster, row, now) for cluster, row in found])
        else:
            typer.echo("no cluster is registered yet: obdag clusters add NAME URL")

    work(context, task)


@app.command()
def show(context: typer.Context, name: Name, *, json: Json = False) -> None:
    """Show how a cluster is registered and what its last poll came to."""

    async def task(office: Office) -> None:
        cluster = await usecase.find(office.registry, name)
        row = await usecase.health(office.registry, cluster)
        if json:
            output.write(output.registration(cluster, row))
        else:
            for line in texts.details(cluster, row, office.settings, office.registry.clock()):
                typer.echo(line)

    work(context, task)


@app.command()
def check(context: typer.Context, name: Name) -> None:
    """Look whether a cluster can be watched: beside a service by a poll of it, else by asking each agent."""

    async def task(office: Office) -> bool:
        await usecase.find(office.registry, name)
        if office.service() is not None:
            views = await current(office, name)
            tables.status(views, office.registry.clock())
            return all(view.state in HEALTHY for view in views)
        reports = await usecase.check(office.registry, name)
        for report in reports:
            typer.echo(texts.report(report))
        return not any(isinstance(report, Exception) for report in reports)

    if not work(context, task):
        raise typer.Exit(FAILED)


@app.command()
def edit(
    context: typer.Context,
    name: Name,
    *,
    url: Annotated[list[str] | None, typer.Option("--url", help="All its agents anew; repeatable.")] = None,
    channel: Channel = None,
    interval: Interval = None,
    stall_after: StallAfter = None,
    scope: Annotated[str | None, typer.Option("--scope", metavar="cluster|all")] = None,
    runbook: Annotated[
        str | None, typer.Option("--runbook", metavar="URL", help="Shown on failures.")
    ] = None,
    ca_file: CaFile = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
    insecure: Annotated[bool | None, typer.Option("--insecure/--secure")] = None,
    no_check: NoCheck = False,
) -> None:
    """Change how a cluster is registered; what is not named stays."""
    named = {
        "urls": tuple(url) if url else None,
        "channel": channel,
        "interval_s": interval,
        "stall_after_s": stall_after,
        "scope": scope,
        "runbook": runbook,
        "ca_file": _text(ca_file),
        "client_cert": _text(client_cert),
        "client_key": _text(client_key),
        "insecure": insecure,
    }
    changes = {field: value for field, value in named.items() if value is not None}
    if not changes:
        raise UsageProblem("nothing to change: name at least one option, see obdag clusters edit --help")

    async def task(office: Office) -> None:
        reports = await usecase.edit(office.registry, name, changes, check=not no_check)
        typer.echo(f"changed {name}")
        for report in reports:
            typer.echo(texts.report(report))

    work(context, task)


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Forget a cluster with all that is stored about it."""
    work(context, lambda office: usecase.remove(office.registry, name))
    typer.echo(f"removed {name}")


@app.command("set-password")
def set_password(
    context: typer.Context,
    name: Name,
    *,
    user: Annotated[str | None, typer.Option("--user", metavar="root|agent")] = None,
    password_stdin: FromStdin = False,
    password_env: FromEnv = None,
    password_file: FromFile = None,
    password_command: FromCommand = None,
    no_check: NoCheck = False,
) -> None:
    """Store a new password, after trying it once, and let the cluster be polled again."""
    source = Source(stdin=password_stdin, env=password_env, file=password_file, command=password_command)

    async def task(office: Office) -> None:
        cluster = await usecase.find(office.registry, name)
        prompt = texts.prompt(name, user or cluster.registration.user)
        password = source.read(of(context).environment, prompt)
        of(context).redactor.add(password)
        reports = await usecase.set_password(office.registry, name, password, user=user, check=not no_check)
        typer.echo(f"stored the new password of {name}")
        for report in reports:
            typer.echo(texts.report(report))

    work(context, task)


@app.command()
def pause(context: typer.Context, name: Name) -> None:
    """Stop polling a cluster, until it is resumed."""
    work(context, lambda office: usecase.set_paused(office.registry, name, paused=True))
    typer.echo(f"paused {name}: it is not polled until obdag clusters resume {name}")


@app.command()
def resume(context: typer.Context, name: Name) -> None:
    """Poll a paused cluster again."""
    work(context, lambda office: usecase.set_paused(office.registry, name, paused=False))
    typer.echo(f"resumed {name}")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
