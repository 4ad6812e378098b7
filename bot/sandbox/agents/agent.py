"""A simulated OBShell agent: what it is, how it lives and dies, and `respond`, its only door.

It answers as a real agent 4.5.0.0 does, byte for byte where a client could tell, for the identities SINGLE
and CLUSTER AGENT; others can be set and answer as far as `other-identities` was recorded, but FOLLOWER
forwards nothing here. No I/O: the time is an argument, a server and an httpx transport both call `respond`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from bot.core.dag import Host
from bot.obshell.envelope import PrivateKey
from bot.sandbox.agents import answers
from bot.sandbox.agents.cluster import CHINA, Database, SimulatedCluster
from bot.sandbox.agents.dto import Speller
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.gate import CLUSTER_AGENT, SINGLE
from bot.sandbox.agents.history import Reachability
from bot.sandbox.agents.ids import local_id
from bot.sandbox.agents.keyring import demo_keys
from bot.sandbox.agents.request import Request, Response
from bot.sandbox.agents.store import TaskStore

FIRST_PID = 4120
START_NANOSECONDS = 123
"""Below the microseconds that Python knows; makes `startAt` the 19 digits that do not fit a double."""


class SimulatedAgent:
    """One agent; with a `cluster` it is a CLUSTER AGENT of it, without one SINGLE.

    `keys` are used one after another by restarts with a new key. `phase_s` is how long it stays in each of
    the two phases after a restart in which cluster endpoints fail; None means the length of a tick.
    """

    def __init__(
        self,
        host: Host,
        now: datetime,
        *,
        cluster: SimulatedCluster | None = None,
        zone: str = "zone1",
        keys: Sequence[PrivateKey] = (),
        agent_password: str | None = None,
        phase_s: float | None = None,
    ) -> None:
        self.host, self.cluster, self.started_at = host, cluster, now
        self.identity = CLUSTER_AGENT if cluster else SINGLE
        self.zone_name = zone if cluster else ""
        self.agent_password = agent_password
        self.local = Engine(
            TaskStore(), (host,), now, tick_s=cluster.tick_s if cluster else 1.0, generic_id=self.local_id
        )
        self.clock_offset = timedelta(0)
        self.slow_s = 0.0
        self.cut_answers = 0
        self.running = self.plugged = True
        self._keys = tuple(keys) or demo_keys(1024)
        self._key_at = 0
        self._starts = 0
        self._requests = 0
        self._phase_s = phase_s if phase_s is not None else (cluster.tick_s if cluster else 1.0)
        self._root_password = cluster.root_password if cluster else ""
        self._connected = cluster is not None
        self._gave_up_connecting = False
        if cluster is not None:
            cluster.agents.append(self)

    def __repr__(self) -> str:
        return f"SimulatedAgent({self.host}, {self.identity})"

    # --- what it is ------------------------------------------------------------------------------------

    @property
    def key(self) -> PrivateKey:
        """The key with which it opens headers now."""
        return self._keys[self._key_at]

    @property
    def listening(self) -> bool:
        """Whether anybody answers on its port."""
        return self.running and self.plugged

    @property
    def pid(self) -> int:
        """Process id, another one after each start."""
        return FIRST_PID + self.host.port % 100 + self._starts

    @property
    def start_nanoseconds(self) -> int:
        """`startAt`: nanoseconds since the epoch."""
        seconds = int(self.started_at.timestamp())
        return (seconds * 10**6 + self.started_at.microsecond) * 1000 + START_NANOSECONDS

    def local_id(self, row: int) -> str:
        """Return the generic id of a row of its own store."""
        return local_id(self.host, row)

    @property
    def spell(self) -> Speller:
        """How its own store spells ids and times."""
        zone = self.cluster.zone if self.cluster else CHINA
        return Speller(generic_id=self.local_id, zone=zone, whole_seconds=False)

    def peer(self, host: Host) -> "SimulatedAgent | None":
        """Return the agent at that address, itself included, if one listens there."""
        known = self.cluster.agents if self.cluster else [self]
        return next((agent for agent in known if agent.host == host and agent.listening), None)

    def knows_root(self, password: str) -> bool:
        """Whether that is root's password: the one in memory, or a new one that the database accepts."""
        if password == self._root_password:
            return True
        cluster = self.cluster
        usable = cluster is not None and self._connected and cluster.database is Database.UP
        if cluster is None or not usable or password != cluster.root_password:
            return False
        self._root_password = password
        return True

    # --- the cluster's store -----------------------------------------------------------------------------

    def cluster_engine(self, now: datetime) -> Engine:
        """Return the engine of the cluster's store; raises `Fault` while it cannot be reached.

        After a start the agent first holds no connection, then one without the schema, then all is well
        (recording `agent-restarts`); with the database down it stays in the first phase.
        """
        if self.cluster is None:
            raise not_holding()
        if not self._connected:
            self._connect(self.cluster, now)
        trouble = self.cluster.trouble()
        if trouble is not None:
            raise trouble
        return self.cluster.engine

    def _connect(self, cluster: SimulatedCluster, now: datetime) -> None:
        waited = (now - max(self.started_at, cluster.database_since)).total_seconds()
        lost = cluster.database is not Database.UP or self._gave_up_connecting
        if lost or waited < self._phase_s:
            raise not_holding()
        if waited < 2 * self._phase_s:
            raise Fault(500, "Agent.OceanBase.DB.NotOcs", "The current database is not OCS")
        self._connected = True

    def ob_state(self, now: datetime) -> int:
        """Return `obState`: it is 3 a moment before the cluster's endpoints work."""
        if self.cluster is None:
            return Database.GONE.value
        try:
            self.cluster_engine(now)
        except Fault as fault:
            if fault.error_code == "Agent.OceanBase.DB.NotOcs":
                return Database.UP.value
            return min(self.cluster.database.value, Database.USELESS.value)
        return Database.UP.value

    # --- what befalls it ---------------------------------------------------------------------------------

    def stop(self, now: datetime) -> None:
        """End its process: nobody listens, and what it was executing stops."""
        self._note_reachability(now, running=False, plugged=self.plugged)
        if self.cluster is not None:
            self.cluster.engine.lose_host(self.host, now)
        self.local.lose_host(self.host, now)

    def start(self, now: datetime, *, new_key: bool = False) -> None:
        """Start its process again, with its next key if `new_key`; wraps around after the last."""
        self._note_reachability(now, running=True, plugged=self.plugged)
        self.started_at, self._connected = now, False
        self._starts += 1
        if new_key:
            self._key_at = (self._key_at + 1) % len(self._keys)
        if self.cluster is not None:
            self._gave_up_connecting = self._root_password != self.cluster.root_password
            self.cluster.engine.regain_host(self.host, now)
        self.local.regain_host(self.host, now)

    def restart(self, now: datetime, *, new_key: bool = False) -> None:
        """Stop and start at the same instant."""
        self.stop(now)
        self.start(now, new_key=new_key)

    def unplug(self, now: datetime) -> None:
        """Cut it off from clients alone: its process lives on, its DAGs too."""
        self._note_reachability(now, running=self.running, plugged=False)

    def plug(self, now: datetime) -> None:
        """End a cut."""
        self._note_reachability(now, running=self.running, plugged=True)

    def _note_reachability(self, now: datetime, *, running: bool, plugged: bool) -> None:
        before = self.listening
        self.running, self.plugged = running, plugged
        if self.cluster is not None and before != self.listening:
            moment = Reachability(at=now, agent=self.host, reachable=self.listening)
            self.cluster.history.append(moment)

    # --- the door ----------------------------------------------------------------------------------------

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Response:
        """Answer one request, `target` being its raw request target.

        Raises `ConnectionRefusedError` while nobody listens. A slow or cut answer is only marked as such.
        """
        if not self.listening:
            raise ConnectionRefusedError(f"nobody listens at {self.host}")
        if self.cluster is not None:
            self.cluster.tick(now)
        self.local.advance(now)
        arrived = now + self.clock_offset
        lowered = {name.lower(): value for name, value in headers.items()}
        request = Request(method=method, target=target, headers=lowered, body=body, arrived=arrived)
        response = answers.answer(self, request, now, self._next_trace())
        cut = self.cut_answers > 0
        self.cut_answers -= cut
        return msgspec.structs.replace(response, delay_s=self.slow_s, cut=cut)

    def _next_trace(self) -> str:
        self._requests += 1
        seed = f"{self.host}/{self._starts}/{self._requests}"
        return hashlib.sha256(seed.encode()).hexdigest()[:16]


def not_holding() -> Fault:
    """Say that the agent never reached a database since it was started."""
    return Fault(500, "Agent.OceanBase.NotHold", "Agent is not holding OceanBase")


def make_agents(
    cluster: SimulatedCluster, now: datetime, *, key_bits: int = 1024, agent_password: str | None = None
) -> list[SimulatedAgent]:
    """Return the agents of a cluster, one for each of its hosts, each in a zone and with keys of its own."""
    keys = demo_keys(key_bits)
    make = partial(SimulatedAgent, now=now, cluster=cluster, agent_password=agent_password)
    return [
        make(host, zone=f"zone{at + 1}", keys=(*keys[at % len(keys) :], *keys[: at % len(keys)]))
        for at, host in enumerate(cluster.hosts)
    ]
