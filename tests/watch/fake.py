"""An agent of a cluster as a test sets it: its DAGs, what is wrong with it, and what it was asked."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx

from bot.core.dag import DagSnapshot, Stage, SubTask
from bot.obshell.client import AgentClient
from bot.obshell.connect import connect
from tests.obshell.helpers import secret, wrapped
from tests.watch.replay import ManualClock

LIST = "/api/v1/task/dag/ob/unfinish"
DETAILED = f"{LIST}?show_details=true"
BY_ID = "/api/v1/task/dag/"
OWN = "/api/v1/task/dag/agent/unfinish"
EVERYTHING = "/api/v1/task/dags/ob"
LOGS = "/api/v1/task/sub_task/"
STATUS = "/api/v1/status"
INFO = "/api/v1/info"
MEMBERS = "/api/v1/ob/info"
UNSET = datetime(1970, 1, 1, tzinfo=UTC)


class Refusal(NamedTuple):
    """What an agent answers when something is wrong; the oldest agents have numbers for codes."""

    status: int
    code: str | int
    message: str


WRONG_PASSWORD = Refusal(
    401, "Security.Authentication.IncorrectOceanbasePassword", "Unauthorized: OceanBase password is incorrect"
)
NO_DATABASE = Refusal(500, "OB.Server.Process.NotExist", "observer process not exist")
NOT_CLUSTER = Refusal(500, "Common.Unexpected", "Unexpected error: ocsagent cannot build response body")
UNKNOWN_TYPE = Refusal(500, "Common.Unexpected", "Unexpected error: task type NewTask not register")
NO_ROUTE = Refusal(404, "Common.NotFound", "Element not found: 404 not found")
GONE = Refusal(404, "Task.NotFound", "Task not found: record not found")
DOWN = None
"""Nobody listens."""


class FakeAgent(httpx.AsyncBaseTransport):
    """Answers the list with `listed` and a DAG by its id with those and `known`.

    `own` are the DAGs of its own store, `everything` all that ever ran (None: the agent is too old to say),
    `rows` the logs by sub-task, `members` the agents of the cluster. `troubles` maps beginnings of targets to
    what is wrong there. While `gate` is closed no list is answered.
    """

    def __init__(self, clock: ManualClock, url: str = "http://10.0.0.1:2886") -> None:
        self.url = url
        self.listed: tuple[DagSnapshot, ...] = ()
        self.known: tuple[DagSnapshot, ...] = ()
        self.own: tuple[DagSnapshot, ...] = ()
        self.everything: tuple[DagSnapshot, ...] | None = None
        self.rows: dict[str, list[tuple[int, int, str]]] = {}
        self.members: tuple[str, ...] = ()
        self.identity = "CLUSTER AGENT"
        self.skew = timedelta()
        self.troubles: dict[str, Refusal | None] = {}
        self.ob_state = 3
        self.asked: list[str] = []
        self.reached, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self._clock = clock

    def client(self) -> AgentClient:
        """Return a real client of this agent."""
        return connect(self.url, user="root", password=lambda: "pw", clock=self._clock, transport=self)

    def lists(self) -> int:
        """Return how often the list was asked for."""
        return sum(target.startswith(LIST) for target in self.asked)

    def by_id(self) -> list[str]:
        """Return the ids of the DAGs that were looked up."""
        wanted = [t for t in self.asked if t.startswith(BY_ID) and not t.startswith((LIST, OWN))]
        return [target.removeprefix(BY_ID).partition("?")[0] for target in wanted]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as a real agent would."""
        target = request.url.raw_path.decode()
        if target == "/api/v1/secret":
            return self._answer(data=secret())
        self.asked.append(target)
        if target.startswith(LIST):
            self.reached.set()
            await self.gate.wait()
        for beginning, refusal in self.troubles.items():
            if target.startswith(beginning):
                return self._refuse(request, refusal)
        return self._good(request.url.path, details=target.endswith("=true"))

    def _refuse(self, request: httpx.Request, refusal: Refusal | None) -> httpx.Response:
        if refusal is None:
            raise httpx.ConnectError("connection refused", request=request)
        name = "code" if isinstance(refusal.code, int) else "errCode"
        error = {name: refusal.code, "message": refusal.message}
        return self._answer(error=error, status=refusal.status)

    def _good(self, path: str, *, details: bool) -> httpx.Response:
        if path == LIST:
            return self._list(self.listed, details=details)
        if path == OWN:
            return self._list(self.own, details=details)
        if path == EVERYTHING and self.everything is not None:
            return self._list(self.everything, details=False)
        if path == STATUS:
            return self._answer(data={"agent": {"identity": self.identity}, "obState": self.ob_state})
        if path == INFO:
            host, _, port = self.url.removeprefix("http://").rpartition(":")
            return self._answer(data={"identity": self.identity, "ip": host, "port": int(port)})
        if path == MEMBERS:
            hosts = [member.rpartition(":") for member in self.members]
            return self._answer(data={"agent_info": [{"ip": h, "port": int(p)} for h, _, p in hosts]})
        if path.startswith(LOGS) and (rows := self.rows.get(path.split("/")[-2])):
            return self._answer(data={"contents": [_row(*row) for row in rows]})
        if not path.startswith(BY_ID):
            return self._answer(error={"errCode": NO_ROUTE.code, "message": NO_ROUTE.message}, status=404)
        dag_id = path.removeprefix(BY_ID)
        found = [dag for dag in (*self.listed, *self.known, *self.own) if dag.id == dag_id]
        if not found:
            return self._answer(error={"errCode": GONE.code, "message": GONE.message}, status=GONE.status)
        return self._answer(data=told(found[0], details=details))

    def _list(self, dags: tuple[DagSnapshot, ...], *, details: bool) -> httpx.Response:
        return self._answer(data={"contents": [told(dag, details=details) for dag in dags]})

    def _answer(self, *, status: int = 200, **members: Any) -> httpx.Response:
        body = wrapped(status=status, timestamp=(self._clock() + self.skew).isoformat(), **members)
        headers = {"Content-Type": "application/json"}
        content = httpx.ByteStream(json.dumps(body).encode())
        return httpx.Response(status, stream=content, headers=headers)


