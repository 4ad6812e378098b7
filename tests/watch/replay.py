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
    """One agent of a situation: gives the newest recorded answer to a path that is not in the future."""

    def __init__(self, name: str, agent: str, clock: ManualClock, public_key: str) -> None:
        self._exchanges = [e for e in exchanges(name) if e["agent"] == agent]
        self._clock, self._key = clock, public_key
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as it was recorded."""
        path = request.url.path
        self.asked.append(path)
        if path == "/api/v1/secret":
            return _answer(200, {"ip": "127.0.0.1", "port": 2886, "public_key": self._key})
        at = (self._clock() - START).total_seconds()
        known = [e for e in self._exchanges if urlsplit(e["target"]).path == path and e["method"] == "GET"]
        past = [e for e in known if e["t"] <= at] or known[:1]
        if not past:
            raise httpx.ConnectError("nothing was recorded for this path", request=request)
        exchange = past[-1]
        if not exchange.get("status"):
            raise httpx.ConnectError(exchange.get("failure", "no answer"), request=request)
        return _response(exchange["status"], exchange.get("body"))

    def list_times(self) -> Iterator[float]:
        """Give the times at which this agent was asked for its unfinished DAGs."""
        return (e["t"] for e in self._exchanges if urlsplit(e["target"]).path == LISTS)


def _answer(status: int, data: dict[str, Any]) -> httpx.Response:
    body = {
        "successful": True,
        "timestamp": "2026-05-09T10:00:00.1+08:00",
        "duration": 1,
        "status": status,
        "traceId": "9f1c0a77be5d2e31",
        "data": data,
    }
    return _response(status, body)


def _response(status: int, body: Any) -> httpx.Response:
    """Return an answer that is still to be read, as one from a socket is."""
    content = json.dumps(body).encode()
    return httpx.Response(
        status, stream=httpx.ByteStream(content), headers={"Content-Type": "application/json"}
    )
