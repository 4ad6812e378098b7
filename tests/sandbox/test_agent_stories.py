"""Stories played on simulated clusters, and what is said to have been lived through by the engine."""

from datetime import datetime, timedelta

import pytest

from bot.core.dag import Outcome, State
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.lived import Between, Lived, LivedDag, Watch, lived
from bot.sandbox.agents.player import Player
from bot.sandbox.agents.scenarios import SCENARIOS
from tests.sandbox.asking import HOSTS, NOW, cluster_of_three

STEP = timedelta(seconds=0.25)
STORY_S = 75


def at(seconds: float) -> datetime:
    """Return the instant so many seconds after the beginning."""
    return NOW + timedelta(seconds=seconds)


def watched(until: float) -> Watch:
    """Return how the demo watches."""
    return Watch(since=NOW, until=at(until), interval_s=1.0, stall_after_s=8.0)


def played(story: str, *, pace: float = 1.0, until: float = STORY_S) -> SimulatedCluster:
    """Return a cluster that lived through a story."""
    cluster = (
        cluster_of_three() if pace == 1.0 else SimulatedCluster("lab", NOW, hosts=HOSTS, tick_s=1 / pace)
    )
    player = Player(cluster, SCENARIOS[story].on(HOSTS), pace=pace)
    for n in range(int(until / (STEP.total_seconds() / pace))):
        player.play(NOW + n * STEP / pace)
    return cluster


def only(life: Lived) -> LivedDag:
    """Return the one DAG of a cluster."""
    (dag,) = life.dags
    return dag


@pytest.mark.parametrize(
    ("story", "outcome", "failures", "retries"),
    [
        ("scale-out", Outcome.SUCCEEDED, (), 0),
        ("upgrade", Outcome.SUCCEEDED, ("Check all required packages",), 1),
        ("stall", Outcome.SUCCEEDED, (), 0),
        ("backup", Outcome.SUCCEEDED, (), 0),
        ("backup-fails", None, ("Start backup",), 0),
        ("rollback", Outcome.ROLLED_BACK, ("Wait remote deploy finish",), 0),
        ("cancel", Outcome.CANCELLED, (), 0),
        ("pass", Outcome.PASSED, ("Prev check for scale_out",), 0),
    ],
)
def test_what_each_story_comes_to(
    story: str, outcome: Outcome | None, failures: tuple[str, ...], retries: int
) -> None:
    """Its end, where it failed, how often it was retried."""
    dag = only(lived(played(story), watched(STORY_S)))
    assert (dag.outcome, dag.failures, dag.retries) == (outcome, failures, retries)


def test_the_scale_out_has_the_nine_stages_of_a_real_one() -> None:
    """Each finished once, in order, with its own lines, unlike any other's."""
    dag = only(lived(played("scale-out"), watched(STORY_S)))
    assert [stage.position for stage in dag.stages] == list(range(1, 10))
    assert dag.stages[0].name == "Integrate server config"
    assert dag.stages[8].name == "Check cluster scale_out whether finished"
    lines = [line for stage in dag.stages for part in stage.lines for line in part]
    assert len(lines) == len(set(lines)) >= 9


def test_a_retried_stage_is_lived_with_the_lines_of_its_last_run() -> None:
    """What it wrote before it failed belongs to the failure."""
    dag = only(lived(played("upgrade"), watched(STORY_S)))
    checked = next(stage for stage in dag.stages if stage.position == 3)
    assert [len(part) for part in checked.lines] == [1, 2, 1]
    assert checked.lines[1][0].startswith("clean up")
    assert not any(line.startswith("ERROR") for part in checked.lines for line in part)


def test_a_stall_is_lived_once() -> None:
    """Surely, where it lasts; other stories have none."""
    assert only(lived(played("stall"), watched(STORY_S))).stalls == Between(1, 1)
    assert only(lived(played("scale-out"), watched(STORY_S))).stalls == Between(0, 0)


def test_a_story_runs_faster_at_a_higher_pace() -> None:
    """Work, ticks and people alike."""
    fast = played("upgrade", pace=10.0, until=STORY_S / 10)
    assert only(lived(fast, watched(STORY_S / 10))).outcome is Outcome.SUCCEEDED


def test_a_script_that_never_came_to_its_act_is_not_lived() -> None:
    """Only what the engine did counts."""
    dag = only(lived(played("upgrade", until=12), watched(12)))
    assert (dag.retries, dag.outcome, dag.failures) == (0, None, ("Check all required packages",))


def test_an_outage_needs_all_agents_gone() -> None:
    """One that goes alone is none, for there is another way."""
    cluster = cluster_of_three()
    for agent in cluster.agents[:2]:
        agent.unplug(at(1))
    assert lived(cluster, watched(60)).outages == Between(0, 0)
    cluster.agents[2].unplug(at(10))
    cluster.agents[0].plug(at(30))
    assert lived(cluster, watched(60)).outages == Between(1, 1)


@pytest.mark.parametrize(("seconds", "told"), [(0.4, Between(0, 0)), (3, Between(0, 1)), (9, Between(1, 1))])
def test_an_outage_too_short_to_be_sure_may_be_told_or_not(seconds: float, told: Between) -> None:
    """Three failed looks are needed, a second apart."""
    cluster = cluster_of_three()
    for agent in cluster.agents:
        agent.unplug(at(1))
    for agent in cluster.agents:
        agent.plug(at(1 + seconds))
    assert lived(cluster, watched(60)).outages == told


def test_a_silence_that_nobody_could_see_is_no_stall() -> None:
    """An outage takes its time off."""
    cluster = cluster_of_three()
    dag = cluster.create(SCENARIOS["stall"].on(HOSTS).plan, NOW)
    cluster.tick(at(7))
    assert dag.state is State.RUNNING
    for agent in cluster.agents:
        agent.unplug(at(7))
    cluster.tick(at(40))
    assert only(lived(cluster, watched(40))).stalls == Between(0, 0)
    for agent in cluster.agents:
        agent.plug(at(40))
    cluster.tick(at(60))
    assert only(lived(cluster, watched(60))).stalls == Between(1, 1)


def test_stories_repeat_themselves_when_asked() -> None:
    """A new DAG some seconds after the end of the last; none once it is told to finish."""
    cluster = cluster_of_three()
    player = Player(cluster, SCENARIOS["backup"].on(HOSTS), again_after_s=5)
    for n in range(200):
        player.play(NOW + n * STEP)
    begun = len(cluster.engine.store.dags)
    assert begun >= 2
    player.finish()
    for n in range(200, 500):
        player.play(NOW + n * STEP)
    assert player.idle
    assert len(cluster.engine.store.dags) == begun
