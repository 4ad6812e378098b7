"""Watching through the real client, tracker and store; agents as the test sets them, time moved by hand."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, event, select
from structlog.testing import capture_logs

from bot.core.dag import DagSnapshot, State
from bot.core.events import Digest, Failed, Forgotten
from bot.core.views import ClusterState
from bot.store import clusters as cluster_rows
from bot.store import registering
from bot.store.engine import Store
from bot.store.schema import dags
from tests.factories import at, dag, stage, sub_task
from tests.watch.fake import (
    DETAILED,
    DOWN,
    GONE,
    LIST,
    NO_DATABASE,
    UNKNOWN_TYPE,
    WRONG_PASSWORD,
    Refusal,
)
from tests.watch.house import OTHER, URL, House, TroubledStore

STUCK = timedelta(seconds=120)


def writes(store: Store) -> list[str]:
    """Return a list that grows with each statement that changes the database."""
    seen: list[str] = []

    def note(_c: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in {"INSERT", "UPDATE", "DELETE"}:
            seen.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    return seen


def failed(current: int = 2, lines: tuple[str, ...] = ("ERROR: [A.B]: no",)) -> DagSnapshot:
    """Return a DAG of two stages that failed at its second."""
    task = sub_task(State.FAILED, id="102", lines=lines)
    stages = (stage(1, State.SUCCEED), stage(2, State.FAILED, sub_tasks=(task,)))
    return dag(current, of=2, state=State.FAILED, ended_at=at(9), stages=stages)


async def test_poll_without_news_writes_nothing_but_its_age(house: House) -> None:
    """A quiet cluster costs the database nothing until the ages are flushed; those are then right."""
    house.shows(dag(2))
    await house.wait(10)
    statements = writes(house.store)
    before = await house.health()
    await house.wait(20)
    assert house.agent().lists() == 4
    assert statements == []
    await house.watcher.flush()
    assert len(statements) == 1
    after = await house.health()
    assert after == msgspec.structs.replace(
        before, checked_at=after.checked_at, attempted_at=after.attempted_at
    )
    assert after.checked_at == after.attempted_at == house.clock.now - timedelta(seconds=3)
    await house.watcher.flush()
    assert len(statements) == 1


async def test_clock_of_a_quiet_dag_survives_a_restart(house: House) -> None:
    """The silence of a DAG is stored now and then, so that a restart does not begin its stall time anew."""
    house.shows(dag(2))
    await house.wait(310)
    await house.restart()
    await house.wait(240)
    assert await house.told() == ["stage_advanced"]
    await house.wait(110)
    assert await house.told() == ["stage_advanced", "stalled"]


async def test_poll_that_a_person_wants_is_done_and_shown(house: House) -> None:
    """Somebody who asks sees at once that the cluster was asked, though nothing else was new."""
    await house.wait(2)
    asked = house.clock.now
    await house.store.write(cluster_rows.want_poll, 1, asked)
    await house.wait(0.5)
    assert house.agent().lists() == 2
    attempted = (await house.health()).attempted_at
    assert attempted is not None
    assert attempted >= asked
    await house.wait(5)
    assert house.agent().lists() == 2


async def test_failed_poll_that_a_person_wants_is_shown(house: House) -> None:
    """That nobody answered is an answer, too."""
    house.agent().troubles[""] = DOWN
    asked = house.clock.now
    await house.store.write(cluster_rows.want_poll, 1, asked)
    await house.wait(0.5)
    health = await house.health()
    assert health.attempted_at is not None
    assert health.attempted_at > asked
    assert health.checked_at is not None
    assert health.checked_at < asked


async def test_several_people_want_polls_at_one_instant(house: House) -> None:
    """A second wish of the same instant, and one of a host whose clock is behind, are heard as well."""
    await house.register("test", OTHER)
    await house.register("third", "http://10.0.0.3:2886")
    await house.wait(6)
    asked = house.clock.now
    for name, wish in (("prod", asked), ("test", asked), ("third", asked - timedelta(seconds=1))):
        house.clock.now += timedelta(seconds=0.1)
        cluster = await house.cluster(name)
        before = house.agent(cluster.registration.urls[0]).lists()
        await house.store.write(cluster_rows.want_poll, cluster.id, wish)
        await house.watcher.refresh()
        for cluster_id in house.watcher.due(house.clock()):
            await house.watcher.poll(cluster_id)
        assert house.agent(cluster.registration.urls[0]).lists() == before + 1, name


async def test_wish_that_comes_after_the_answer_gets_another_poll(house: House) -> None:
    """A person who asks while the answer of a poll is being stored waits for a poll of his own."""
    house.shows(dag(2))
    house.clock.now += timedelta(seconds=10)
    house.store.storing.clear()
    house.store.may_store.clear()
    poll = asyncio.create_task(house.watcher.poll(1))
    await house.store.storing.wait()
    house.clock.now += timedelta(seconds=0.1)
    await house.store.write(cluster_rows.want_poll, 1, house.clock.now)
    await house.watcher.refresh()
    house.clock.now += timedelta(seconds=0.1)
    house.store.may_store.set()
    await poll
    assert house.watcher.due(house.clock()) == [1]
    await house.watcher.poll(1)
    assert house.watcher.due(house.clock()) == []
    assert (await house.health()).attempted_at == house.clock.now


async def test_refused_password_stops_polling_for_good(house: House) -> None:
    """No restart sends a refused password again; a new one brings the cluster back."""
    house.agent().troubles[LIST] = WRONG_PASSWORD
    await house.wait(10)
    assert await house.told() == ["auth_failed"]
    assert (await house.health()).state is ClusterState.AUTH_FAILED
    asked = house.agent().lists()
    await house.wait(60)
    await house.restart()
    await house.wait(60)
    await house.store.write(cluster_rows.want_poll, 1, house.clock.now)
    await house.wait(5)
    assert house.agent().lists() == asked
    house.agent().troubles.clear()
    await house.store.write(registering.renew_secret, 1, "sealed", "root")
    await house.wait(6)
    assert house.agent().lists() == asked + 1
    assert (await house.health()).state is ClusterState.OK
    assert await house.told() == ["auth_failed", "cluster_recovered"]


async def test_refused_new_password_is_told_again_and_stops_again(house: House) -> None:
    """Setting another wrong password costs one more login, and is not met with silence."""
    house.agent().troubles[LIST] = WRONG_PASSWORD
    await house.wait(10)
    asked = house.agent().lists()
    await house.store.write(registering.renew_secret, 1, "sealed", "root")
    await house.wait(60)
    assert house.agent().lists() == asked + 1
    assert await house.told() == ["auth_failed", "auth_failed"]


async def test_refusal_that_a_command_met_is_told_without_asking(house: House) -> None:
    """When no service ran as the password was refused, the next one tells it and asks nobody."""
    asked = house.agent().lists()
    await house.store.write(
        registering.remember_refusal, 1, agent=URL, error="password is incorrect", at=house.clock.now
    )
    await house.restart()
    await house.wait(30)
    assert house.agent().lists() == asked
    assert await house.told() == ["auth_failed"]


async def test_paused_cluster_is_not_polled(house: House) -> None:
    """Pausing stops the polls at once, resuming begins them again."""
    await house.store.write(cluster_rows.set_paused, 1, paused=True)
    asked = house.agent().lists()
    await house.wait(60)
    assert house.agent().lists() == asked
    assert not house.watcher.is_stuck(house.clock.now, timedelta(seconds=1))
    await house.store.write(cluster_rows.set_paused, 1, paused=False)
    await house.wait(6)
    assert house.agent().lists() == asked + 1


async def test_added_edited_and_removed_clusters_are_taken_up(house: House) -> None:
    """What an operator registers is followed without a restart."""
    await house.register("test", OTHER)
    await house.wait(6)
    assert house.agent(OTHER).lists() == 1
    moved = msgspec.structs.replace(
        (await house.cluster("test")).registration, urls=("http://10.0.0.9:2886",)
    )
    await house.store.write(cluster_rows.edit, 2, moved)
    await house.wait(6)
    assert house.agent(OTHER).lists() == 1
    assert house.agent("http://10.0.0.9:2886").lists() == 1
    await house.store.write(cluster_rows.remove, 2)
    await house.wait(20)
    assert house.agent("http://10.0.0.9:2886").lists() == 1
    assert house.agent().lists() > 1


async def test_cluster_is_edited_while_its_poll_is_in_flight(house: House) -> None:
    """The edit waits for the end of the poll, and is not forgotten."""
    agent = house.agent()
    agent.gate.clear()
    agent.reached.clear()
    house.clock.now += timedelta(seconds=10)
    poll = asyncio.create_task(house.watcher.poll(1))
    await agent.reached.wait()
    moved = msgspec.structs.replace((await house.cluster()).registration, urls=(OTHER,))
    await house.store.write(cluster_rows.edit, 1, moved)
    await house.watcher.refresh()
    assert house.watcher.due(house.clock()) == []
    agent.gate.set()
    await poll
    await house.wait(6)
    assert house.agent(OTHER).lists() == 1


async def test_cluster_is_removed_while_its_poll_is_in_flight(house: House) -> None:
    """Nothing of it is stored, and nothing is polled any more."""
    agent = house.agent()
    house.shows(dag(2))
    agent.gate.clear()
    agent.reached.clear()
    poll = asyncio.create_task(house.watcher.poll(1))
    await agent.reached.wait()
    await house.store.write(cluster_rows.remove, 1)
    agent.gate.set()
    await poll
    await house.wait(20)
    assert await house.store.read(lambda c: c.execute(select(dags.c.id)).all()) == []
    assert house.watcher.due(house.clock.now + timedelta(days=1)) == []


async def test_dag_that_left_the_list_is_looked_up(house: House) -> None:
    """Its end is told from its own answer, with all stages, never from its absence."""
    house.shows(dag(2))
    await house.wait(10)
    house.shows()
    house.agent().known = (dag(3, state=State.SUCCEED, ended_at=at(30)),)
    await house.wait(10)
    assert house.agent().by_id() == ["11"]
    assert await house.told() == ["stage_advanced", "stage_advanced", "succeeded"]
    await house.wait(30)
    assert house.agent().by_id() == ["11"]


async def test_failure_that_vanished_is_told_once(house: House) -> None:
    """A DAG that fails out of the list is a failure that stands in no list."""
    house.shows(dag(2, of=2))
    await house.wait(10)
    house.shows()
    house.agent().known = (failed(),)
    await house.wait(30)
    found = [e for e in await house.events() if isinstance(e, Failed)]
    assert [e.listed for e in found] == [False]
    assert house.agent().by_id() == ["11"]


async def test_closed_dag_that_is_retried_goes_on_in_its_story(house: House) -> None:
    """A failure that had left the list and comes back is the next run of its DAG, after a restart too."""
    house.shows(dag(2, of=2))
    await house.wait(10)
    house.shows()
    house.agent().known = (failed(),)
    await house.wait(20)
    await house.restart()
    house.shows(dag(2, of=2, started_at=None, ended_at=None))
    await house.wait(20)
    last = (await house.events())[-1]
    assert (last.kind, getattr(last, "dag", None) and last.dag.run) == ("retried", 2)  # type: ignore[union-attr]


async def test_failed_look_up_says_nothing_and_is_repeated(house: House) -> None:
    """While nobody can say what became of a DAG, it is open; when somebody can, the story goes on."""
    house.shows(dag(2))
    await house.wait(10)
    house.shows()
    house.agent().known = (dag(3, state=State.SUCCEED, ended_at=at(30)),)
    house.agent().troubles["/api/v1/task/dag/11"] = Refusal(
        404, "Task.NotFound", "Task not found: no such table"
    )
    await house.wait(20)
    assert await house.told() == ["stage_advanced"]
    assert house.agent().by_id() == ["11", "11"]
    house.agent().troubles.clear()
    await house.wait(10)
    assert await house.told() == ["stage_advanced", "stage_advanced", "succeeded"]


async def test_dag_of_another_agent_version_is_looked_up_in_summary(house: House) -> None:
    """Where the agent cannot spell out the stages, the end of the DAG is told all the same."""
    house.shows(dag(3))
    await house.wait(10)
    house.shows()
    house.agent().known = (dag(3, state=State.SUCCEED, ended_at=at(30)),)
    house.agent().troubles["/api/v1/task/dag/11?show_details=true"] = UNKNOWN_TYPE
    await house.wait(10)
    assert (await house.told())[-1] == "succeeded"
    await house.wait(20)
    assert house.agent().by_id() == ["11", "11"]


async def test_dag_that_the_agent_proves_not_to_know_is_forgotten(house: House) -> None:
    """Only "record not found" ends a story without an end."""
    house.shows(dag(2))
    await house.wait(10)
    house.agent().listed = ()
    await house.wait(10)
    last = (await house.events())[-1]
    assert isinstance(last, Forgotten)
    assert last.reason == GONE.message
    await house.wait(30)
    assert house.agent().by_id() == ["11"]


@pytest.mark.parametrize("trouble", [NO_DATABASE, DOWN], ids=["no database", "down"])
async def test_lost_database_stops_the_look_ups(house: House, trouble: Refusal | None) -> None:
    """Agents without a database answer a request by id by asking each other: none follows the first."""
    house.shows(*(dag(2, id=f"1{n}") for n in range(3)))
    await house.wait(10)
    house.shows()
    house.agent().troubles["/api/v1/task/dag/1"] = trouble
    await house.wait(10)
    assert house.agent().by_id() == ["10"]
    assert set(await house.told()) == {"stage_advanced"}
    house.agent().troubles.clear()
    house.agent().known = tuple(dag(3, id=f"1{n}", state=State.SUCCEED, ended_at=at(30)) for n in range(3))
    await house.wait(10)
    assert (await house.told()).count("succeeded") == 3


async def test_no_look_up_while_the_list_cannot_be_read(house: House) -> None:
    """A failed poll proves nothing about any DAG, and no id is sent."""
    house.shows(dag(2))
    await house.wait(10)
    house.agent().troubles[LIST] = NO_DATABASE
    await house.wait(60)
    assert house.agent().by_id() == []
    assert await house.told() == ["stage_advanced", "cluster_degraded"]


async def test_look_ups_of_one_poll_are_bounded(house: House) -> None:
    """When many DAGs leave at once, they are looked up over several polls, each once."""
    ids = [f"1{n:02}" for n in range(25)]
    house.shows(*(dag(2, id=i) for i in ids))
    await house.wait(10)
    house.shows()
    house.agent().known = tuple(dag(3, id=i, state=State.SUCCEED, ended_at=at(30)) for i in ids)
    await house.wait(10)
    assert len(house.agent().by_id()) == 20
    await house.wait(30)
    assert sorted(house.agent().by_id()) == ids


async def test_failure_is_looked_at_again_for_its_last_line(house: House) -> None:
    """A failure whose ERROR line is late is looked at after 1.5 s, not after the interval."""
    house.shows(failed(lines=()))
    await house.wait_for_poll()
    house.shows(failed())
    await house.wait(2)
    assert [e.failures[0].error_code for e in await house.events() if isinstance(e, Failed)] == ["A.B"]


async def test_failure_that_waits_for_its_line_does_not_hurry_an_outage(house: House) -> None:
    """While agents do not answer, the wish for an early look does not turn into a storm of polls."""
    house.shows(failed(lines=()))
    await house.wait_for_poll()
    house.agent().troubles[""] = DOWN
    before = len(house.agent().asked)
    await house.wait(60)
    assert len(house.agent().asked) - before <= 7
    assert "failed" not in await house.told()


async def test_many_dags_at_the_first_poll_are_one_digest(store: TroubledStore) -> None:
    """More than three DAGs of a new cluster are one message."""
    house = House(store)
    await house.register()
    house.shows(*(dag(2, id=f"1{n}") for n in range(4)))
    await house.wait(30)
    (digest,) = await house.events()
    assert isinstance(digest, Digest)
    assert [line.dag.dag_id for line in digest.lines] == ["10", "11", "12", "13"]


async def test_outage_is_told_once_with_its_end(house: House) -> None:
    """The third failure in a row is told, and the first good answer after it; polls grow rare meanwhile."""
    house.shows(dag(2))
    await house.wait(10)
    house.agent().troubles[""] = DOWN
    await house.wait(20)
    assert (await house.health()).state is ClusterState.OK
    await house.wait(10)
    assert (await house.health()).state is ClusterState.UNREACHABLE
    asked = house.agent().lists()
    await house.wait(600)
    assert house.agent().lists() - asked <= 14
    house.agent().troubles.clear()
    await house.wait(61)
    assert await house.told() == ["stage_advanced", "cluster_unreachable", "cluster_recovered"]
    (outage,) = [e for e in await house.events() if e.kind == "cluster_unreachable"]
    assert getattr(outage, "open_dags", None) == ("Cluster scale out",)
    assert (await house.health()).state is ClusterState.OK


async def test_outage_survives_a_restart(house: House) -> None:
    """A process that starts during an outage neither tells it again nor forgets to tell its end."""
    house.agent().troubles[""] = DOWN
    await house.wait(35)
    await house.restart()
    await house.wait(200)
    house.agent().troubles.clear()
    await house.wait(61)
    assert await house.told() == ["cluster_unreachable", "cluster_recovered"]


async def test_poll_that_cannot_be_stored_does_not_end_watching(house: House) -> None:
    """A database that takes nothing makes the service stuck, not dead; nothing is lost when it is back."""
    house.shows(dag(2))
    house.store.full = True
    with capture_logs() as logs:
        await house.wait(100)
        assert not house.watcher.is_stuck(house.clock(), STUCK)
        await house.wait(50)
    assert {entry["event"] for entry in logs} == {"watch.poll_broke"}
    assert house.watcher.is_stuck(house.clock(), STUCK)
    house.store.full = False
    await house.wait(11)
    assert await house.told() == ["stage_advanced"]
    assert not house.watcher.is_stuck(house.clock(), STUCK)


async def test_one_cluster_s_certificate_is_no_other_cluster_s_trouble(house: House) -> None:
    """Clients that cannot be made are told for their cluster, the others are watched."""
    house.cannot_connect.add("lost")
    await house.register("lost", OTHER)
    asked = house.agent().lists()
    await house.wait(40)
    assert house.agent().lists() >= asked + 3
    health = await house.health("lost")
    assert (health.state, health.checked_at) == (ClusterState.UNREACHABLE, None)
    assert health.error == "cannot read ca.pem: No such file or directory"
    assert await house.told() == ["cluster_unreachable"]
    house.cannot_connect.clear()
    await house.wait(61)
    assert await house.told() == ["cluster_unreachable", "cluster_recovered"]


async def test_cluster_that_is_not_polled_is_stuck(house: House) -> None:
    """When nobody polls although a cluster is due, the service says so."""
    assert not house.watcher.is_stuck(house.clock(), STUCK)
    house.clock.now += timedelta(seconds=140)
    assert house.watcher.is_stuck(house.clock(), STUCK)


async def test_restarts_tell_nothing_twice(house: House) -> None:
    """A new process after each poll tells the same story as one process for all."""
    house.clock.now += timedelta(seconds=10)
    retried = dag(2, of=2, started_at=None, ended_at=None)
    for seen in (dag(1, of=2), dag(2, of=2), failed(), failed(), retried, dag(2, of=2, state=State.SUCCEED)):
        house.shows(seen)
        await house.restart()
        await house.wait(6)
        await house.wait(10)
    assert await house.told() == ["stage_advanced", "failed", "retried", "stage_advanced", "succeeded"]


async def test_second_watcher_s_save_is_not_overwritten(house: House) -> None:
    """When another process was quicker, this one drops its poll, reads anew and tells nothing twice."""
    house.shows(dag(1))
    await house.wait(10)
    second = house.another_watcher()
    await second.refresh()
    house.shows(dag(2))
    house.clock.now += timedelta(seconds=10)
    await second.poll(1)
    await house.watcher.poll(1)
    await house.wait(20)
    assert await house.told() == ["stage_advanced"]
    house.shows(dag(3))
    await house.wait(10)
    assert await house.told() == ["stage_advanced", "stage_advanced"]


async def test_news_wakes_delivery(house: House) -> None:
    """Delivery is nudged when there is something to deliver, and not by quiet polls."""
    before = house.nudges
    await house.wait(10)
    assert house.nudges == before
    house.shows(dag(2))
    await house.wait(10)
    assert house.nudges == before + 1


async def test_close_stores_the_age(house: House) -> None:
    """A service that stops leaves the right age behind."""
    await house.wait(10)
    await house.watcher.close()
    health = await house.health()
    assert health.checked_at == house.clock.now - timedelta(seconds=3)
    assert house.watcher.due(house.clock.now + timedelta(days=1)) == []


async def test_summaries_keep_the_stages_that_were_known(house: House) -> None:
    """An agent that can give summaries only moves the DAG on without forgetting its stages."""
    house.shows(dag(2))
    await house.wait(10)
    house.agent().troubles[DETAILED] = UNKNOWN_TYPE
    house.shows(dag(3))
    await house.wait(10)
    house.agent().troubles.clear()
    await house.wait(10)
    assert await house.told() == ["stage_advanced", "stage_advanced"]
