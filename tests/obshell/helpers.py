"""What the tests of the client share: fixed keys, a clock set by hand, answers as agents wrap them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from bot.obshell.auth import User
from bot.obshell.client import AgentClient
from bot.obshell.envelope import PrivateKey, open_header
from bot.obshell.url import AgentUrl

PASSWORD = "made-up-Pa55word"
URL = AgentUrl("http", "10.0.0.1", 2886)
NOW = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)
UNFINISHED = "/api/v1/task/dag/ob/unfinish?show_details=true"
KEYS = Path(__file__).parent / "keys"
RECORDINGS = Path(__file__).parent.parent / "recordings"

Handler = Callable[[httpx.Request], httpx.Response]


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time that was set."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@cache
def private_key(bits: int) -> PrivateKey:
    """Return the fixed key of that size."""
    return PrivateKey.from_pem((KEYS / f"rsa{bits}.pem").read_bytes())


def wrapped(data: Any = None, *, error: Any = None, status: int = 200, **members: Any) -> dict[str, Any]:
    """Return an answer as agents wrap it."""
    body: dict[str, Any] = {
        "successful": error is None,
        "timestamp": NOW.isoformat(),
        "duration": 1,
        "status": status,
        "traceId": "9f1c0a77be5d2e31",
    }
    body |= {"data": data} if data is not None else {}
    body |= {"error": error} if error is not None else {}
    return body | members


def refused(status: int, code: str, message: str = "", **members: Any) -> httpx.Response:
    """Return a refusal of an agent."""
    error = {"errCode": code, "message": message}
    return httpx.Response(status, json=wrapped(error=error, status=status, **members))


def secret(bits: int = 512) -> dict[str, Any]:
    """Return the data that tells the public key."""
    return {"ip": "10.0.0.1", "port": 2886, "public_key": private_key(bits).public}


def opened(header: str, bits: int = 512) -> dict[str, Any]:
    """Return what a sealed header says."""
    members: dict[str, Any] = json.loads(open_header(header, private_key(bits)))
    return members


def with_secret(handler: Handler) -> Handler:
    """Return a handler that tells the public key by itself."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/secret":
            return httpx.Response(200, json=wrapped(secret()))
        return handler(request)

    return handle


def client(handler: Handler, *, user: User = User.ROOT, max_bytes: int = 1 << 20) -> AgentClient:
    """Return a client of an agent that answers by a function."""
    return AgentClient(
        URL,
        password=lambda: PASSWORD,
        clock=Clock(),
        user=user,
        transport=httpx.MockTransport(with_secret(handler)),
        timeout_s=5,
        max_bytes=max_bytes,
    )


def dag(**members: Any) -> dict[str, Any]:
    """Return a DAG with one stage of one sub-task as an agent tells it."""
    times = {"start_time": "2026-05-09T10:00:01.20431+08:00", "end_time": "2026-05-09T10:00:00.9+08:00"}
    life = {"state": "RUNNING", "operator": "RUN", **times, "additional_data": None}
    task = {
        "id": "1611", "task_id": 611, "name": "Drop tenant", **life, "execute_times": 1,
        "execute_agent": {"ip": "10.0.0.1", "port": 2886}, "task_logs": ["Drop tenant t1"],
    }  # fmt: skip
    node = {"id": "1240", "node_id": 240, "name": "Drop tenant", **life, "sub_tasks": [task]}
    return {
        "id": "157", "dag_id": 57, "name": "Drop tenant", "stage": 1, "max_stage": 1, "maintenance_type": 3,
        "maintenance_key": "t1", **life, "additional_data": {"main_dag_id": "22130706433028867"},
        "nodes": [node],
    } | members  # fmt: skip
