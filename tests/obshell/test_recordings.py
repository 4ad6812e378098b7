"""Every recorded answer of a real agent 4.5.0.0 to our questions is read, or refused with the right error."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.core.dag import DagSnapshot, Stage, SubTask
from bot.obshell import wire
from bot.obshell.client import AgentClient
from bot.obshell.errors import (
    AgentError,
    DatabaseDown,
    Gone,
    NotCluster,
    Reason,
    Refused,
    Rejected,
    UnknownTaskType,
    Unreachable,
)
from tests.obshell.helpers import RECORDINGS, client, wrapped

FILES = sorted(RECORDINGS.glob("*.json"))
OURS = re.compile(
    r"/api/v1/(?P<kind>info|status|time|task/dag/ob/unfinish|task/dag/(?P<dag>\d+)|task/sub_task/(?P<task>\d+)/logs)"
    r"(\?.*)?"
)
REFUSALS: dict[tuple[int, str], type[AgentError]] = {
    (400, "Request.Header.NotFound"): Rejected,
    (400, "Task.GenericID.Invalid"): Refused,
    (500, "Agent.OceanBase.DB.NotOcs"): DatabaseDown,
    (500, "Agent.OceanBase.NotHold"): DatabaseDown,
    (500, "Agent.OceanBase.Useless"): DatabaseDown,
    (500, "OB.Server.Process.CheckFailed"): DatabaseDown,
    (500, "OB.Server.Process.NotExist"): DatabaseDown,
}
BY_TEXT: dict[tuple[int, str], list[tuple[str, type[AgentError]]]] = {
    (404, "Task.NotFound"): [("record not found", Gone), ("dag id not match", Refused)],
    (500, "Common.Unexpected"): [
        ("ocsagent cannot build response body", NotCluster),
        ("not register", UnknownTaskType),
        ("Internal Server Error", Refused),
        ("connection refused", Refused),
    ],
}
REASONS = {
    "Expired": Reason.EXPIRED,
    "Header.UriMismatch": Reason.URI,
    "IncorrectAgentPassword": Reason.PASSWORD,
    "IncorrectOceanbasePassword": Reason.PASSWORD,
    "SessionInvalid": Reason.SESSION,
    "Timestamp.Invalid": Reason.HEADER,
    "Unauthorized": Reason.INFRASTRUCTURE,
    "WithAgentPassword": Reason.HEADER_KIND,
    "WithOceanBasePassword": Reason.HEADER_KIND,
}
FAILURES = {"ConnectionRefusedError": httpx.ConnectError, "TimeoutError": httpx.ReadTimeout}


@cache
def exchanges(file: Path) -> list[dict[str, Any]]:
    """Return what happened in a recording."""
    told: list[dict[str, Any]] = json.loads(file.read_text())["exchanges"]
    return told


def ours(file: Path) -> Iterator[tuple[re.Match[str], dict[str, Any]]]:
    """Give the exchanges of a recording whose question is one of ours."""
    for exchange in exchanges(file):
        asked = OURS.fullmatch(exchange.get("target", ""))
        if asked and exchange["method"] == "GET":
            yield asked, exchange


def replayed(exchange: dict[str, Any]) -> AgentClient:
    """Return a client of an agent that answers as recorded, however often it is asked."""

    def agent(request: httpx.Request) -> httpx.Response:
        if failure := exchange.get("failure"):
            raise FAILURES[failure](failure, request=request)
        return httpx.Response(exchange["status"], headers=sent(exchange), content=body(exchange))

    return client(agent)


def sent(exchange: dict[str, Any]) -> dict[str, str]:
    """Return the recorded headers, without those that tell how the body was cut in pieces."""
    return {name: text for name, text in exchange["headers"].items() if name != "Transfer-Encoding"}


def body(exchange: dict[str, Any]) -> bytes:
    """Return the recorded body."""
    return json.dumps(exchange["body"]).encode() if "body" in exchange else exchange["text"].encode()


async def ask(asked: re.Match[str], agent: AgentClient) -> Any:
    """Ask what the recording asked."""
    if asked["dag"]:
        return await agent.dag(asked["dag"])
    if asked["task"]:
        return await agent.sub_task_logs(asked["task"])
    questions = {
        "info": agent.info,
        "status": agent.status,
        "time": agent.time,
        "task/dag/ob/unfinish": agent.unfinished,
    }
    return await questions[asked["kind"]]()


def same_time(raw: str, at: datetime | None) -> None:
    """Check a time against its text, by another way than the client's."""
    if raw.startswith(("1970-01-01", "0001-01-01")):
        assert at is None
    else:
        cut = re.sub(r"(\.\d{6})\d+", r"\1", raw)
        assert at == datetime.fromisoformat(cut)


def same_life(raw: dict[str, Any], value: DagSnapshot | Stage | SubTask) -> None:
    """Check what DAGs, stages and sub-tasks have in common."""
    assert (value.id, value.name, value.state, value.operator) == tuple(
        raw[name] for name in ("id", "name", "state", "operator")
    )
    same_time(raw["start_time"], value.started_at)
    same_time(raw["end_time"], value.ended_at)


