"""The simulated counterpart of the lab in which the recordings were made, and what is played there."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bot.core.dag import Host, Maintenance, Operator, State
from bot.obshell.envelope import decrypt_body
from bot.sandbox.agents.agent import SimulatedAgent
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.database import Database
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.identities import FOLLOWER
from bot.sandbox.agents.ids import decode
from bot.sandbox.agents.plans import DagPlan, PartPlan
from bot.sandbox.agents.request import Request
from bot.sandbox.agents.rows import DagRow, LogRow, NodeRow, SubTaskRow
from bot.sandbox.agents.seals import OpenedHeader
from tests.sandbox import recorded, requests
from tests.sandbox.asking import HOSTS, KEYS, LIFE_S, PASSWORD, Answer, read
from tests.sandbox.recorded import TICK_S, Json, View, moment

ALONE = (Host("127.0.0.1", 3186), Host("127.0.0.1", 3286))
Act = Callable[["Lab", datetime], None]
Note = Callable[["Lab", Json, datetime], object]


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What happened beside the recorded requests.

    `acts` are what was done to the agents, with the second at which. `plans` replace what the views of a DAG
    suggest, by its id; `flags` are those of all stages. `late_s` is how much later or earlier than recorded
    an answer may be, because the lab's ticks and polls took some time; 0 asks each request once, in order.
    `blind` are the seconds in which nobody watched; not `watched` at all are single questions. `past` are
    recordings with DAGs that were there before.
    `first_local_row` is the number of the next sub-task in the agents' own stores. DAGs whose ids are
    `requested` are made by a recorded request. `phase_s` is how long each phase after a start took.
    """

    acts: tuple[tuple[float, Act], ...] = ()
    plans: dict[str, DagPlan] = {}
    flags: dict[str, bool] = {}
    late_s: float = 0.0
    blind: tuple[tuple[float, float], ...] = ()
    agent_password: str | None = None
    first_local_row: int = 1
    maintainer: int = 0
    requested: tuple[str, ...] = ()
    watched: bool = True
    phase_s: float = 0.003
    past: tuple[tuple[str, str], ...] = ()
    notes: dict[int, Note] = {}


