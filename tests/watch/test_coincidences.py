"""Two troubles at once: an outage and an operator, a wrong password and a full disk, a list and a change."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from bot.core.dag import DagSnapshot, Maintenance, Operator, Outcome, State
from bot.core.events import Digest, Failed
from bot.core.views import ClusterState
from bot.store import clusters as cluster_rows
from bot.store import dags as dag_rows
from bot.store import views
from tests.factories import at, dag
from tests.watch.fake import BY_ID, DOWN, EVERYTHING, LIST, MEMBERS, NO_DATABASE, OWN, WRONG_PASSWORD, Refusal
from tests.watch.house import OTHER, URL, House, TroubledStore

BUSY = Refusal(500, "Common.Unexpected", "Unexpected error: busy")
BETWEEN_OVERVIEWS_S = 660
MEMBERS_AGAIN_S = 620


def failed(**members: Any) -> DagSnapshot:
    """Return a DAG that has failed."""
    return dag(1, id="11", state=State.FAILED, ended_at=at(20), **members)


def passed(**members: Any) -> DagSnapshot:
    """Return the same DAG, skipped by an operator."""
    return dag(1, id="11", state=State.SUCCEED, operator=Operator.PASS, ended_at=at(50), **members)


async def fail(house: House, **members: Any) -> None:
    """Let a DAG run and fail."""
    house.shows(dag(1, id="11", **members))
    await house.wait()
    snapshot = failed(**members)
    if snapshot.maintenance is Maintenance.NONE:
        house.shows()
        house.agent().known = (snapshot,)
    else:
        house.shows(snapshot)
    await house.wait(20)
    assert await house.told() == ["failed"]


def ends_as(house: House, snapshot: DagSnapshot) -> None:
    """Let a DAG stand in no list but that of all."""
    agent = house.agent()
    agent.listed, agent.known, agent.everything = (), (snapshot,), (snapshot,)


OLD, BAD = (
    dag(1, of=1, id="110", state=State.SUCCEED, ended_at=at(9)),
    dag(1, of=1, id="112", state=State.FAILED, ended_at=at(9), name="Backup"),
)


@pytest.fixture
async def overseen(store: TroubledStore) -> House:
    """Return a house whose list of all DAGs was read once."""
    house = House(store)
    await house.register()
    house.agent().everything = (OLD,)
    await house.wait(6)
    return house


async def test_pass_right_after_an_outage_is_told(house: House) -> None:
    """One failed poll is enough: ends are told only when all has settled, and this one too."""
    await fail(house)
    house.agent().troubles[""] = DOWN
    await house.wait(11)
    house.agent().troubles.clear()
    ends_as(house, passed())
    await house.wait(30)
    assert await house.told() == ["failed", "passed"]
    found = await house.store.read(views.find_dag, "prod", "11", house.clock())
    assert found is not None
    assert found.outcome is Outcome.PASSED


async def test_pass_in_an_outage_of_a_failure_in_no_list_is_told(overseen: House) -> None:
    """The first good poll reads the list of all, and may not tell an end yet: the next one does."""
    await fail(overseen, maintenance=Maintenance.NONE)
    overseen.agent().troubles[""] = DOWN
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    overseen.agent().troubles.clear()
    ends_as(overseen, passed(maintenance=Maintenance.NONE))
    await overseen.wait(120)
    assert await overseen.told() == ["failed", "cluster_unreachable", "cluster_recovered", "passed"]


@pytest.mark.parametrize("trouble", [DOWN, WRONG_PASSWORD])
async def test_member_in_trouble_is_taken_up_once(store: TroubledStore, trouble: Refusal | None) -> None:
    """However often the members are learnt; one that refused the password is not asked again."""
    house = House(store)
    for agent in (house.agent(URL), house.agent(OTHER)):
        agent.members = ("10.0.0.1:2886", "10.0.0.2:2886")
    house.agent(OTHER).troubles[OWN if trouble else ""] = trouble
    await house.register(scope="all")
    await house.wait(MEMBERS_AGAIN_S, step=5)
    first = len(house.agent(OTHER).asked)
    await house.wait(MEMBERS_AGAIN_S, step=5)
    second = len(house.agent(OTHER).asked) - first
    await house.wait(MEMBERS_AGAIN_S, step=5)
    third = len(house.agent(OTHER).asked) - first - second
    assert house.agent().asked.count(MEMBERS) == 4
    assert third <= second + 2
    if trouble is WRONG_PASSWORD:
        assert sum(target.startswith(OWN) for target in house.agent(OTHER).asked) == 1


async def test_refusal_that_cannot_be_stored_is_sent_no_second_password(house: House) -> None:
    """The disk is full, so polling is not stopped by what is stored: the refusal counts all the same."""
    house.agent().troubles[LIST] = WRONG_PASSWORD
    house.store.full = True
    before = house.agent().lists()
    await house.wait(300, step=5)
    assert house.agent().lists() == before + 1
    house.store.full = False
    await house.wait(60)
    assert await house.told() == ["auth_failed"]
    assert house.agent().lists() == before + 1


async def test_password_that_changes_after_the_list_is_refused_once(house: House) -> None:
    """Twenty-five DAGs are to be looked up: one failed login, and the cluster is not asked any more."""
    house.shows(*(dag(1, id=f"1{n}") for n in range(10, 35)))
    await house.wait(12)
    house.agent().troubles[f"{BY_ID}1"] = WRONG_PASSWORD
    before = len(house.agent().by_id())
    house.shows()
    await house.wait(30)
    assert len(house.agent().by_id()) == before + 1
    assert (await house.health()).state is ClusterState.AUTH_FAILED


async def test_database_lost_after_the_list_costs_an_old_agent_one_question(house: House) -> None:
    """It has the words of a missing DAG for it."""
    house.shows(*(dag(1, id=f"1{n}") for n in range(10, 35)))
    await house.wait(12)
    house.agent().troubles[f"{BY_ID}1"] = Refusal(404, 2300, "Task not found: oceanbase db is nil")
    before = len(house.agent().by_id())
    house.shows()
    await house.wait_for_poll()
    assert len(house.agent().by_id()) == before + 1


async def told_failures(house: House) -> list[str]:
    """Return the ids of the DAGs whose failure was told."""
    return [event.dag.dag_id for event in await house.events() if isinstance(event, Failed)]


async def test_short_dag_is_told_though_its_look_up_failed(overseen: House) -> None:
    """It is looked up again with the next list of all."""
    overseen.agent().everything, overseen.agent().known = (OLD, BAD), (BAD,)
    overseen.agent().troubles[f"{BY_ID}112?"] = BUSY
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    assert overseen.agent().by_id() == ["112"]
    overseen.agent().troubles.clear()
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    assert await told_failures(overseen) == ["112"]


async def test_short_dag_is_told_though_it_could_not_be_stored(overseen: House) -> None:
    """It is found again with the next list of all."""
    overseen.agent().everything, overseen.agent().known = (OLD, BAD), (BAD,)
    overseen.store.full = True
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    assert overseen.agent().by_id() == ["112"]
    overseen.store.full = False
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    assert await told_failures(overseen) == ["112"]


async def test_short_dag_that_ran_when_all_were_listed_is_told(overseen: House) -> None:
    """Created after the list of unfinished ones was read, over before the next."""
    running = msgspec.structs.replace(BAD, state=State.RUNNING, ended_at=None)
    overseen.agent().everything = (OLD, running)
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    overseen.agent().everything, overseen.agent().known = (OLD, BAD), (BAD,)
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    assert await told_failures(overseen) == ["112"]


async def test_short_dag_is_told_though_the_database_could_not_be_read(overseen: House) -> None:
    """Right after the list of all: nothing was looked up yet, and nothing is thought to be known."""
    overseen.agent().everything, overseen.agent().known = (OLD, BAD), (BAD,)
    overseen.store.unreadable.add(dag_rows.stored_ids)
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    assert overseen.agent().by_id() == []
    overseen.store.unreadable.clear()
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    assert await told_failures(overseen) == ["112"]


async def test_database_lost_before_the_list_of_all_is_asked_for_no_dag(overseen: House) -> None:
    """The list of unfinished DAGs was good, that of all was not: in that poll nothing is looked up by id."""
    agent = overseen.agent()
    overseen.shows(dag(1, id="113"))
    await overseen.wait(BETWEEN_OVERVIEWS_S - 120, step=5)
    overseen.shows()
    agent.troubles |= {f"{BY_ID}113?": BUSY, EVERYTHING: NO_DATABASE}
    polls = set()
    for _ in range(12):
        before = len(agent.asked)
        await overseen.wait_for_poll()
        asked = agent.asked[before:]
        polls.add(
            (any(t.startswith(EVERYTHING) for t in asked), any(t.startswith(f"{BY_ID}113") for t in asked))
        )
    assert polls == {(False, True), (True, False)}


async def test_list_of_all_that_hangs_is_asked_for_ever_more_seldom(overseen: House) -> None:
    """Old agents put all details of all DAGs into it."""
    overseen.agent().troubles[EVERYTHING] = DOWN
    await overseen.wait(3600 * 3, step=10)
    asked = sum(target.startswith(EVERYTHING) for target in overseen.agent().asked)
    assert asked <= 1 + 5


@pytest.mark.parametrize("lock", [Maintenance.GLOBAL, Maintenance.NONE])
async def test_agents_of_different_zones_tell_one_failure(overseen: House, lock: Maintenance) -> None:
    """The same instant, labelled eight hours apart: nobody retried anything."""
    registered = (await overseen.cluster()).registration
    both = msgspec.structs.replace(registered, urls=(URL, OTHER))
    await overseen.store.write(cluster_rows.edit, 1, both)
    await fail(overseen, maintenance=lock)
    snapshot = failed(maintenance=lock)
    other = msgspec.structs.replace(
        snapshot, started_at=_earlier(snapshot.started_at), ended_at=_earlier(snapshot.ended_at)
    )
    for agent, seen in ((overseen.agent(), snapshot), (overseen.agent(OTHER), other)):
        agent.listed = () if lock is Maintenance.NONE else (seen,)
        agent.known, agent.everything = (seen,), (seen,)
    overseen.agent().troubles[LIST] = DOWN
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    overseen.agent().troubles.clear()
    overseen.agent(OTHER).troubles[LIST] = DOWN
    await overseen.wait(BETWEEN_OVERVIEWS_S, step=5)
    assert await overseen.told() == ["failed"]
    assert overseen.agent(OTHER).by_id() == []


def _earlier(moment: datetime | None) -> datetime | None:
    return moment - timedelta(hours=8) if moment else None


async def test_digest_is_told_though_the_database_is_down(store: TroubledStore) -> None:
    """More than three DAGs of the agents' own at the first poll, and no list of the cluster."""
    house = House(store)
    agent = house.agent()
    agent.troubles[LIST] = NO_DATABASE
    agent.ob_state = 0
    names = [f"DAG {n}" for n in range(4, 9)]
    agent.own = tuple(failed_of_agent(f"2016777216102886{n}", name) for n, name in enumerate(names, start=4))
    await house.register(scope="all")
    await house.wait(60)
    (digest,) = [event for event in await house.events() if isinstance(event, Digest)]
    assert [line.dag.name for line in digest.lines] == names
    assert await house.told() == ["digest", "cluster_degraded"]


def failed_of_agent(dag_id: str, name: str) -> DagSnapshot:
    """Return a DAG of an agent's own store that has failed."""
    return dag(1, id=dag_id, name=name, state=State.FAILED, ended_at=at(20))
