"""Situations recorded from a real agent, watched through the real client, tracker and store."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.core.events import AnyEvent, DagEvent, Failed, StageAdvanced, Succeeded, decode
from bot.core.views import ClusterState
from bot.metrics import Metrics
from bot.obshell.connect import connect
from bot.store import clusters as cluster_rows
from bot.store.clusters import Cluster, HealthRow, Registration
from bot.store.engine import Store, database_url, make_engine
from bot.store.schema import metadata, outbox
from bot.watch.routes import Routes
from bot.watch.watcher import Defaults, Watcher
from tests.watch.replay import RECORDINGS, START, ManualClock, RecordedAgent

AGENT = "127.0.0.1:2886"
STEP_S = 0.2
ASKED = {"maintainer-restarts": ("127.0.0.1:2986",)}
"""Whom a situation was recorded from, where it was not the first agent."""


def public_key() -> str:
    """Return the key that the recorded agent gave."""
    content = json.loads((RECORDINGS / "routes-without-auth.json").read_text())
    found = next(e for e in content["exchanges"] if e.get("target") == "/api/v1/secret")
    return str(found["body"]["data"]["public_key"])


async def watch(name: str, folder: Path) -> list[AnyEvent]:
    """Poll a situation five times a second from its beginning to past its end; return what was told.

    `started` and `discovered` are told by the root message alone and are not among the notices.
    """
    clock, agents = ManualClock(), ASKED.get(name, (AGENT,))
    engine = make_engine(database_url(f"sqlite:///{folder / 'obdag.db'}"))
    metadata.create_all(engine)
    store = Store(engine)
    recorded = {agent: RecordedAgent(name, agent, clock, public_key()) for agent in agents}

    def routes(cluster: Cluster) -> Routes:
        return Routes(
            cluster.registration.urls,
            lambda url: connect(
                url,
                user="root",
                password=lambda: "lab-pass",
                clock=clock,
                transport=recorded[url.removeprefix("http://")],
            ),
        )

    await _register(store, agents)
    watcher = Watcher(
        store=store,
        connect=routes,
        clock=clock,
        random=lambda: 0.5,
        defaults=Defaults(),
        metrics=Metrics(),
        nudge=lambda: None,
    )
    await watcher.refresh()
    end = max(t for transport in recorded.values() for t in transport.times()) + 3
    for step in range(int(end / STEP_S)):
        clock.set(step * STEP_S + 0.05)
        await watcher.poll(1)
    await watcher.close()
    events = await store.read(
        lambda c: [decode(t) for t in c.scalars(select(outbox.c.event).order_by(outbox.c.id))]
    )
    store.close()
    return list(dict.fromkeys(events))


async def _register(store: Store, agents: tuple[str, ...]) -> None:
    """Register the cluster as one that was polled before the situation began."""
    registration = Registration(name="lab", urls=tuple(f"http://{a}" for a in agents), channel="C0LAB")
    await store.write(cluster_rows.add, registration, START)
    before = START - timedelta(seconds=5)
    polled = HealthRow(state=ClusterState.OK, checked_at=before, attempted_at=before)
    await store.write(cluster_rows.save_health, 1, polled)


def told(event: AnyEvent) -> str:
    """Return an event in short: its run, kind, and the stages or stage it is about."""
    if isinstance(event, StageAdvanced):
        return f"{event.dag.run} stages {','.join(str(r.position) for r in event.finished)}"
    if isinstance(event, DagEvent):
        return f"{event.dag.run} {event.kind} at {event.dag.stage}"
    return event.kind


STORIES = {
    "success": ["1 stages 1", "1 stages 2", "1 stages 3", "1 succeeded at 3"],
    "failed-then-retried": [
        "1 stages 1",
        "1 failed at 2",
        "2 retried at 2",
        "2 stages 2",
        "2 stages 3",
        "2 succeeded at 3",
    ],
    "retried-fails-again": [
        "1 stages 1",
        "1 failed at 2",
        "2 retried at 2",
        "2 failed at 2",
        "2 passed at 2",
    ],
    "rolled-back": [
        "1 stages 1",
        "1 stages 2",
        "1 failed at 3",
        "2 rollback_started at 3",
        "2 rolled_back at 1",
    ],
    "rollback-fails": [
        "1 stages 1",
        "1 failed at 2",
        "2 rollback_started at 2",
        "2 failed at 1",
        "2 passed at 1",
    ],
    "retry-after-half-rollback": [
        "1 stages 1",
        "1 stages 2",
        "1 failed at 3",
        "2 rollback_started at 3",
        "2 failed at 1",
        "3 retried at 1",
        "3 stages 1",
        "3 succeeded at 3",
    ],
    "cancelled": [
        "1 stages 1",
        "1 cancelling at 2",
        "1 cancelled at 2",
        "2 retried at 2",
        "2 cancelling at 2",
        "2 cancelled at 2",
        "2 passed at 2",
    ],
    "node-passed": ["1 failed at 1", "2 retried at 1", "2 stages 1", "2 stages 2", "2 succeeded at 2"],
    "vanishes-when-failed": [
        "1 stages 1",
        "1 failed at 2",
        "2 retried at 2",
        "2 stages 2",
        "2 stages 3",
        "2 succeeded at 3",
    ],
    "target-agent-down": [
        "1 stages 1",
        "1 cancelling at 2",
        "1 cancelled at 2",
        "2 retried at 2",
        "2 stages 2",
        "2 succeeded at 2",
    ],
    "agent-restarts": ["1 failed at 1"],
    "database-down": [
        "1 stages 1",
        "cluster_degraded",
        "cluster_recovered",
        "1 stages 2",
        "1 succeeded at 2",
    ],
    "maintainer-restarts": ["1 stages 1", "1 stages 2", "1 stages 3", "1 succeeded at 3"],
    "timeout": ["1 failed at 1"],
    "panic": ["1 failed at 1"],
}


@pytest.mark.parametrize("name", STORIES)
async def test_story_gives_exactly_its_events(name: str, tmp_path: Path) -> None:
    """What the recorded situation says happened is told, each once, in order, and nothing else."""
    events = await watch(name, tmp_path)
    assert [told(event) for event in events] == STORIES[name]


async def test_retried_stage_reports_the_lines_of_its_own_attempt(tmp_path: Path) -> None:
    """The reply of the retried stage leaves out what the failed attempt logged."""
    events = await watch("failed-then-retried", tmp_path)
    stages = {r.position: r for e in events if isinstance(e, StageAdvanced) for r in e.finished}
    assert {(log.sub_task_id, log.lines) for log in stages[2].logs} == {
        ("19", ("check disk",)),
        ("110", ("remove directory", "check disk")),
        ("111", ("check disk",)),
    }
    failure = next(e for e in events if isinstance(e, Failed))
    (failed,) = failure.failures
    assert failed.error_code == "Common.Unexpected"
    assert failed.last_lines == (
        "check disk",
        "ERROR: [Common.Unexpected]: Unexpected error: no space left on /data",
    )
    assert failed.host == "127.0.0.1:2986"
    assert failed.attempt == 1


async def test_half_rolled_back_retry_is_not_called_done(tmp_path: Path) -> None:
    """SUCCEED/RUN with undone stages names them."""
    events = await watch("retry-after-half-rollback", tmp_path)
    assert isinstance(events[-1], Succeeded)
    assert len(events[-1].undone) == 2


async def test_outage_names_the_dags_in_doubt(tmp_path: Path) -> None:
    """A lost database is told once, with the DAGs whose state is unknown, and nothing is said to be over."""
    events = await watch("database-down", tmp_path)
    trouble = next(e for e in events if e.kind == "cluster_degraded")
    assert getattr(trouble, "open_dags", None) == ("Lives on",)
