"""A simulated cluster: the task store that its agents share, and what can befall all of them at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from enum import Enum
from typing import TYPE_CHECKING

from bot.core.dag import Host
from bot.sandbox.agents import operators
from bot.sandbox.agents.dto import Speller
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.history import DatabaseUp, Moment
from bot.sandbox.agents.ids import cluster_id
from bot.sandbox.agents.plans import DagPlan
from bot.sandbox.agents.rows import DagRow, SubTaskRow
from bot.sandbox.agents.store import TaskStore

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

CHINA = timezone(timedelta(hours=8))
"""The zone of the recorded agents."""


class Database(Enum):
    """State of the cluster's database, by its number in `obState`."""

    GONE = 0
    USELESS = 1
    UP = 3


class SimulatedCluster:
    """A cluster of agents on `hosts`; `tick_s` is the length of a scheduler tick in seconds.

    Agents join by being constructed with it. Everything that happens is in `history`.
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
    ) -> None:
        self.name, self.root_password, self.tick_s, self.zone = name, root_password, tick_s, zone
        self.hosts = tuple(hosts)
        self.history: list[Moment] = []
        self.engine = Engine(TaskStore(self.history), hosts, now, tick_s=tick_s)
        self.agents: list[SimulatedAgent] = []
        self.database = Database.UP
        self.database_since = now
        self.asked_by_id_while_down = 0

    def __repr__(self) -> str:
        return f"SimulatedCluster({self.name!r})"

    @property
    def spell(self) -> Speller:
        """How the cluster's store spells ids and times."""
        return Speller(generic_id=cluster_id, zone=self.zone, whole_seconds=True)

    def tick(self, now: datetime) -> None:
        """Live through everything that is due until `now`."""
        self.engine.advance(now)
        for agent in self.agents:
            agent.local.advance(now)

    def create(self, plan: DagPlan, now: datetime) -> DagRow:
        """Create a DAG; raises `Fault` when its lock is held."""
        return self.engine.create(plan, now)

    def operate(self, dag: DagRow, operator: str, now: datetime) -> None:
        """Do what a person does with RETRY, ROLLBACK, CANCEL or PASS; raises `Fault` when refused."""
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

    def lose_database(self, now: datetime, *, observer_too: bool = False) -> None:
        """Take the database away, with or without the observer process."""
        self.tick(now)
        self.engine.pause(now)
        self.database, self.database_since = Database.GONE if observer_too else Database.USELESS, now
        self.history.append(DatabaseUp(at=now, up=False))

    def regain_database(self, now: datetime) -> None:
        """Bring the database back; states and lines of the time without it are written now."""
        self.database, self.database_since = Database.UP, now
        self.engine.resume(now)
        self.history.append(DatabaseUp(at=now, up=True))
        self.tick(now)

    def change_root_password(self, password: str) -> None:
        """Change root's password in the database; agents go on with the old one until it is used."""
        self.root_password = password

    def trouble(self) -> Fault | None:
        """Return why a connected agent cannot use the database, if it cannot."""
        if self.database is Database.GONE:
            return Fault(500, "OB.Server.Process.NotExist", "Observer process does not exist")
        if self.database is Database.USELESS:
            return Fault(500, "Agent.OceanBase.Useless", "The current database is useless")
        return None
