"""The one transaction of a poll, on both databases."""

import msgspec
import pytest
from sqlalchemy import Engine, func, select

from bot.core.dag import DagSnapshot, State
from bot.core.events import Digest, DigestLine
from bot.core.stall import Policy
from bot.core.tracked import Observation
from bot.core.tracker import observe
from bot.core.views import ClusterState
from bot.store import clusters as cluster_rows
from bot.store import dags as dag_rows
from bot.store import views
from bot.store.clusters import Cluster, HealthRow, Registration
from bot.store.commit import LostOwnership, PollResult, commit_poll
from bot.store.dags import StaleSave, StoredDag
from bot.store.schema import clusters, dags, health, log_lines, outbox, threads
from tests.factories import NOW, at, dag, sight, stage, sub_task

OK = HealthRow(state=ClusterState.OK, agent="http://10.0.0.1:2886", checked_at=NOW, attempted_at=NOW)


def registered(engine: Engine, name: str = "prod", channel: str | None = "C0OPS") -> Cluster:
    """Register a cluster."""
    with engine.begin() as connection:
        urls = ("http://10.0.0.1:2886", "http://10.0.0.2:2886")
        cluster_rows.add(connection, Registration(name=name, urls=urls, channel=channel), NOW)
        found = cluster_rows.find(connection, name)
    assert found is not None
    return found


def seen(snapshot: DagSnapshot, stored: StoredDag | None = None, seconds: float = 0) -> Observation:
    """Observe a DAG."""
    return observe(stored.tracked if stored else None, sight(snapshot, seconds), Policy())


def commit(
    engine: Engine, cluster: Cluster, observation: Observation, stored: StoredDag | None = None
) -> StoredDag:
    """Store the observation of one DAG."""
    dag_id = observation.tracked.snapshot.id
    remembered = {dag_id: stored} if stored else {}
    result = PollResult(at=NOW, health=OK, observations={dag_id: observation})
    with engine.begin() as connection:
        return commit_poll(connection, cluster, remembered, result, None)[dag_id]


