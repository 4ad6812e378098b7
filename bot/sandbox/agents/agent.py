"""A simulated OBShell agent: what it is, how it lives and dies, and `respond`, its only door.

It answers as a real agent does, byte for byte where a client could tell, for every identity and the versions
from 4.2.3.0 to 4.5.0.0. No I/O: the time is an argument, a server and an httpx transport both call `respond`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from bot.core.dag import Host
from bot.obshell.envelope import PrivateKey
from bot.sandbox.agents import answers, lockstep
from bot.sandbox.agents.cluster import CHINA, SimulatedCluster
from bot.sandbox.agents.database import Database
from bot.sandbox.agents.dto import Speller
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.faults import not_holding
from bot.sandbox.agents.history import Reachability
from bot.sandbox.agents.identities import CLUSTER_AGENT, NO_MEMBERS, SINGLE, WITHOUT_DATABASE
from bot.sandbox.agents.ids import local_id
from bot.sandbox.agents.keyring import demo_keys
from bot.sandbox.agents.link import DatabaseLink
from bot.sandbox.agents.process import Process
from bot.sandbox.agents.release import LATEST, Feature, Release
from bot.sandbox.agents.request import Request, Response
from bot.sandbox.agents.seals import OpenedHeader
from bot.sandbox.agents.sessions import Sessions
from bot.sandbox.agents.store import TaskStore


class SimulatedAgent:
    """One agent; with a `cluster` it is a CLUSTER AGENT of it, without one SINGLE.

    `neighbours` are all agents that a SINGLE one can reach, itself included. `keys` are used one after
    another by restarts with a new key. `phase_s` is how long it stays in each of the two phases after a
    restart in which cluster endpoints fail; None means the length of a tick.
    """

    def __init__(
        self,
        host: Host,
        now: datetime,
        *,
        cluster: SimulatedCluster | None = None,
        neighbours: list["SimulatedAgent"] | None = None,
        zone: str = "zone1",
        keys: Sequence[PrivateKey] = (),
        agent_password: str | None = None,
        phase_s: float | None = None,
        release: Release = LATEST,
        home: str = "/data/ob/agent",
    ) -> None:
        self.host, self.cluster, self.release, self.home = host, cluster, release, home
        self.identity = CLUSTER_AGENT if cluster else SINGLE
        self.zone_name = zone if cluster else ""
        self.agent_password = agent_password
        self.master: Host | None = None
        tick_s = cluster.tick_s if cluster else 1.0
        phase_s = tick_s if phase_s is None else phase_s
        self.link = DatabaseLink(cluster, now, home=home, phase_s=phase_s) if cluster else None
        self.local = self._new_store(now, tick_s)
        self.sessions = Sessions(f"{host}/0")
        self.clock_offset = timedelta(0)
        self.slow_s = 0.0
        self.cut_answers = 0
        self.plugged = True
        self._requests = 0
        self.neighbours = cluster.agents if cluster else [] if neighbours is None else neighbours
        self.neighbours.append(self)
        self.process = Process(host, now, keys or self._made_keys(release))

    def __repr__(self) -> str:
        return f"SimulatedAgent({self.host}, {self.identity})"

    def _new_store(self, now: datetime, tick_s: float) -> Engine:
        return Engine(TaskStore(), (self.host,), now, tick_s=tick_s, generic_id=self.local_id, alone=True)

    def _made_keys(self, release: Release) -> tuple[PrivateKey, ...]:
        keys = demo_keys(release.key_bits)
        first = self.neighbours.index(self) % len(keys)
        return (*keys[first:], *keys[:first])

    # --- what it is ------------------------------------------------------------------------------------

    @property
    def key(self) -> PrivateKey:
        """The key with which it opens headers now."""
        return self.process.key

    @property
    def started_at(self) -> datetime:
        """When its process began."""
        return self.process.started_at

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.process.running

    @property
    def listening(self) -> bool:
        """Whether anybody answers on its port."""
        return self.running and self.plugged

    def local_id(self, row: int) -> str:
        """Return the generic id of a row of its own store."""
        return local_id(self.host, row)

    @property
    def spell(self) -> Speller:
        """How its own store spells ids and times."""
        return Speller(
            generic_id=self.local_id,
            zone=self.cluster.zone if self.cluster else CHINA,
            whole_seconds=False,
            maintenance=self.release.has(Feature.ERROR_CODES),
        )

    @property
    def cluster_spell(self) -> Speller:
        """How it tells ids and times of its cluster's store."""
        if self.cluster is None:
            return self.spell
        maintenance = self.release.has(Feature.ERROR_CODES)
        return msgspec.structs.replace(self.cluster.spell, maintenance=maintenance)

    @property
    def others(self) -> list["SimulatedAgent"]:
        """The other members of what it is a member of, dead or alive."""
        if self.identity in NO_MEMBERS:
            return []
        return [agent for agent in self.neighbours if agent is not self and agent.identity not in NO_MEMBERS]

    def peer(self, host: Host) -> "SimulatedAgent | None":
        """Return the agent at that address, itself included, if one listens there."""
        return next((agent for agent in self.neighbours if agent.host == host and agent.listening), None)

    @property
    def root_known(self) -> bool:
        """Whether it knows a password of root; without a database there is none."""
        return self.link is not None and self.link.root_known and self.identity not in WITHOUT_DATABASE

    def knows_root(self, password: str) -> bool:
        """Whether that is root's password, the empty one while there is no database.

        A new one, which the database accepts, ends every session.
        """
        if self.link is None or not self.root_known:
            return not password
        before = self.link.password
        accepted = self.link.accepts(password)
        if self.link.password != before:
            self.sessions.close_all()
        return accepted

    def cluster_engine(self, now: datetime) -> Engine:
        """Return the engine of the cluster's store; raises `Fault` while it cannot be reached."""
        if self.link is None or self.identity in WITHOUT_DATABASE:
            raise not_holding()
        return self.link.engine(now)

    def ob_state(self, now: datetime) -> int:
        """Return `obState`."""
        if self.link is None or self.identity in WITHOUT_DATABASE:
            return Database.GONE.value
        return self.link.ob_state(now)

    # --- what befalls it ---------------------------------------------------------------------------------

    def stop(self, now: datetime) -> None:
        """End its process: nobody listens, and what it was executing stops."""
        self.tick(now)
        self._note_reachability(now, running=False, plugged=self.plugged)
        if self.cluster is not None:
            self.cluster.engine.lose_host(self.host, now)
        self.local.lose_host(self.host, now)

    def start(self, now: datetime, *, new_key: bool = False, release: Release | None = None) -> None:
        """Start its process again: with its next key if `new_key`, or as another `release`.

        A release that needs longer keys makes one. The process of an agent that `agent-never-comes-back`
        describes ends at once.
        """
        if self.cluster is not None and self.cluster.engine.crew.is_doomed(self.host):
            return
        release = release or self.release
        keys = () if release.key_bits == self.release.key_bits else self._made_keys(release)
        self.release = release
        self._note_reachability(now, running=True, plugged=self.plugged)
        self.process.start(now, new_key=new_key, keys=keys)
        self.sessions = Sessions(f"{self.host}/{self.process.starts}")
        if self.link is not None:
            self.link.restart(now)
        if self.cluster is not None:
            self.cluster.engine.regain_host(self.host, now)
        self.local.regain_host(self.host, now)

    def restart(self, now: datetime, *, new_key: bool = False, release: Release | None = None) -> None:
        """Stop and start at the same instant."""
        self.stop(now)
        self.start(now, new_key=new_key, release=release)

    def unplug(self, now: datetime) -> None:
        """Cut it off from clients alone: its process lives on, its DAGs too."""
        self._note_reachability(now, running=self.running, plugged=False)

    def plug(self, now: datetime) -> None:
        """End a cut."""
        self._note_reachability(now, running=self.running, plugged=True)

    def become(self, identity: str, *, master: Host | None = None) -> None:
        """Change what it is; a FOLLOWER has a `master`."""
        self.identity, self.master = identity, master

    def set_agent_password(self, password: str) -> None:
        """Give it a password of its own; every session ends."""
        self.agent_password = password
        self.sessions.close_all()

    def reset(self, now: datetime) -> None:
        """Start it as on a new machine: SINGLE, with an empty store of its own and another key."""
        self.process.start(now, new_key=True)
        self.sessions = Sessions(f"{self.host}/{self.process.starts}")
        self.local = self._new_store(now, self.cluster.tick_s if self.cluster else 1.0)
        self.agent_password = None
        self.become(SINGLE)
        if self.link is not None:
            self.link.forget()

    def _note_reachability(self, now: datetime, *, running: bool, plugged: bool) -> None:
        before = self.listening
        self.process.running, self.plugged = running, plugged
        if self.cluster is not None and before != self.listening:
            moment = Reachability(at=now, agent=self.host, reachable=self.listening)
            self.cluster.history.append(moment)

    # --- the door ----------------------------------------------------------------------------------------

    def tick(self, now: datetime) -> None:
        """Live through everything that is due until `now`, together with all that it can reach."""
        if self.cluster is not None:
            self.cluster.tick(now)
        else:
            lockstep.advance([agent.local for agent in self.neighbours], now)

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Response:
        """Answer one request, `target` being its raw request target.

        Raises `ConnectionRefusedError` while nobody listens. A slow or cut answer is only marked as such.
        """
        if not self.listening:
            raise ConnectionRefusedError(f"nobody listens at {self.host}")
        self.tick(now)
        lowered = {name.lower(): value for name, value in headers.items()}
        arrived = now + self.clock_offset
        request = Request(method=method, target=target, headers=lowered, body=body, arrived=arrived)
        response = answers.answer(self, request, now)
        cut = self.cut_answers > 0
        self.cut_answers -= cut
        return msgspec.structs.replace(response, delay_s=max(response.delay_s, self.slow_s), cut=cut)

    def respond_to_agent(
        self,
        request: Request,
        now: datetime,
        *,
        header: OpenedHeader | None = None,
        origin: Host | None = None,
    ) -> Response:
        """Answer a request that another agent passed on.

        With a `header` the client has to be checked here. `origin` is the FOLLOWER that forwarded by itself.
        """
        passed = msgspec.structs.replace(request, arrived=now + self.clock_offset)
        return answers.answer_agent(self, passed, now, header=header, origin=origin)

    def next_trace(self) -> str:
        """Return a trace id that was not used yet, 16 hexadecimal digits."""
        self._requests += 1
        seed = f"{self.host}/{self.process.starts}/{self._requests}"
        return hashlib.sha256(seed.encode()).hexdigest()[:16]


def make_newcomer(cluster: SimulatedCluster, host: Host, now: datetime) -> SimulatedAgent:
    """Return a SINGLE agent that the agents of a cluster can reach, for `scale_out`."""
    agent = SimulatedAgent(host, now, cluster=cluster, zone="")
    agent.reset(now)
    return agent


def make_agents(
    cluster: SimulatedCluster,
    now: datetime,
    *,
    key_bits: int = 1024,
    agent_password: str | None = None,
    release: Release = LATEST,
) -> list[SimulatedAgent]:
    """Return the agents of a cluster, one for each of its hosts, each in a zone and with keys of its own."""
    keys = demo_keys(min(key_bits, release.key_bits))
    make = partial(SimulatedAgent, now=now, cluster=cluster, agent_password=agent_password, release=release)
    return [
        make(
            host,
            zone=f"zone{at + 1}",
            keys=(*keys[at % len(keys) :], *keys[: at % len(keys)]),
            home=f"/data/ob/agent{at + 1}",
        )
        for at, host in enumerate(cluster.hosts)
    ]
