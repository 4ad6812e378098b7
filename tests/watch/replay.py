"""Replaying recorded situations: a transport that answers as the real agent did at that time."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

RECORDINGS = Path(__file__).parent.parent / "recordings"
START = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)
LISTS = "/api/v1/task/dag/ob/unfinish"
NOT_ASKED = ("/dags/ob",)
"""What was not asked when a situation was recorded: the agent is taken for one that does not know it."""
NOT_OFFERED = {
    "successful": False,
    "status": 404,
    "error": {"errCode": "Common.NotFound", "message": "Element not found: 404 not found"},
}


class ManualClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """Return the time it was set to."""
        return self.now

    def set(self, seconds: float) -> None:
        """Stand at so many seconds after the start."""
        self.now = START + timedelta(seconds=seconds)


@cache
def exchanges(name: str) -> list[dict[str, Any]]:
    """Return what was asked and answered in a situation, in order."""
    content = json.loads((RECORDINGS / f"{name}.json").read_text())
    return [e for e in content["exchanges"] if e.get("method")]


class RecordedAgent(httpx.AsyncBaseTransport):
    """One agent of a situation: gives the newest recorded answer to a path that is not in the future.

    Where a situation was recorded by id only after its last operator, the list follows the rule that all
    recordings show: a DAG that is SUCCEED is not in it.
    """

    def __init__(self, name: str, agent: str, clock: ManualClock, public_key: str) -> None:
        self._exchanges = [e for e in exchanges(name) if e["agent"] == agent and e["method"] == "GET"]
        self._clock, self._key = clock, public_key
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as it was recorded."""
        path = request.url.path
        self.asked.append(path)
        if path == "/api/v1/secret":
            return self._response(200, _answer({"ip": "127.0.0.1", "port": 2886, "public_key": self._key}))
        exchange = self._newest(path)
        if exchange is None and path.endswith((*NOT_ASKED, "/logs")):
            return self._response(404, NOT_OFFERED)
        if exchange is None or not exchange.get("status"):
            raise httpx.ConnectError("no answer was recorded", request=request)
        body = exchange.get("body")
        if path == LISTS and body and (body.get("data") or {}).get("contents"):
            listed = [d for d in body["data"]["contents"] if not self._is_over(d["id"], exchange["t"])]
            body = {**body, "data": {"contents": listed}}
        return self._response(exchange["status"], body)

    def _response(self, status: int, body: Any) -> httpx.Response:
        """Return an answer of now: the recording's own clock is another day's."""
        return _response(status, {**body, "timestamp": self._clock().isoformat()} if body else body)

    def times(self) -> Iterator[float]:
        """Give the times at which this agent was asked about DAGs."""
        return (e["t"] for e in self._exchanges if "/task/dag/" in e["target"])

    def _newest(self, path: str, since: float = -1.0) -> dict[str, Any] | None:
        now = (self._clock() - START).total_seconds()
        known = (e for e in self._exchanges if urlsplit(e["target"]).path == path)
        past = [e for e in known if since <= e["t"] <= now]
        return past[-1] if past else None

    def _is_over(self, dag_id: str, since: float) -> bool:
        by_id = self._newest(f"/api/v1/task/dag/{dag_id}", since)
        return by_id is not None and by_id["body"]["data"]["state"] == "SUCCEED"


def _answer(data: dict[str, Any]) -> dict[str, Any]:
    return {"successful": True, "duration": 1, "status": 200, "traceId": "9f1c0a77be5d2e31", "data": data}


def _response(status: int, body: Any) -> httpx.Response:
    """Return an answer that is still to be read, as one from a socket is."""
    content = json.dumps(body).encode()
    return httpx.Response(
        status, stream=httpx.ByteStream(content), headers={"Content-Type": "application/json"}
    )