class Lab:
    """Three agents of a cluster and two single ones, at the time of a recording."""

    def __init__(self, situation: str, script: Script) -> None:
        self.situation, self.script = situation, script
        self.begun = recorded.beginning(situation)
        self.session, self.posts = "", 0
        self._views = recorded.views(situation)
        self._due = sorted(
            [(self._created(told), lambda now, i=i: self._create(i, now)) for i, told in self._views.items()]
            + [(self.at(t), lambda now, act=act: act(self, now)) for t, act in script.acts],
            key=lambda due: due[0],
        )
        born = min([self.begun, *(at for at, _ in self._due)]) - timedelta(seconds=3)
        self.cluster = SimulatedCluster(
            "lab", self._phase("1", born), hosts=HOSTS, root_password=PASSWORD, tick_s=TICK_S
        )
        self.agents = {host: self._agent(host, born) for host in HOSTS}
        singles: list[SimulatedAgent] = []
        for host in ALONE:
            self.agents[host] = SimulatedAgent(host, self._phase(str(host), born, 1.0), neighbours=singles)
        if script.maintainer:
            self.cluster.engine.crew.maintainer = HOSTS[script.maintainer]
        for agent in self.agents.values():
            agent.local.store.count_from(sub_tasks=script.first_local_row)
        for past, dag_id in script.past:
            self._restore(dag_id, recorded.views(past)[dag_id][-1].dag)

    # --- setting up ------------------------------------------------------------------------------------

    def at(self, seconds: float) -> datetime:
        """Return the instant so many seconds after the beginning."""
        return self.begun + timedelta(seconds=seconds)

    def _agent(self, host: Host, born: datetime) -> SimulatedAgent:
        number = HOSTS.index(host) + 1
        return SimulatedAgent(
            host,
            self._phase(str(host), born),
            cluster=self.cluster,
            zone=f"zone{number}",
            agent_password=self.script.agent_password,
            home=f"/data/ob/agent{number}",
            phase_s=self.script.phase_s,
        )

    def _phase(self, store: str, born: datetime, tick_s: float = TICK_S) -> datetime:
        """Return when a store was made, so that its ticks are those of the recorded one."""
        for i, told in self._views.items():
            generic = decode(i)
            if ("1" if generic.host is None else str(generic.host)) != store:
                continue
            for view in told:
                if view.dag["state"] == "RUNNING":
                    tick = moment(view.dag["start_time"])
                    whole = timedelta(seconds=int((tick - born).total_seconds()) + 1)
                    return tick - whole * tick_s
        return born

    @staticmethod
    def _created(told: list[View]) -> datetime:
        """Return when a DAG was created, or when it has to be there if that is long ago."""
        first = told[0].dag
        if first["state"] in {"READY", "RUNNING"} and first["operator"] == "RUN":
            return moment(first["end_time"])
        return told[0].at - timedelta(seconds=2)

    def _create(self, dag_id: str, now: datetime) -> None:
        told = [view.dag for view in self._views[dag_id]]
        engine, first = self.store(dag_id), told[0]
        if engine.store.dag(first["dag_id"]) is not None or dag_id in self.script.requested:
            return
        if first["state"] not in {"READY", "RUNNING"} or first["operator"] != "RUN":
            self._restore(dag_id, first)
            return
        plan = self.script.plans.get(dag_id) or recorded.plan_of(told, self.script.flags)
        nodes = first["nodes"]
        engine.store.count_from(
            dags=first["dag_id"], nodes=nodes[0]["node_id"], sub_tasks=nodes[0]["sub_tasks"][0]["task_id"]
        )
        self.create(dag_id, plan, now)

    def _restore(self, dag_id: str, told: Json) -> None:
        """Put a DAG of the past into its store, and copies of its parts into those of who ran them."""
        dag = restored(told)
        self.store(dag_id).store.dags.append(dag)
        if decode(dag_id).host is None:
            for node in dag.nodes:
                for sub in node.sub_tasks:
                    self.agents[sub.host].local.store.adopt((dag, node, sub))

    def create(self, dag_id: str, plan: DagPlan, now: datetime) -> DagRow:
        """Create a DAG in the store of that id."""
        told = self._views[dag_id][0].dag["nodes"][0]["sub_tasks"][0]["execute_agent"]
        return self.store(dag_id).create(plan, now, creator=Host(told["ip"], told["port"]))

    def store(self, dag_id: str) -> Engine:
        """Return the engine of the store that an id is of."""
        host = decode(dag_id).host
        return self.cluster.engine if host is None else self.agents[host].local

    def dag(self, dag_id: str) -> DagRow:
        """Return a DAG."""
        row = self.store(dag_id).store.dag(decode(dag_id).row)
        assert row is not None
        return row

    # --- playing -----------------------------------------------------------------------------------------

    def live(self, now: datetime) -> None:
        """Live until then, and do what was done."""
        while self._due and self._due[0][0] <= now:
            at, act = self._due.pop(0)
            self._tick(at)
            act(at)
        self._tick(now)

    @property
    def next_due(self) -> datetime | None:
        """When anything happens next in any store."""
        engines = [self.cluster.engine, *(agent.local for agent in self.agents.values())]
        times = [engine.next_due() for engine in engines] + [at for at, _ in self._due[:1]]
        return min((at for at in times if at is not None), default=None)

    def _tick(self, now: datetime) -> None:
        self.cluster.tick(now)
        self.agents[ALONE[0]].tick(now)

    def happened(self, now: datetime) -> object:
        """Return something that changes whenever an answer may change."""
        stores = [self.cluster.engine.store, *(agent.local.store for agent in self.agents.values())]
        written = sum(len(store.history) for store in stores)
        return written, len(self._due), self.posts, [_reach(agent, now) for agent in self.cluster.agents]

    def is_blind(self, since: datetime, until: datetime) -> bool:
        """Whether nobody watched for part of that time."""
        return any(self.at(start) < until and since < self.at(end) for start, end in self.script.blind)

    def would_storm(self, exchange: Json) -> bool:
        """Whether agents would call each other without end, which nobody did at that moment."""
        by_id = exchange["target"].startswith("/api/v1/task/dag/1")
        return by_id and self.cluster.database is not Database.UP

    @staticmethod
    def patience_s(exchange: Json) -> float:
        """Return how long the recorded caller waited, nearly."""
        return float(exchange.get("took", 30.0)) - 1.0

    def ask(self, number: int, exchange: Json, now: datetime) -> Answer:
        """Send a recorded request; raises ConnectionRefusedError where nobody listens."""
        agent = self.agents[_host(exchange["agent"])]
        headers = requests.headers(self.situation, number, exchange, agent, now, self.session)
        body = requests.body(exchange, self.session)
        self.posts += exchange["method"] == "POST"
        answer = read(agent.respond(exchange["method"], exchange["target"], headers, body, now))
        if exchange["target"] == "/api/v1/login" and answer.status == 200:
            self.session = decrypt_body(answer.json["data"].encode(), KEYS[:16], KEYS[16:]).decode()
        return answer

    def look(self, exchange: Json, now: datetime) -> Answer:
        """Ask a recorded question without sealing it, which takes long; raises ConnectionRefusedError."""
        agent, target = self.agents[_host(exchange["agent"])], exchange["target"]
        if not agent.listening:
            raise ConnectionRefusedError
        if agent.identity == FOLLOWER:
            return self.ask(0, exchange, now)
        password = exchange.get("password", PASSWORD)
        opened = OpenedHeader(password=password, expires=str(int(now.timestamp()) + LIFE_S), uri=target)
        headers = {} if exchange["auth"] == "root" else {"x-ocs-agent-header": "sealed"}
        request = Request(method="GET", target=target, headers=headers, body=b"", arrived=now)
        header = None if exchange["auth"] == "none" else opened
        return read(agent.respond_to_agent(request, now, header=header))


