"""The task engine of a simulated agent: a store, its scheduler that wakes every tick, and its executors.

It is driven by `advance(now)` alone: no clock, no sleep, no randomness.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.dag import Host, State
from bot.sandbox.agents.crew import Crew
from bot.sandbox.agents.executor import Executor
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.locks import Locks
from bot.sandbox.agents.plans import DagPlan, Work
from bot.sandbox.agents.rows import OPEN, DagRow, SubTaskRow
from bot.sandbox.agents.scheduler import Scheduler
from bot.sandbox.agents.store import Found, TaskStore

TAKEOVER_TICKS = 5
"""How long a cluster stands still when its coordinating agent dies and another takes over."""


class Engine:
    """Runs the DAGs of one store on `hosts`, the first of which coordinates as long as it lives."""

    def __init__(
        self,
        store: TaskStore,
        hosts: Sequence[Host],
        now: datetime,
        *,
        tick_s: float = 1.0,
        generic_id: Callable[[int], str] = "1{}".format,
        alone: bool = False,
    ) -> None:
        self.store = store
        self.locks = Locks(generic_id, alone=alone)
        self.executor = Executor(store, tick_s)
        self.crew = Crew(hosts, alone=alone)
        self._scheduler = Scheduler(store, self.locks, self.executor, self.crew)
        self._tick = timedelta(seconds=tick_s)
        self._next_tick = now + self._tick
        self._paused = False

    @property
    def maintainer(self) -> Host | None:
        """The living agent that coordinates, if any lives."""
        return self.crew.maintainer

    def create(self, plan: DagPlan, now: datetime, *, creator: Host | None = None) -> DagRow:
        """Create a DAG, READY, with its lock; raises `Fault` when the lock is held.

        Until they are dispatched, its sub-tasks show the `creator` as the agent that executes them.
        """
        self.advance(now)
        dag = self.store.add(plan, creator or self.maintainer or self.crew.first, now)
        try:
            self.locks.take(dag)
        except Fault as fault:
            self.store.dags.remove(dag)
            raise fault.prefixed(f"Create task '{plan.name}' failed") from None
        return dag

    def advance(self, now: datetime) -> None:
        """Live through everything that is due until `now`; does nothing while the database is away."""
        if self._paused:
            return
        self._skip_idle(now)
        while True:
            step = self.executor.next_due()
            if step is not None and step <= self._next_tick and step <= now:
                self.executor.step(step)
            elif self._next_tick <= now:
                at, self._next_tick = self._next_tick, self._next_tick + self._tick
                self._scheduler.wake(at)
            else:
                return

    def next_due(self) -> datetime | None:
        """Return when anything happens next, None while nothing will."""
        if self._paused or self._idle:
            return None
        step = self.executor.next_due()
        return self._next_tick if step is None else min(step, self._next_tick)

    @property
    def _idle(self) -> bool:
        return self.executor.idle and not any(dag.state in OPEN for dag in self.store.dags)

    def _skip_idle(self, now: datetime) -> None:
        if self._idle:
            self._next_tick += max(0, (now - self._next_tick) // self._tick) * self._tick

    def pause(self, now: datetime) -> None:
        """Lose the database: tasks run on, but nothing is written and nobody schedules."""
        self.advance(now)
        self._paused = True

    def resume(self, now: datetime, lags: Mapping[Host, timedelta] | None = None) -> None:
        """Get the database back: what became due meanwhile is written now, by some agents so much later."""
        self._paused = False
        self.executor.postpone(now, lags or {})
        self._next_tick = max(self._next_tick, now + self._tick)

    def lose_host(self, host: Host, now: datetime) -> None:
        """Let an agent die: its runs stop, and another agent takes over if it was the coordinator."""
        self.advance(now)
        self.executor.lose_host(host)
        if self.crew.lose(host):
            self._next_tick = now + TAKEOVER_TICKS * self._tick

    def hand_over(self, host: Host, now: datetime) -> None:
        """Let another agent coordinate; the store stands still until it took over."""
        self.advance(now)
        self.crew.maintainer = host
        self._next_tick = now + TAKEOVER_TICKS * self._tick

    def regain_host(self, host: Host, now: datetime) -> None:
        """Let an agent come back: it picks up what it was running."""
        self.advance(now)
        if self.crew.regain(host):
            self._next_tick = min(self._next_tick, now + self._tick)
        for dag, node, sub in self._interrupted(host):
            self.executor.resume(dag, node, sub, now, host)

    def _interrupted(self, host: Host) -> list[Found]:
        return [
            (dag, node, sub)
            for dag in self.store.unfinished()
            for node in dag.nodes
            for sub in node.sub_tasks
            if sub.state is State.RUNNING
            and self.crew.runner(sub.host) == host
            and not self.executor.is_running(sub)
        ]

    def fail_attempt(self, sub: SubTaskRow, attempt: int, error: str) -> None:
        """Let the n-th run (from 1) of a sub-task fail with that error, after the lines it was to write."""
        planned = sub.plan.runs[min(attempt, len(sub.plan.runs)) - 1]
        sub.overrides[attempt] = Work(lines=planned.lines, seconds=planned.seconds, error=error)
