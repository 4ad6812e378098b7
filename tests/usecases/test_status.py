"""What people may ask: names as they type them, and whose clusters a channel's question is about."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from bot.core.dag import DagSnapshot, State
from bot.core.events import DagEvent
from bot.core.stall import Policy
from bot.core.tracker import observe
from bot.core.views import ClusterState
from bot.store import clusters as cluster_rows
from bot.store.clusters import Cluster, HealthRow, Registration
from bot.store.commit import PollResult, commit_poll
from bot.store.engine import Store, database_url, make_engine
from bot.store.schema import metadata, subscriptions
from bot.usecases import status
from bot.usecases.errors import UnknownCluster, UnknownDag
from tests.factories import NOW, at, dag, sight, stage, sub_task

CLUSTERS = {"billing": "C0BILL", "prod-east": None, "prod-west": "C0WEST", "test": None}


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    """Return a store without clusters."""
    engine = make_engine(database_url(f"sqlite:///{tmp_path / 'obdag.db'}"))
    metadata.create_all(engine)
    opened = Store(engine)
    yield opened
    opened.close()


@pytest.fixture
async def store(empty: Store) -> Store:
    """Return a store with four clusters, two of them with a channel of their own."""
    for name, channel in CLUSTERS.items():
        wanted = Registration(name=name, urls=("http://10.0.0.1:2886",), channel=channel)
        await empty.write(cluster_rows.add, wanted, NOW)
    return empty


async def see(store: Store, name: str, *snapshots: DagSnapshot) -> list[DagEvent]:
    """Poll a cluster: it shows these DAGs."""
    cluster = await store.read(cluster_rows.find, name)
    assert isinstance(cluster, Cluster)
    observations = {s.id: observe(None, sight(s, cluster=name), Policy()) for s in snapshots}
    health = HealthRow(state=ClusterState.OK, checked_at=NOW, attempted_at=NOW)
    result = PollResult(at=NOW, health=health, observations=observations)
    await store.write(commit_poll, cluster, {}, result, None)
    return [event for o in observations.values() for event in o.events]


async def subscribe(store: Store, channel: str, cluster: str) -> None:
    """Have a channel hear a cluster, or all of them."""
    row = {"channel": channel, "cluster": cluster, "level": "failures", "created_at": NOW, "created_by": "U1"}
    await store.write(lambda c: c.execute(insert(subscriptions).values(row)))


async def names(store: Store, **asked: str | None) -> list[str]:
    """Return whose clusters an answer is about."""
    return [view.name for view in await status.unfinished(store, now=NOW, **asked)]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("test", "test"),
        ("TEST", "test"),
        ("bill", "billing"),
        ("prod-e", "prod-east"),
        ("Prod-W", "prod-west"),
    ],
)
async def test_beginning_of_a_name_will_do(store: Store, asked: str, meant: str) -> None:
    """A name may be shortened as long as it means one cluster, and typed in any case."""
    assert await status.resolve(store, asked) == meant


async def test_whole_name_is_never_ambiguous(store: Store) -> None:
    """A cluster whose name begins another's can be asked for."""
    await store.write(cluster_rows.add, Registration(name="prod", urls=("http://a:1",)), NOW)
    assert await status.resolve(store, "prod") == "prod"


@pytest.mark.parametrize(
    ("asked", "near"),
    [("prod", ("prod-east", "prod-west")), ("biling", ("billing",)), ("tset", ("test",)), ("zzz", ())],
)
async def test_unknown_name_is_answered_with_what_was_perhaps_meant(
    store: Store, asked: str, near: tuple[str, ...]
) -> None:
    """Ambiguous beginnings and slips get the names that look alike, others all that exist."""
    with pytest.raises(UnknownCluster) as caught:
        await status.resolve(store, asked)
    assert caught.value.near == near
    assert caught.value.known == tuple(CLUSTERS)
    for name in near or CLUSTERS:
        assert name in str(caught.value)


async def test_without_clusters_the_answer_says_how_to_add_one(empty: Store) -> None:
    """Nothing is registered: the remedy is named."""
    with pytest.raises(UnknownCluster, match="clusters add"):
        await status.resolve(empty, "prod")


async def test_everybody_s_question_is_about_all_clusters(store: Store) -> None:
    """The command line asks about all, by name."""
    assert await names(store) == [*CLUSTERS]


async def test_question_about_one_cluster_is_about_that_one(store: Store) -> None:
    """A cluster that was named is shown, whatever the channel hears."""
    assert await names(store, cluster="prod-e", channel="C0BILL") == ["prod-east"]


