"""Random lives of DAGs, watched well and watched badly: what is told of them is true, once, and whole.

The oracle is the simulated cluster's own history (`lived`), not the script that was drawn.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.dag import Maintenance, Operator, Outcome, State
from bot.core.events import AnyEvent, DagEvent, Discovered, Failed, Finished, Retried, StageAdvanced
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.lived import Lived, LivedDag, Watch, lived
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from bot.sandbox.agents.rows import DagRow
from bot.store.engine import Store, database_url, make_engine
from bot.store.schema import metadata
from tests.facts.world import HOSTS, World, plan, stage, work

STEP_S = 0.5
LIFE_S = 70
AFTERWARDS_S = 60.0
OVERVIEW_S = 660.0
"""Until the list of all DAGs was certainly read: it alone shows what became of DAGs that are in no other."""
OPERATORS = ("RETRY", "ROLLBACK", "PASS", "CANCEL")


class Trouble(StrEnum):
    """What keeps obdag from seeing."""

    CUT = "no agent can be reached"
    OTHER_AGENT = "the agent that was asked can't be reached, another can"
    ASLEEP = "obdag does not look"
    RESTART = "obdag is started again"
    NEW_KEY = "the agents are started again, with other keys"
    NO_DATABASE = "the database is down"


class Disturbance(NamedTuple):
    """Trouble that begins at a second of the life, and how long it lasts."""

    begins: int
    seconds: int
    trouble: Trouble


class Life(NamedTuple):
    """A DAG, when it is created, and what an operator does so many seconds after each of its failures."""

    begins: int
    plan: DagPlan
    operators: tuple[tuple[str, int], ...]


def _works(fails: st.SearchStrategy[bool]) -> st.SearchStrategy[Work]:
    return st.builds(
        lambda lines, seconds, broken: Work(
            lines=tuple(f"line {n}" for n in range(lines)),
            seconds=seconds,
            error="broken" if broken else None,
        ),
        st.integers(0, 3),
        st.sampled_from([1.5, 2.0, 4.0, 9.0]),
        fails,
    )


SELDOM = st.sampled_from([False, False, False, True])
PARTS = st.builds(
    lambda host, first, later: PartPlan(host=host, runs=(first, *later)),
    st.sampled_from(HOSTS),
    _works(SELDOM),
    st.lists(_works(SELDOM), min_size=1, max_size=2),
)
STAGES = st.lists(st.lists(PARTS, min_size=1, max_size=2), min_size=1, max_size=4)


@st.composite
def lives(draw: st.DrawFn) -> tuple[Life, ...]:
    """Draw DAGs that do not need each other's lock."""
    drawn = []
    for number in range(draw(st.integers(1, 3))):
        stages = [
            StagePlan(name=f"Stage {n}", parts=tuple(parts)) for n, parts in enumerate(draw(STAGES), start=1)
        ]
        lock = draw(st.sampled_from([Maintenance.NONE, Maintenance.TENANT]))
        drawn_plan = DagPlan(
            name=f"Work {number}", stages=tuple(stages), maintenance=lock, key=f"tenant{number}"
        )
        operators = draw(
            st.lists(st.tuples(st.sampled_from(OPERATORS), st.integers(1, 8)), min_size=1, max_size=4)
        )
        drawn.append(Life(draw(st.integers(0, 15)), drawn_plan, tuple(operators)))
    return tuple(drawn)


DISTURBANCES = st.lists(
    st.builds(Disturbance, st.integers(0, LIFE_S), st.integers(1, 25), st.sampled_from(Trouble)), max_size=5
)


class Story:
    """Some lives in a world, step by step; `disturbances` are what obdag suffers meanwhile."""

    def __init__(self, world: World, lives: Sequence[Life], disturbances: Sequence[Disturbance]) -> None:
        self.world, self._disturbances = world, disturbances
        self._unborn = list(lives)
        self._living: list[tuple[DagRow, list[tuple[str, int]]]] = []
        self._failed_at: dict[int, float] = {}
        self._without_database = False

    async def play(self) -> None:
        """Live to the end, then look long enough to learn everything."""
        for step in range(int(LIFE_S / STEP_S)):
            now = step * STEP_S
            self._act(now)
            await self._look(now)
        self._take_database(away=False)
        for agent in self.world.agents:
            agent.plug(self.world.clock())
        await self.world.wait(AFTERWARDS_S)
        self.world.create(
            plan(stage("Copy", work("c", seconds=900)), name="The next", maintenance=Maintenance.NONE)
        )
        await self.world.wait(OVERVIEW_S, 10)

    def _act(self, now: float) -> None:
        for life in [life for life in self._unborn if life.begins <= now]:
            self._unborn.remove(life)
            self._living.append((self.world.create(life.plan), list(life.operators)))
        for dag, operators in self._living:
            if dag.state is not State.FAILED or dag.operator is Operator.CANCEL:
                self._failed_at.pop(dag.id, None)
            elif operators and now - self._failed_at.setdefault(dag.id, now) >= operators[0][1]:
                try:
                    self.world.operate(dag, operators.pop(0)[0])
                except Fault:
                    continue

    async def _look(self, now: float) -> None:
        on = {d.trouble for d in self._disturbances if d.begins <= now < d.begins + d.seconds}
        begun = {d.trouble for d in self._disturbances if d.begins == now}
        for number, agent in enumerate(self.world.agents):
            away = Trouble.CUT in on or (Trouble.OTHER_AGENT in on and number == 0)
            (agent.unplug if away else agent.plug)(self.world.clock())
        if Trouble.RESTART in begun:
            self.world.restart()
        if Trouble.NEW_KEY in begun:
            for agent in self.world.agents:
                agent.restart(self.world.clock(), new_key=True)
        self._take_database(away=Trouble.NO_DATABASE in on)
        if Trouble.ASLEEP in on:
            self.world.clock.now += timedelta(seconds=STEP_S)
            self.world.cluster.tick(self.world.clock())
        else:
            await self.world.wait(STEP_S, STEP_S)

    def _take_database(self, *, away: bool) -> None:
        if away and not self._without_database:
            self.world.cluster.lose_database(self.world.clock())
        if self._without_database and not away:
            self.world.cluster.regain_database(self.world.clock())
        self._without_database = away


