"""A simulated cluster: the task store that its agents share, and what can befall all of them at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

from bot.core.dag import Host
from bot.sandbox.agents import lockstep, operators
from bot.sandbox.agents.database import Database
from bot.sandbox.agents.dto import Speller
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.history import DatabaseUp, Moment
from bot.sandbox.agents.identities import CLUSTER_AGENT
from bot.sandbox.agents.ids import cluster_id
from bot.sandbox.agents.plans import DagPlan
from bot.sandbox.agents.rows import DagRow, SubTaskRow
from bot.sandbox.agents.store import Found, TaskStore

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent
    from bot.sandbox.agents.release import Release

CHINA = timezone(timedelta(hours=8))
"""The zone of the recorded agents."""
LONGEST_LINE = 65535
"""Bytes that the column for log lines holds."""


class SimulatedCluster:
    """A cluster of agents on `hosts`; `tick_s` is the length of a scheduler tick in seconds.

    Agents join by being constructed with it. Everything that happens is in `history`. `shift` is how far the
    clock or zone of the database is ahead of the agents'. `calls_between_agents` counts what agents ask each
    other to find a DAG, `storms` how often they did so without end: a client must never cause one.
    """

    def __init__(
        self,
        name: str,
        now: datetime,
        *,
        hosts: Sequence[Host],
        root_password: str = "",
        tick_s: float = 1.0,
        zone: tzinfo = CHINA,
        shift: timedelta = timedelta(0),
    ) -> None:
        self.name, self.root_password, self.tick_s, self.zone = name, root_password, tick_s, zone
        self.hosts, self.shift = tuple(hosts), shift
        self.history: list[Moment] = []
        self.engine = self._new_store(now)
        self.agents: list[SimulatedAgent] = []
        self.database = Database.UP
        self.database_since = now
        self.asked_by_id_while_down = 0
        self.calls_between_agents = 0
        self.storms = 0

    def __repr__(self) -> str:
        return f"SimulatedCluster({self.name!r})"

    def _new_store(self, now: datetime) -> Engine:
        store = TaskStore(self.history, longest_line=LONGEST_LINE)
        engine = Engine(store, self.hosts, now, tick_s=self.tick_s)
        engine.executor.adopt = self._adopt
        return engine

    def _adopt(self, found: Found) -> int:
        """Give a sub-task its row in the own store of the agent that runs it."""
        agent = self.agent(found[2].host)
        return found[2].id if agent is None else agent.local.store.adopt(found)

    @property
    def spell(self) -> Speller:
        """How the cluster's store spells ids and times."""
        return Speller(generic_id=cluster_id, zone=self.zone, whole_seconds=True, shift=self.shift)

    def agent(self, host: Host) -> "SimulatedAgent | None":
        """Return the agent of that address, dead or alive."""
        return next((agent for agent in self.agents if agent.host == host), None)

    def tick(self, now: datetime) -> None:
        """Live through everything that is due until `now`, in all stores, in its order."""
        lockstep.advance([self.engine, *(agent.local for agent in self.agents)], now)

    # --- DAGs --------------------------------------------------------------------------------------------

    def create(self, plan: DagPlan, now: datetime, *, creator: Host | None = None) -> DagRow:
        """Create a DAG; raises `Fault` when its lock is held."""
        self.tick(now)
        return self.engine.create(plan, now, creator=creator)

    def operate(self, dag: DagRow, operator: str, now: datetime) -> None:
        """Do what a person does with RETRY, ROLLBACK, CANCEL or PASS; raises `Fault` when refused."""
        self.tick(now)
        operators.operate_dag(self.engine, dag, operator, now)

    @staticmethod
    def part(dag: DagRow, stage: int, part: int = 0) -> SubTaskRow:
        """Return a sub-task by the position of its stage, from 1, and its own, from 0."""
        return dag.nodes[stage - 1].sub_tasks[part]

    def hang(self, dag: DagRow, stage: int, now: datetime, *, part: int = 0) -> None:
        """Let a running sub-task make no progress until it is released."""
        self.tick(now)
        self.engine.executor.hang(self.part(dag, stage, part), now)

    def release(self, dag: DagRow, stage: int, now: datetime, *, part: int = 0) -> None:
        """Let a hung sub-task go on."""
        self.tick(now)
        self.engine.executor.release(self.part(dag, stage, part), now)

    def fail_attempt(self, dag: DagRow, stage: int, attempt: int, error: str, *, part: int = 0) -> None:
        """Let the n-th run (from 1) of a sub-task fail with that error."""
        self.engine.fail_attempt(self.part(dag, stage, part), attempt, error)

    def delay_line(self, dag: DagRow, stage: int, text: str, ticks: float, *, part: int = 0) -> None:
        """Let a line be stored later than it is written: in the runs that begin from now on."""
        self.part(dag, stage, part).late[text] = ticks

    # --- what befalls it ---------------------------------------------------------------------------------

    def lose_database(self, now: datetime, *, observer_too: bool = False) -> None:
        """Take the database away, with or without the observer process."""
        self.tick(now)
        self._lose(Database.GONE if observer_too else Database.USELESS, now)

    def _lose(self, database: Database, now: datetime) -> None:
        self.engine.pause(now)
        self.database, self.database_since = database, now
        self.history.append(DatabaseUp(at=now, up=False))

    def regain_database(self, now: datetime, lags: Mapping[Host, timedelta] | None = None) -> None:
        """Bring the database back; states and lines of the time without it are written now.

        Some agents write theirs so much later. What a storm of calls has used up is free again.
        """
        self._regain(now, lags)
        self.tick(now)

    def _regain(self, now: datetime, lags: Mapping[Host, timedelta] | None = None) -> None:
        self.database, self.database_since = Database.UP, now
        self.engine.resume(now, lags)
        for agent in self.agents:
            if agent.link is not None:
                agent.link.out_of_files = False
        self.history.append(DatabaseUp(at=now, up=True))

    def lose_observer(self, agent: "SimulatedAgent", now: datetime, *, process_too: bool = False) -> None:
        """Take away the observer of one agent, or its SQL port alone; another agent coordinates then."""
        self.tick(now)
        if agent.link is not None:
            agent.link.set_observer(Database.GONE if process_too else Database.USELESS)
        others = (peer.host for peer in self.agents if peer.running and peer.link and peer.link.has_observer)
        if self.engine.maintainer == agent.host and (successor := next(others, None)) is not None:
            self.engine.hand_over(successor, now)

    def regain_observer(self, agent: "SimulatedAgent", now: datetime) -> None:
        """Bring the observer of one agent back."""
        self.tick(now)
        if agent.link is not None:
            agent.link.set_observer(Database.UP)

    def settle_observers(self, now: datetime) -> None:
        """Lose the database with the last observer, and get it back with the first."""
        up = any(agent.link is not None and agent.link.has_observer for agent in self.agents)
        if up and self.database is not Database.UP:
            self._regain(now)
        elif not up and self.database is Database.UP:
            self._lose(Database.GONE, now)

    def change_root_password(self, password: str) -> None:
        """Change root's password in the database; agents go on with the old one until it is used."""
        self.root_password = password

    def hand_over(self, host: Host, now: datetime) -> None:
        """Let another agent coordinate the cluster's DAGs."""
        self.tick(now)
        self.engine.hand_over(host, now)

    def restart(
        self,
        agent: "SimulatedAgent",
        now: datetime,
        *,
        new_key: bool = False,
        release: "Release | None" = None,
    ) -> None:
        """Stop and start an agent at the same instant; another agent coordinates from then on, if it did."""
        agent.restart(now, new_key=new_key, release=release)

    def upgrade(self, agent: "SimulatedAgent", now: datetime, release: "Release") -> None:
        """Start an agent again as another version, whose keys may be longer."""
        agent.restart(now, release=release)

    def destroy(self, now: datetime) -> None:
        """Clear all machines: agents are SINGLE again, with new keys; no DAG was ever run."""
        self.tick(now)
        self.engine = self._new_store(now)
        for agent in self.agents:
            agent.reset(now)

    def found_again(self, now: datetime, *, root_password: str | None = None) -> None:
        """Make a new cluster of the agents of a destroyed one: ids count from 1 again."""
        if root_password is not None:
            self.root_password = root_password
        for agent in self.agents:
            self.admit(agent, now)

    def admit(self, agent: "SimulatedAgent", now: datetime, *, zone: str | None = None) -> None:
        """Make an agent a CLUSTER AGENT, with a connection and root's password."""
        agent.become(CLUSTER_AGENT)
        agent.zone_name = zone or agent.zone_name
        self.engine.crew.add(agent.host)
        if agent.link is not None:
            agent.link.learn(now)
