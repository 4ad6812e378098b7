"""What an agent has of its cluster's database: a connection, a password, an observer of its own."""

from datetime import datetime
from typing import TYPE_CHECKING

from bot.sandbox.agents.database import Database
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.faults import Fault, not_holding

if TYPE_CHECKING:
    from bot.sandbox.agents.cluster import SimulatedCluster

NOT_OCS = "Agent.OceanBase.DB.NotOcs"


class DatabaseLink:
    """The connection of one agent to the database of its cluster.

    After a start the agent first holds no connection, then one without the schema, then all is well, each for
    `phase_s` (recording `agent-restarts`); with the database down it stays in the first phase.
    """

    def __init__(self, cluster: "SimulatedCluster", now: datetime, *, home: str, phase_s: float) -> None:
        self._cluster, self._home, self._phase_s = cluster, home, phase_s
        self._observer, self._since = Database.UP, now
        self.password: str | None = cluster.root_password
        self._connected = True
        self._gave_up = False
        self.out_of_files = False

    @property
    def root_known(self) -> bool:
        """Whether the agent knows any password of root."""
        return self.password is not None

    @property
    def database(self) -> Database:
        """How the database is for this agent, which has its own observer."""
        return min(self._cluster.database, self._observer, key=lambda database: database.value)

    def engine(self, now: datetime) -> Engine:
        """Return the engine of the cluster's store; raises `Fault` while it cannot be reached."""
        if not self._connected:
            self._connect(now)
        trouble = self._trouble()
        if trouble is not None:
            raise trouble
        return self._cluster.engine

    def _connect(self, now: datetime) -> None:
        waited = (now - max(self._since, self._cluster.database_since)).total_seconds()
        lost = self.database is not Database.UP or self._gave_up or not self.root_known
        if lost or waited < self._phase_s:
            raise not_holding()
        if waited < 2 * self._phase_s:
            raise Fault(500, NOT_OCS, "The current database is not OCS")
        self._connected = True

    def _trouble(self) -> Fault | None:
        """Return why a connected agent cannot use the database, if it cannot."""
        if self.out_of_files:
            cause = f"open {self._home}/run/observer.pid: too many open files"
            return Fault(500, "OB.Server.Process.CheckFailed", f"Check observer process exist: {cause}")
        if self.database is Database.GONE:
            return Fault(500, "OB.Server.Process.NotExist", "Observer process does not exist")
        if self.database is Database.USELESS:
            return Fault(500, "Agent.OceanBase.Useless", "The current database is useless")
        return None

    def ob_state(self, now: datetime) -> int:
        """Return `obState`: 3 a moment before the cluster's endpoints work, 0 without file descriptors."""
        if self.out_of_files:
            return Database.GONE.value
        try:
            self.engine(now)
        except Fault as fault:
            if fault.error_code == NOT_OCS:
                return Database.UP.value
            return min(self.database.value, Database.USELESS.value)
        return Database.UP.value

    def accepts(self, password: str) -> bool:
        """Whether that is root's password: the one in memory, or a new one that the database lets in."""
        if password == self.password:
            return True
        usable = self._connected and self.database is Database.UP
        if not usable or password != self._cluster.root_password:
            return False
        self.password = password
        return True

    def restart(self, now: datetime) -> None:
        """Lose the connection with the process; a stored password that is wrong now ends all tries."""
        self._since, self._connected = now, False
        self._gave_up = self.root_known and self.password != self._cluster.root_password

    @property
    def has_observer(self) -> bool:
        """Whether the agent's own observer can be used."""
        return self._observer is Database.UP

    def set_observer(self, database: Database) -> None:
        """Take away the agent's own observer, or its SQL port alone; or bring it back."""
        self._observer = database

    def forget(self) -> None:
        """Know no database, as an agent that is not a member yet."""
        self.password, self._connected = None, False

    def learn(self, now: datetime) -> None:
        """Get password and connection, as an agent that became a member."""
        self.password, self._since, self._connected = self._cluster.root_password, now, True