async def test_channel_s_question_is_about_its_clusters(store: Store) -> None:
    """A channel asks about what it hears: as their own channel, as the default one, or by subscription."""
    assert await names(store, channel="C0BILL") == ["billing"]
    assert await names(store, channel="C0OPS", default_channel="C0OPS") == ["prod-east", "test"]
    await subscribe(store, "C0BILL", "test")
    await subscribe(store, "C0WEST", "*")
    assert await names(store, channel="C0BILL") == ["billing", "test"]
    assert await names(store, channel="C0WEST") == [*CLUSTERS]


async def test_channel_that_hears_nothing_asks_about_all(store: Store) -> None:
    """A direct message, or a channel without clusters, is answered with everything."""
    assert await names(store, channel="D0ME", default_channel="C0OPS") == [*CLUSTERS]


async def test_clusters_come_with_their_unfinished_dags(store: Store) -> None:
    """Each DAG stands with its own cluster; a cluster never seen says so."""
    await see(store, "billing", dag(2, id="11"), dag(1, id="12"))
    await see(store, "test", dag(1, id="11"))
    views = {v.name: v for v in await status.unfinished(store, now=at(60))}
    shown = {name: [d.snapshot.id for d in view.dags] for name, view in views.items()}
    assert shown == {"billing": ["11", "12"], "prod-east": [], "prod-west": [], "test": ["11"]}
    assert views["prod-east"].state is ClusterState.UNKNOWN
    assert views["prod-east"].checked_at is None
    assert [(d.elapsed_s, d.checked_at) for d in views["test"].dags] == [(60.0, NOW)]


async def test_one_dag_finished_or_not(store: Store) -> None:
    """A DAG that ended is no longer unfinished and can still be shown."""
    await see(store, "test", dag(1, of=1, state=State.SUCCEED, ended_at=at(5)))
    assert [v.dags for v in await status.unfinished(store, now=NOW, cluster="test")] == [()]
    found = await status.dag(store, now=NOW, cluster="te", dag_id="11")
    assert (found.cluster, found.outcome, found.elapsed_s) == ("test", "succeeded", 5.0)


async def test_unknown_dag_is_answered_with_those_that_exist(store: Store) -> None:
    """The ids of the cluster's unfinished DAGs help whoever mistyped one."""
    await see(store, "test", dag(1, id="17"), dag(1, id="18"))
    for ask in (status.dag, status.log_lines):
        with pytest.raises(UnknownDag, match=r"'99'.* 17, 18\.") as caught:
            await ask(store, now=NOW, cluster="test", dag_id="99")
        assert caught.value.known == ("17", "18")
    with pytest.raises(UnknownDag, match="Nothing is unfinished"):
        await status.dag(store, now=NOW, cluster="billing", dag_id="17")
    with pytest.raises(UnknownCluster):
        await status.dag(store, now=NOW, cluster="nope", dag_id="17")


async def test_logs_of_a_dag_or_of_one_stage(store: Store) -> None:
    """Lines come by stage in the order seen; a stage that logged nothing has none."""
    stages = tuple(
        stage(n, State.RUNNING, sub_tasks=(sub_task(id=f"10{n}", lines=(f"{n}a", f"{n}b")),)) for n in (1, 2)
    )
    await see(store, "test", dag(2, of=2, stages=stages))

    async def lines(position: int | None = None) -> list[str]:
        found = await status.log_lines(store, now=NOW, cluster="test", dag_id="11", stage=position)
        return [line.line for line in found]

    assert await lines() == ["1a", "1b", "2a", "2b"]
    assert await lines(2) == ["2a", "2b"]
    assert await lines(3) == []


async def test_out_of_sight_is_said_with_its_age(store: Store) -> None:
    """While a cluster cannot be read, its DAGs are shown as they were then, and since when nobody knows."""
    await see(store, "test", dag(2))
    lost = HealthRow(state=ClusterState.UNREACHABLE, error="refused", checked_at=NOW, attempted_at=at(90))
    await store.write(cluster_rows.save_health, 4, lost)
    (view,) = await status.unfinished(store, now=at(90), cluster="test")
    assert (view.state, view.error, view.checked_at) == (ClusterState.UNREACHABLE, "refused", NOW)
    assert [d.unknown_since for d in view.dags] == [NOW]
    await store.write(cluster_rows.set_paused, 4, paused=True)
    (paused,) = await status.unfinished(store, now=at(90), cluster="test")
    assert paused.state is ClusterState.PAUSED
