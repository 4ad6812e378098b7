"""Plays a scenario on a simulated cluster: creates the DAG, and does what people do about it in time."""

from datetime import datetime, timedelta

from bot.core.dag import State
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.rows import DagRow
from bot.sandbox.agents.scenarios import Act, Scenario


class Player:
    """One DAG after another on one cluster; `play` is called often, with the time.

    The first DAG is created at `starts_at` (at once without it), the next `again_after_s` seconds after the
    end of the last (never without it). `pace` is how many seconds of the story pass in one of the clock.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        scenario: Scenario,
        *,
        starts_at: datetime | None = None,
        again_after_s: float | None = None,
        pace: float = 1.0,
    ) -> None:
        self._cluster, self._scenario = cluster, scenario
        self._again_after_s, self._pace = again_after_s, pace
        self._due = starts_at
        self._dag: DagRow | None = None
        self._state: State | None = None
        self._since: datetime | None = None
        self._done: dict[int, int] = {}
        self._finishing = False

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nobody is about to act."""
        if self._dag is None:
            return True
        given_up = self._dag.state is State.FAILED and not self._acts_left()
        return self._dag.state is State.SUCCEED or given_up

    def finish(self) -> None:
        """Bring what is under way to its end, and begin nothing more."""
        self._finishing = True

    def play(self, now: datetime) -> None:
        """Do what is due until now."""
        self._cluster.tick(now)
        if self._dag is None:
            if not self._finishing and (self._due is None or self._due <= now):
                self._begin(now)
            return
        if self._dag.state is not self._state:
            self._state, self._since = self._dag.state, now
        for number, act in enumerate(self._scenario.acts):
            if self._is_due(number, act, now):
                self._done[number] = self._done.get(number, 0) + 1
                self._do(self._dag, act, now)
        self._end(now)

    def _begin(self, now: datetime) -> None:
        self._dag = self._cluster.create(self._scenario.plan, now)
        self._state, self._since, self._done = self._dag.state, now, {}

    def _is_due(self, number: int, act: Act, now: datetime) -> bool:
        return (
            act.state is self._state
            and self._done.get(number, 0) < act.times
            and self._since is not None
            and now - self._since >= timedelta(seconds=act.after_s / self._pace)
        )

    def _do(self, dag: DagRow, act: Act, now: datetime) -> None:
        if act.operator is not None:
            self._cluster.operate(dag, act.operator, now)
            return
        for position, node in enumerate(dag.nodes, start=1):
            for part, sub_task in enumerate(node.sub_tasks):
                if sub_task.state is State.RUNNING:
                    self._cluster.release(dag, position, now, part=part)

    def _end(self, now: datetime) -> None:
        """Plan the next DAG when this one is over: done, or failed for good and without a lock."""
        if self._dag is None or self._again_after_s is None:
            return
        given_up = self._state is State.FAILED and not self._acts_left() and not self._dag.holds_lock
        if self._state is State.SUCCEED or given_up:
            self._due = now + timedelta(seconds=self._again_after_s / self._pace)
            self._dag = None

    def _acts_left(self) -> bool:
        return any(self._done.get(n, 0) < act.times for n, act in enumerate(self._scenario.acts))