def same_dag(raw: dict[str, Any], snapshot: DagSnapshot) -> None:
    """Check that a DAG was read as it was sent, to the last line."""
    same_life(raw, snapshot)
    assert (snapshot.stage, snapshot.max_stage) == (raw["stage"], raw["max_stage"])
    assert (snapshot.maintenance, snapshot.maintenance_key) == (
        raw["maintenance_type"],
        raw["maintenance_key"],
    )
    assert snapshot.main_dag_id == (raw["additional_data"] or {}).get("main_dag_id")
    assert (snapshot.stages is None) == (raw["nodes"] is None)
    for position, (node, stage) in enumerate(
        zip(raw["nodes"] or (), snapshot.stages or (), strict=True), start=1
    ):
        same_life(node, stage)
        assert stage.position == position
        for task, sub_task in zip(node["sub_tasks"], stage.sub_tasks, strict=True):
            same_life(task, sub_task)
            assert sub_task.attempts == task["execute_times"]
            agent = task["execute_agent"]
            assert str(sub_task.host) == f"{agent['ip']}:{agent['port']}"
            assert sub_task.lines == (None if task["task_logs"] is None else tuple(task["task_logs"]))


def same(asked: re.Match[str], data: Any, value: Any) -> None:
    """Check an answer that was read."""
    if asked["dag"]:
        same_dag(data, value)
    elif asked["task"]:
        rows = [(row["id"], row["execute_times"], row["log_content"]) for row in data["contents"]]
        assert [(row.id, row.attempt, row.content) for row in value] == rows
        for row, read in zip(data["contents"], value, strict=True):
            same_time(row["create_time"], read.created_at)
    elif asked["kind"] == "info":
        assert (value.identity, value.started_ns, value.version, value.has_agent_password) == (
            data["identity"], data["startAt"], data["version"], data["security"],
        )  # fmt: skip
    elif asked["kind"] == "status":
        assert (value.identity, value.ob_state, value.sql_port, value.under_maintenance) == (
            data["agent"]["identity"], data["obState"], data.get("sqlPort"), data["underMaintenance"],
        )  # fmt: skip
    elif asked["kind"] == "time":
        same_time(data, value)
    else:
        for raw, snapshot in zip(data["contents"], value, strict=True):
            same_dag(raw, snapshot)


def expected(exchange: dict[str, Any]) -> type[AgentError]:
    """Return the class of error that a recorded refusal must become."""
    if exchange.get("failure"):
        return Unreachable
    error = exchange["body"]["error"]
    key = exchange["status"], error["errCode"]
    if key in BY_TEXT:
        return next(kind for text, kind in BY_TEXT[key] if error["message"].endswith(text))
    return Rejected if exchange["status"] == 401 else REFUSALS[key]


def check_reason(exchange: dict[str, Any], caught: AgentError) -> None:
    """Check what was wrong with the credentials of a recorded rejection."""
    if not isinstance(caught, Rejected):
        return
    code = exchange["body"]["error"]["errCode"].removeprefix("Security.Authentication.")
    if code == "Header.DecryptFailed":
        by_key = "crypto/rsa" in exchange["body"]["error"]["message"]
        assert caught.reason is (Reason.KEY if by_key else Reason.HEADER)
    else:
        assert caught.reason is REASONS.get(code, Reason.HEADER)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_recorded_answers(file: Path) -> None:
    """Success is read to the last line, anything else has the error that fits."""
    for asked, exchange in ours(file):
        async with replayed(exchange) as agent:
            if exchange["status"] == 200:
                same(asked, exchange["body"]["data"], await ask(asked, agent))
                continue
            kind = expected(exchange)
            with pytest.raises(AgentError) as caught:
                await ask(asked, agent)
            assert type(caught.value) is kind, exchange
            check_reason(exchange, caught.value)


def dags_in(told: Any) -> Iterator[dict[str, Any]]:
    """Give every DAG anywhere in an answer."""
    if isinstance(told, dict):
        if {"dag_id", "max_stage"} <= told.keys():
            yield told
        for member in told.values():
            yield from dags_in(member)
    elif isinstance(told, list):
        for member in told:
            yield from dags_in(member)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_recorded_dags_of_every_endpoint(file: Path) -> None:
    """Also those of other lists and of creation answers, with times of year 1."""
    for raw in dags_in(exchanges(file)):
        same_dag(raw, wire.dag(wire.answer(200, json.dumps(wrapped(raw)).encode())))


def test_the_recordings_are_all_there() -> None:
    """So many files with so many answers that concern us: nothing is skipped by mistake."""
    kinds = Counter(
        "dag" if asked["dag"] else "logs" if asked["task"] else asked["kind"]
        for file in FILES
        for asked, _ in ours(file)
    )
    assert len(FILES) == 50
    wanted = {"dag": 494, "task/dag/ob/unfinish": 433, "status": 63, "info": 18, "logs": 18, "time": 1}
    assert kinds == wanted
