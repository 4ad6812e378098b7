"""The dead-man switch: a request every minute while the service works, to whoever watches the watcher."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import structlog

log = structlog.get_logger(__name__)

INTERVAL_S = 60.0
TIMEOUT_S = 10.0


async def beat(
    url: str,
    healthy: Callable[[], Awaitable[bool]],
    *,
    interval_s: float = INTERVAL_S,
    transport: httpx.AsyncBaseTransport | None = None,
) -> None:
    """Request `url` every `interval_s` seconds while `healthy` says so; runs until it is cancelled.

    Silence is the signal, so nothing is sent while something is stuck. A failed request is logged when that
    begins and when it ends, not each minute.
    """
    failing = False
    async with httpx.AsyncClient(timeout=TIMEOUT_S, transport=transport, trust_env=False) as client:
        while True:
            if await healthy():
                failing = await _send(client, url, failing=failing)
            await asyncio.sleep(interval_s)


async def _send(client: httpx.AsyncClient, url: str, *, failing: bool) -> bool:
    """Send one request; return whether it failed."""
    try:
        response = await client.get(url)
        problem = None if response.is_success else f"HTTP {response.status_code}"
    except httpx.HTTPError as error:
        problem = f"{type(error).__name__}: {error}"
    if problem and not failing:
        log.warning("heartbeat.failed", problem=problem)
    if failing and not problem:
        log.info("heartbeat.recovered")
    return problem is not None
