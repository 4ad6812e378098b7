"""`obdag run`, `demo`, `simulate`: the commands that go on until they are stopped.

They import what they run only when they run it: it is most of the program, and the other commands are quick.
"""

import asyncio
import sys
from typing import Annotated

import typer

from bot.cli.boundary import Failure, UsageProblem
from bot.cli.session import of
from bot.config import ROLES

DEFAULT_PORT = 8686
AGENT_PORT = 2886


def run(
    context: typer.Context,
    *,
    roles: Annotated[
        str, typer.Option("--roles", help="What this process does, comma separated.")
    ] = "poll,deliver,slack",
) -> None:
    """Run the service until SIGTERM or SIGINT."""
    from bot.app import StartError, serve  # noqa: PLC0415 - dear, and for this command alone

    chosen = parse_roles(roles)
    settings = of(context).settings(chosen)
    try:
        asyncio.run(serve(settings, roles=chosen))
    except StartError as error:
        raise Failure(str(error), error.status) from error


def demo(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the page.")] = DEFAULT_PORT,
    headless: Annotated[bool, typer.Option("--headless", help="Print the channel in the terminal.")] = False,
    duration: Annotated[float | None, typer.Option("--duration", min=1, help="End after S seconds.")] = None,
    speed: Annotated[float, typer.Option("--speed", min=0.1, help="Run the story X times as fast.")] = 1.0,
    check: Annotated[
        bool, typer.Option("--check", help="At the end compare what people saw with what happened.")
    ] = False,
    slack: Annotated[
        bool, typer.Option("--slack", help="Use the real workspace of SLACK_BOT_TOKEN.")
    ] = False,
) -> None:
    """Run the whole product against simulated clusters and a local Slack. Nothing is left behind."""
    from bot.app import StartError  # noqa: PLC0415 - dear, and for this command alone
    from bot.sandbox.demo import run_demo  # noqa: PLC0415 - dear, and for this command alone

    settings = of(context).settings(ROLES if slack else ())
    try:
        status = asyncio.run(
            run_demo(
                port=port,
                headless=headless,
                duration=duration,
                speed=speed,
                check=check,
                slack=settings if slack else None,
            )
        )
    except StartError as error:
        raise Failure(str(error), error.status) from error
    raise typer.Exit(status)


def simulate(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = AGENT_PORT,
    address: Annotated[str, typer.Option("--address", help="Where to listen.")] = "127.0.0.1",
    dag: Annotated[str | None, typer.Option("--dag", metavar="NAME", help="Another story.")] = None,
) -> None:
    """Run one simulated agent alone, for trying clients; prints its address and password."""
    from bot.sandbox.agents.scenarios import SCENARIOS  # noqa: PLC0415 - dear, and for this command alone
    from bot.sandbox.agents.server import simulate as serve_agent  # noqa: PLC0415 - dear, and for this command alone

    of(context).settings()
    if dag is not None and dag not in SCENARIOS:
        raise UsageProblem(f"--dag takes one of {', '.join(SCENARIOS)}")
    try:
        asyncio.run(serve_agent(port=port, address=address, dag=dag, say=say))
    except OSError as error:
        text = f"cannot listen on {address}:{port}: {error.strerror}; choose another --port"
        raise Failure(text, status=1) from error


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    typer.echo(line)
    sys.stdout.flush()


def parse_roles(text: str) -> frozenset[str]:
    """Return the roles named in the text; raises `UsageProblem`."""
    named = frozenset(word.strip() for word in text.split(",") if word.strip())
    if not named or not named <= ROLES:
        raise UsageProblem(f"--roles takes some of {', '.join(sorted(ROLES))}, comma separated")
    return named
