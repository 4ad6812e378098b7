import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from rich.console import Console

from bot.cli import tables
from bot.core.dag import DagSnapshot, Operator, State
from bot.core.views import ClusterState, ClusterView, DagView

NOW = datetime(2026, 5, 9, 10, 0, tzinfo=UTC)
DAG = DagView(
    cluster="prod",
    snapshot=DagSnapshot(
        id="11", name="Scale out", stage=3, max_stage=9, state=State.RUNNING, operator=Operator.RUN
    ),
    run=2,
    first_seen_at=NOW,
    checked_at=NOW,
    elapsed_s=65.0,
)
VIEWS = (
    ClusterView(
        name="prod",
        state=ClusterState.OK,
        agent="http://10.0.0.1:2886",
        checked_at=NOW - timedelta(seconds=3),
        dags=(DAG,),
    ),
    ClusterView(name="quiet", state=ClusterState.OK, checked_at=NOW),
    ClusterView(name="lost", state=ClusterState.UNREACHABLE, error="connection [red]refused[/red]"),
)


Render = Callable[[tuple[ClusterView, ...]], str]


def _lines(views: tuple[ClusterView, ...]) -> str:
    return "\n".join(tables.status_lines(views, NOW, "a note"))


def _screen(views: tuple[ClusterView, ...]) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    console.print(tables.live(views, NOW, "a note"))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize("render", [_screen, _lines])
def test_what_stands_on_the_screen_and_in_the_pipe(render: Render) -> None:
    """Both say the same: health with its age, DAGs with stage and time, errors verbatim."""
    text = render(VIEWS)
    for piece in ("a note", "prod  ok  http://10.0.0.1:2886  as of 3 s ago", "Scale out", "3/9", "1 m 05 s"):
        assert piece in text
    assert "nothing unfinished" in text
    assert "lost  unreachable  never answered yet  connection [red]refused[/red]" in text


def test_nothing_registered() -> None:
    """An empty screen says what to do first."""
    assert "obdag clusters add" in _screen(())


def test_attempts_are_counted_from_the_second() -> None:
    """A first attempt needs no word."""
    assert "attempt 2" in tables.dag_line(DAG)
    assert "attempt" not in tables.dag_line(msgspec.structs.replace(DAG, run=1))