class Told(NamedTuple):
    """What was lived, which stages of it were undone in the end (by DAG id), and what was told of it."""

    lived: Lived
    undone: dict[str, set[int]]
    events: list[AnyEvent]


def told_of(lives: Sequence[Life], disturbances: Sequence[Disturbance]) -> Told:
    """Return what was told of some lives; looking again must have told nothing."""

    async def follow(store: Store) -> Told:
        world = await World(store, registered=2).begin()
        began = world.clock()
        await Story(world, lives, disturbances).play()
        told = await world.events()
        world.restart()
        await world.wait(5)
        assert await world.events() == told
        watch = Watch(since=began, until=world.clock(), interval_s=1.0, stall_after_s=3600.0)
        undone = {
            world.cluster.spell.generic_id(dag.id): {
                node.position for node in dag.nodes if node.operator is Operator.ROLLBACK
            }
            for dag in world.cluster.engine.store.dags
        }
        return Told(lived(world.cluster, watch), undone, told)

    with TemporaryDirectory() as folder:
        engine = make_engine(database_url(f"sqlite:///{Path(folder) / 'obdag.db'}"))
        metadata.create_all(engine)
        store = Store(engine)
        try:
            return asyncio.run(follow(store))
        finally:
            store.close()


def of_dag(told: Sequence[AnyEvent], dag: LivedDag) -> list[DagEvent]:
    """Return what was told of one DAG."""
    return [event for event in told if isinstance(event, DagEvent) and event.dag.dag_id == dag.id]


def stages_of(told: Sequence[DagEvent]) -> list[tuple[int, int]]:
    """Return the stages that were told as finished, each with its run."""
    return [
        (event.dag.run, report.position)
        for event in told
        if isinstance(event, StageAdvanced)
        for report in event.finished
        if report.operator is not Operator.ROLLBACK
    ]


def is_true_and_whole(dag: LivedDag, undone: set[int], told: Sequence[DagEvent]) -> None:
    """Check what holds however badly a DAG was watched.

    A stage that was done and `undone` again while nobody looked leaves nothing to be told.
    """
    kinds = Counter(event.kind for event in told)
    ends = [event.outcome for event in told if isinstance(event, Finished)]
    if not told:
        assert dag.outcome not in {None, Outcome.CANCELLED}
        return
    assert ends == ([dag.outcome] if dag.outcome else [])
    assert kinds["failed"] <= len(dag.failures)
    assert kinds["retried"] <= dag.retries
    stages = stages_of(told)
    assert len(stages) == len(set(stages))
    behind = next((event.dag.stage for event in told if isinstance(event, Discovered)), 1)
    hidden = set(range(1, behind))
    positions = {position for _, position in stages}
    finished = {stage.position for stage in dag.stages}
    assert positions <= finished
    if dag.outcome is not None and not is_found_after_its_end(told):
        assert finished - hidden - undone <= positions


def is_found_after_its_end(told: Sequence[DagEvent]) -> bool:
    """Tell whether a DAG was never seen under way."""
    return isinstance(told[0], Finished | Failed)


def check_watched_well(lives: Sequence[Life]) -> None:
    """Watched without a gap: everything, in order, and nothing else."""
    life, undone, told = told_of(lives, ())
    for dag in life.dags[:-1]:
        events = of_dag(told, dag)
        assert events
        is_true_and_whole(dag, undone[dag.id], events)
        assert [position for _, position in stages_of(events)] == [s.position for s in dag.stages]
        assert sum(isinstance(e, Failed) for e in events) == len(dag.failures)
        assert sum(isinstance(e, Retried) for e in events) == dag.retries


def check_watched_badly(lives: Sequence[Life], disturbances: Sequence[Disturbance]) -> None:
    """Watched with gaps: nothing false, nothing twice, every end, every stage of what was under way."""
    life, undone, told = told_of(lives, disturbances)
    for dag in life.dags[:-1]:
        is_true_and_whole(dag, undone[dag.id], of_dag(told, dag))


FEW = settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(FEW, max_examples=60)


@FEW
@given(lives())
def test_a_life_watched_well_is_told_as_it_was(lives: Sequence[Life]) -> None:
    """Each stage once per run, each failure, each retry, each end."""
    check_watched_well(lives)


@FEW
@given(lives(), DISTURBANCES)
def test_a_life_watched_badly_is_told_truly(lives: Sequence[Life], troubles: Sequence[Disturbance]) -> None:
    """Failed polls, other agents, restarts and sleep make things late, never false and never double."""
    check_watched_badly(lives, troubles)


@pytest.mark.slow
@MANY
@given(lives())
def test_many_lives_watched_well_are_told_as_they_were(lives: Sequence[Life]) -> None:
    """The same for many more lives."""
    check_watched_well(lives)


@pytest.mark.slow
@MANY
@given(lives(), DISTURBANCES)
def test_many_lives_watched_badly_are_told_truly(
    lives: Sequence[Life], troubles: Sequence[Disturbance]
) -> None:
    """The same for many more lives and troubles."""
    check_watched_badly(lives, troubles)