def count(engine: Engine, table: object) -> int:
    """Count the rows of a table."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_state_comes_back_as_it_was(engine: Engine) -> None:
    """What is remembered of a DAG survives the database whole."""
    cluster = registered(engine)
    lines = ("plain", "<!channel> *bold*", "several\nlines", "", "  blanks  ", "\x1b[31mred", "中文")
    task = sub_task(State.FAILED, lines=lines)
    snapshot = dag(1, state=State.FAILED, ended_at=at(3), stages=(stage(1, State.FAILED, sub_tasks=(task,)),))
    saved = commit(engine, cluster, seen(snapshot))
    with engine.begin() as connection:
        (loaded,) = dag_rows.load_open(connection, cluster.id, cluster.generation).values()
    assert loaded == saved


def test_lines_with_nul_are_kept(engine: Engine) -> None:
    """A NUL in a log line, which PostgreSQL cannot hold, shows as its picture."""
    cluster = registered(engine)
    snapshot = dag(1, of=1, stages=(stage(1, State.RUNNING, sub_tasks=(sub_task(lines=("a\0b",)),)),))
    saved = commit(engine, cluster, seen(snapshot))
    with engine.begin() as connection:
        assert [line.line for line in views.log_of(connection, saved.pk)] == ["a\u2400b"]
        (loaded,) = dag_rows.load_open(connection, cluster.id, cluster.generation).values()
    assert loaded.tracked.snapshot == snapshot


def test_each_line_is_stored_once(engine: Engine) -> None:
    """Growing logs add their new lines only, equal lines as often as they came."""
    cluster = registered(engine)

    def logging(*lines: str) -> DagSnapshot:
        return dag(1, of=1, stages=(stage(1, State.RUNNING, sub_tasks=(sub_task(lines=lines),)),))

    stored = commit(engine, cluster, seen(logging("x")))
    for lines in (("x", "y"), ("x", "y", "x")):
        stored = commit(engine, cluster, seen(logging(*lines), stored), stored)
    with engine.begin() as connection:
        assert [line.line for line in views.log_of(connection, stored.pk)] == ["x", "y", "x"]


def test_failure_inside_leaves_nothing(engine: Engine) -> None:
    """When any part of a poll cannot be stored, none is."""
    cluster = registered(engine)
    broken = PollResult(
        at=NOW,
        health=msgspec.structs.replace(OK, checked_at=NOW.replace(tzinfo=None)),
        observations={"11": seen(dag(2))},
    )
    with pytest.raises(Exception, match="naive time"), engine.begin() as connection:
        commit_poll(connection, cluster, {}, broken, None)
    assert [count(engine, t) for t in (dags, outbox, threads, log_lines, health)] == [0, 0, 0, 0, 0]


def test_second_save_of_one_version_is_dropped(engine: Engine) -> None:
    """Of two processes that saw the same version, the second stores nothing."""
    cluster = registered(engine)
    stored = commit(engine, cluster, seen(dag(1)))
    commit(engine, cluster, seen(dag(2), stored), stored)
    notices = count(engine, outbox)
    with pytest.raises(StaleSave):
        commit(engine, cluster, seen(dag(2), stored), stored)
    assert count(engine, outbox) == notices


def test_owner_of_the_past_stores_nothing(engine: Engine) -> None:
    """A process that lost the cluster, or whose cluster was removed, cannot save."""
    cluster = registered(engine)
    with engine.begin() as connection:
        connection.execute(clusters.update().values(owner_epoch=7))
    with pytest.raises(LostOwnership):
        commit(engine, cluster, seen(dag(1)))
    with engine.begin() as connection:
        cluster_rows.remove(connection, cluster.id)
    with pytest.raises(LostOwnership):
        commit(engine, cluster, seen(dag(1)))
    assert count(engine, dags) == 0


def test_poll_with_a_replaced_password_stores_nothing(engine: Engine) -> None:
    """The refusal of an old password must not stop the polling with the new one."""
    cluster = registered(engine)
    with engine.begin() as connection:
        cluster_rows.set_secret(connection, cluster.id, "another", "root")
    with pytest.raises(LostOwnership):
        commit(engine, cluster, seen(dag(1)))
    assert count(engine, health) == 0


def test_digest_makes_no_roots(engine: Engine) -> None:
    """DAGs that a digest told get their root with their next event."""
    cluster = registered(engine)
    observation = observe(None, sight(dag(2), first_poll=True), Policy())
    quiet = msgspec.structs.replace(observation, events=(), changed=False)
    line = DigestLine(dag=observation.events[0].dag, state=State.RUNNING)
    digest = Digest(cluster="prod", episode=0, at=NOW, lines=(line,))
    result = PollResult(at=NOW, health=OK, observations={"11": quiet}, cluster_events=(digest,))
    with engine.begin() as connection:
        saved = commit_poll(connection, cluster, {}, result, None)
    with engine.connect() as connection:
        assert list(connection.scalars(select(threads.c.dag))) == [None]
    commit(engine, cluster, seen(dag(3), saved["11"], 10), saved["11"])
    with engine.connect() as connection:
        assert list(connection.scalars(select(threads.c.dag).order_by(threads.c.id))) == [
            None,
            saved["11"].pk,
        ]


def test_cluster_without_channel_uses_the_default(engine: Engine) -> None:
    """A cluster that names no channel is told in the default one, and nowhere without it."""
    cluster = registered(engine, channel=None)
    result = PollResult(at=NOW, health=OK, observations={"11": seen(dag(2))})
    with engine.begin() as connection:
        commit_poll(connection, cluster, {}, result, None)
    assert count(engine, outbox) == 0
    other = registered(engine, name="other", channel=None)
    with engine.begin() as connection:
        commit_poll(connection, other, {}, result, "C0DEFAULT")
    with engine.connect() as connection:
        assert set(connection.scalars(select(outbox.c.channel))) == {"C0DEFAULT"}


def test_removed_cluster_takes_its_rows_along_and_its_id_is_not_reused(engine: Engine) -> None:
    """Nothing of a removed cluster is left to be delivered, and no later one inherits its keys."""
    cluster = registered(engine)
    commit(engine, cluster, seen(dag(2)))
    with engine.begin() as connection:
        cluster_rows.remove(connection, cluster.id)
    assert [count(engine, t) for t in (dags, outbox, threads, health)] == [0, 0, 0, 0]
    assert registered(engine).id != cluster.id


def test_unfinished_shows_what_is_listed(engine: Engine) -> None:
    """Running DAGs and failed ones that are still listed are unfinished, ended ones are not."""
    cluster = registered(engine)
    for number, state in enumerate((State.RUNNING, State.FAILED, State.SUCCEED)):
        snapshot = dag(1, of=1, id=f"1{number}", state=state, ended_at=at(20))
        observation = observe(None, sight(snapshot, 10, listed=state is not State.SUCCEED), Policy())
        commit(engine, cluster, observation)
    with engine.begin() as connection:
        (view,) = views.unfinished(connection, at(60))
    assert [(d.snapshot.id, d.outcome) for d in view.dags] == [("10", None), ("11", None)]
    assert view.state is ClusterState.OK
    assert view.dags[0].elapsed_s == 60
