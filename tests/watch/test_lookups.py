"""What a list cannot tell: short DAGs, a rebuilt cluster, late lines, and clocks that are off."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bot.core.dag import DagSnapshot, State
from bot.core.events import ClockSkewed, Failed, Forgotten, LateLines, StageAdvanced
from bot.store import dags as dag_rows
from bot.store import views
from tests.factories import at, dag, stage, sub_task
from tests.watch.fake import BY_ID, DOWN, EVERYTHING, GONE, LIST, LOGS, NO_DATABASE, NOT_CLUSTER, Refusal
from tests.watch.house import House, TroubledStore


def ended(dag_id: str, state: State = State.SUCCEED, **members: Any) -> DagSnapshot:
    """Return a DAG that is over."""
    return dag(1, of=1, id=dag_id, state=state, ended_at=at(9), **members)


async def known(house: House) -> set[str]:
    """Return the ids of all DAGs that are kept."""
    cluster = await house.cluster()
    return await house.store.read(dag_rows.stored_ids, cluster.id, cluster.generation)


# DAGs that no list showed


async def test_skipped_ids_are_looked_up(house: House) -> None:
    """A DAG shorter than a poll is found by its number: a failed one is told, the others are kept."""
    house.shows(dag(1, id="110"))
    await house.wait()
    house.agent().known = (ended("111"), ended("112", State.FAILED, name="Backup"), ended("113"))
    house.shows(dag(1, id="110"), dag(1, id="114"))
    await house.wait()
    (failed,) = [e for e in await house.events() if isinstance(e, Failed)]
    assert failed.dag.name == "Backup"
    assert await known(house) == {"110", "111", "112", "113", "114"}
    assert house.agent().by_id() == ["111", "112", "113"]


async def test_numbers_before_obdag_came_are_not_looked_up(store: TroubledStore) -> None:
    """What ended before the first poll is history of which nobody asked."""
    house = House(store)
    await house.register()
    house.shows(dag(1, id="150"))
    await house.wait(6)
    house.shows(dag(1, id="150"), dag(1, id="151"))
    await house.wait()
    assert house.agent().by_id() == []


async def test_jump_of_the_numbers_costs_few_look_ups(house: House) -> None:
    """Another server of the database gives out numbers a million later."""
    house.shows(dag(1, id="110"))
    await house.wait()
    house.shows(dag(1, id="110"), dag(1, id="11000000"))
    await house.wait(20)
    assert len(house.agent().by_id()) == 20


async def test_skipped_dag_that_runs_is_left_to_the_list(house: House) -> None:
    """One that is under way will stand in the next list, and begins there."""
    house.shows(dag(1, id="110"))
    await house.wait()
    house.agent().known = (dag(1, id="111"),)
    house.shows(dag(1, id="110"), dag(1, id="112"))
    await house.wait()
    assert await known(house) == {"110", "112"}


async def test_short_dags_are_found_in_the_list_of_all(house: House) -> None:
    """Every ten minutes: one that failed is told, one that succeeded goes into the history alone."""
    agent = house.agent()
    agent.everything = (ended("110"),)
    house = await restarted(house)
    agent.everything += (ended("111"), ended("112", State.FAILED, name="Backup"))
    agent.known = (ended("111"), ended("112", State.FAILED, name="Backup"))
    await house.wait(660, step=5)
    assert await house.told() == ["failed"]
    assert await known(house) == {"111", "112"}
    found = await house.store.read(views.find_dag, "prod", "111", house.clock())
    assert found is not None
    assert found.outcome == "succeeded"


async def test_list_of_all_is_read_every_ten_minutes(house: House) -> None:
    """No more often: agents never delete a DAG, so it is long."""
    house.agent().everything = (ended("110"),)
    house = await restarted(house)
    await house.wait(3600, step=5)
    read = [t for t in house.agent().asked if t.startswith(EVERYTHING)]
    assert 6 <= len(read) <= 8
    assert all(t.endswith("show_details=false") for t in read)


async def test_dags_of_a_time_without_obdag_are_found_at_the_start(house: House) -> None:
    """Whatever began and ended while nobody watched is new by its number."""
    house.shows(dag(1, id="110"))
    await house.wait()
    agent = house.agent()
    agent.known = (ended("111"), ended("112", State.FAILED, name="Backup"))
    agent.everything = (dag(1, id="110"), *agent.known)
    house.clock.now += timedelta(hours=5)
    house = await restarted(house)
    assert await house.told() == ["failed"]
    assert await known(house) == {"110", "111", "112"}


async def test_agent_that_offers_no_list_of_all_is_asked_once(house: House) -> None:
    """Agents before 4.3.0.0 do not know the question."""
    await house.wait(1300, step=5)
    assert len([t for t in house.agent().asked if t.startswith(EVERYTHING)]) == 1


async def test_too_many_to_look_up_are_taken_in_turns(house: House) -> None:
    """Each reading of the list brings some of them, until all are known."""
    agent = house.agent()
    agent.everything = (ended("110"),)
    house = await restarted(house)
    agent.known = tuple(ended(f"1{n}") for n in range(200, 245))
    agent.everything += agent.known
    await house.wait(700, step=5)
    assert len(await known(house)) == 20
    await house.wait(1300, step=5)
    assert len(await known(house)) == 45


async def test_dags_whose_look_up_fails_do_not_hide_others(house: House) -> None:
    """Twenty that fail for ever would otherwise take the turns of all behind them."""
    listed = tuple(dag(1, id=f"1{n}") for n in range(30))
    house.shows(*listed)
    await house.wait()
    unreadable = Refusal(500, "Common.Unexpected", "Unexpected error: Internal Server Error")
    for snapshot in listed[:20]:
        house.agent().troubles[f"{BY_ID}{snapshot.id}?"] = unreadable
    house.agent().known = tuple(_over(snapshot) for snapshot in listed)
    house.agent().listed = ()
    await house.wait(20)
    assert (await house.told()).count("succeeded") == 10


def _over(snapshot: DagSnapshot) -> DagSnapshot:
    return dag(3, id=snapshot.id, state=State.SUCCEED, ended_at=at(99))


async def restarted(house: House) -> House:
    """Begin a new process, and let it poll once."""
    await house.restart()
    await house.wait(6)
    return house


# a rebuilt cluster


async def test_rebuilt_cluster_forgets_and_begins_anew(house: House) -> None:
    """A known id with another name: the old DAGs are closed, the new ones are discovered."""
    house.shows(dag(1, id="11"), dag(1, id="12"))
    await house.wait()
    house.shows(dag(1, id="11", name="Initialize tenant"))
    await house.wait(30)
    forgotten = [e for e in await house.events() if isinstance(e, Forgotten)]
    assert [e.dag.dag_id for e in forgotten] == ["11", "12"]
    assert "rebuilt" in forgotten[0].reason
    assert (await house.cluster()).generation == 2
    (view,) = await house.store.read(views.unfinished, house.clock())
    assert [(d.snapshot.name, d.run) for d in view.dags] == [("Initialize tenant", 1)]


async def test_agent_without_a_cluster_in_between_means_a_rebuilt_one(house: House) -> None:
    """SINGLE, then a member again: also a cluster without any DAG is a new one."""
    house.shows(dag(1, id="11"))
    await house.wait()
    agent = house.agent()
    agent.identity, agent.troubles[LIST] = "SINGLE", NOT_CLUSTER
    await house.wait(60)
    agent.identity, agent.listed, agent.known = "CLUSTER AGENT", (), ()
    agent.troubles = {"/api/v1/task/dag/11": GONE}
    await house.wait(90)
    assert await house.told() == ["not_cluster_agent", "forgotten", "cluster_recovered"]
    assert (await house.cluster()).generation == 2


async def test_new_key_and_version_are_no_rebuilt_cluster(house: House) -> None:
    """An upgrade of the agent changes both; its DAGs go on."""
    house.shows(dag(1, id="11"))
    await house.wait()
    house.agent().troubles[""] = DOWN
    await house.wait(60)
    house.agent().troubles.clear()
    house.shows(dag(2, id="11"))
    await house.wait(90)
    assert await house.told() == ["cluster_unreachable", "cluster_recovered", "stage_advanced"]
    assert (await house.cluster()).generation == 1


# logs


async def test_logs_are_told_in_the_order_of_the_store(house: House) -> None:
    """What comes with the DAG is in no order; the rows are, and each line is told once."""
    done = stage(1, State.SUCCEED, sub_tasks=(sub_task(State.SUCCEED, id="101", lines=("b", "a", "c")),))
    house.shows(dag(1))
    await house.wait()
    house.agent().rows["101"] = [(3, 1, "c"), (1, 1, "a"), (2, 1, "b")]
    moved = dag(2)
    house.shows(msgspec.structs.replace(moved, stages=(done, *(moved.stages or ())[1:])))
    await house.wait(30)
    (told,) = [e for e in await house.events() if isinstance(e, StageAdvanced)]
    assert told.finished[0].logs[0].lines == ("a", "b", "c")
    assert await house.told() == ["stage_advanced"]


async def test_logs_are_asked_for_once_per_stage(house: House) -> None:
    """Not with each poll: each question costs the agent one of its few connections."""
    await test_logs_are_told_in_the_order_of_the_store(house)
    asked = [t for t in house.agent().asked if t.startswith(LOGS)]
    assert asked == [f"{LOGS}101/logs"]


async def test_agent_without_rows_tells_its_lines_all_the_same(house: House) -> None:
    """Agents before 4.3.0.0 do not know the question, and are asked once."""
    for current in (1, 2, 3):
        moved = dag(current)
        stages = tuple(
            stage(n, State.SUCCEED, sub_tasks=(sub_task(State.SUCCEED, id=f"10{n}", lines=("x", "y")),))
            for n in range(1, current)
        )
        house.shows(msgspec.structs.replace(moved, stages=(*stages, *(moved.stages or ())[current - 1 :])))
        await house.wait()
    told = [e for e in await house.events() if isinstance(e, StageAdvanced)]
    assert [e.finished[0].logs[0].lines for e in told] == [("x", "y"), ("x", "y")]
    assert len([t for t in house.agent().asked if t.startswith(LOGS)]) == 1


async def test_lines_of_an_outage_belong_to_their_stage(house: House) -> None:
    """States and lines come in within some seconds after an outage: the stage is told with all of them."""
    house.shows(dag(1))
    await house.wait()
    house.agent().troubles[LIST] = NO_DATABASE
    await house.wait(60)
    moved = dag(2)

    def with_lines(*lines: str) -> DagSnapshot:
        done = stage(1, State.SUCCEED, sub_tasks=(sub_task(State.SUCCEED, id="101", lines=lines),))
        return msgspec.structs.replace(moved, stages=(done, *(moved.stages or ())[1:]))

    house.agent().troubles.clear()
    house.shows(with_lines("a"))
    await house.wait_for_poll()
    house.shows(with_lines("a", "b"))
    await house.wait(20)
    told = [e for e in await house.events() if isinstance(e, StageAdvanced)]
    assert [e.finished[0].logs[0].lines for e in told] == [("a", "b")]
    house.shows(with_lines("a", "b", "c"))
    await house.wait(20)
    (late,) = [e for e in await house.events() if isinstance(e, LateLines)]
    assert late.logs[0].lines == ("c",)


# clocks


@pytest.mark.parametrize("skew_s", [90, -90])
async def test_clock_that_is_off_is_told_once(house: House, skew_s: float) -> None:
    """More than a minute, measured twice; which way is said."""
    house.agent().skew = timedelta(seconds=skew_s)
    await house.wait(100)
    (told,) = [e for e in await house.events() if isinstance(e, ClockSkewed)]
    assert told.skew_s == pytest.approx(skew_s, abs=1)


async def test_small_difference_of_clocks_is_nobody_s_business(house: House) -> None:
    """Half a minute is compensated and not worth a word."""
    house.agent().skew = timedelta(seconds=30)
    await house.wait(100)
    assert await house.told() == []


# slow agents


async def test_slow_answers_do_not_hide_a_stall(house: House) -> None:
    """A poll that takes ten seconds is a look all the same."""
    house.shows(dag(1))
    for _ in range(40):
        await house.wait(1)
        house.clock.now += timedelta(seconds=30)
    assert "stalled" in await house.told()