def told(dag: DagSnapshot, *, details: bool = True) -> dict[str, Any]:
    """Return a DAG as agents tell it."""
    stages = [_stage(stage) for stage in dag.stages or ()] if details else None
    return {
        "id": dag.id,
        "stage": dag.stage,
        "max_stage": dag.max_stage,
        "maintenance_type": int(dag.maintenance),
        "nodes": stages,
        "additional_data": {"main_dag_id": dag.main_dag_id} if dag.main_dag_id and details else None,
        **_life(dag),
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {"id": stage.id, "sub_tasks": [_task(task) for task in stage.sub_tasks], **_life(stage)}


def _task(task: SubTask) -> dict[str, Any]:
    agent = {"ip": task.host.ip, "port": task.host.port} if task.host else None
    lines = None if task.lines is None else list(task.lines)
    return {
        "id": task.id,
        "execute_times": task.attempts,
        "execute_agent": agent,
        "task_logs": lines,
        **_life(task),
    }


def _row(number: int, attempt: int, line: str) -> dict[str, Any]:
    return {"id": number, "execute_times": attempt, "log_content": line}


def _life(of: DagSnapshot | Stage | SubTask) -> dict[str, Any]:
    return {
        "name": of.name,
        "state": of.state.value,
        "operator": of.operator.value,
        "start_time": (of.started_at or UNSET).isoformat(),
        "end_time": (of.ended_at or UNSET).isoformat(),
    }


def fakes(clock: ManualClock, urls: Iterable[str]) -> dict[str, FakeAgent]:
    """Return an agent per URL."""
    return {url: FakeAgent(clock, url) for url in urls}