def _reach(agent: SimulatedAgent, now: datetime) -> str:
    """Return how the agent's way to the database is."""
    try:
        agent.cluster_engine(now)
    except Fault as fault:
        return fault.error_code
    return ""


def _host(text: str) -> Host:
    ip, _, port = text.rpartition(":")
    return Host(ip, int(port))


def restored(dag: Json) -> DagRow:
    """Return the row of a DAG that ended before the recording began."""
    plan = recorded.plan_of([dag])
    nodes = [
        NodeRow(
            id=node["node_id"],
            plan=stage,
            position=at + 1,
            sub_tasks=[
                _sub_task(sub, part) for sub, part in zip(node["sub_tasks"], stage.parts, strict=True)
            ],
            **_status(node),
        )
        for at, (node, stage) in enumerate(zip(dag["nodes"], plan.stages, strict=True))
    ]
    finished = dag["state"] == "SUCCEED" or plan.maintenance <= Maintenance.NONE
    return DagRow(
        id=dag["dag_id"], plan=plan, nodes=nodes, stage=dag["stage"], finished=finished, **_status(dag)
    )


def _sub_task(sub: Json, plan: PartPlan) -> SubTaskRow:
    host = Host(sub["execute_agent"]["ip"], sub["execute_agent"]["port"])
    logs = [
        LogRow(
            id=n,
            sub_task_id=sub["task_id"],
            attempt=sub["execute_times"],
            text=text,
            at=moment(sub["end_time"]),
        )
        for n, text in enumerate(sub["task_logs"] or ())
    ]
    return SubTaskRow(
        id=sub["task_id"],
        plan=plan,
        host=host,
        data=plan.data,
        attempts=sub["execute_times"],
        logs=logs,
        **_status(sub),
    )


def _status(told: Json) -> dict[str, Any]:
    return {
        "state": State(told["state"]),
        "operator": Operator(told["operator"]),
        "started_at": moment(told["start_time"]),
        "ended_at": moment(told["end_time"]),
    }
