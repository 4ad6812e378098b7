import asyncio
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest

from bot.http.health import Readiness
from bot.http.heartbeat import beat
from bot.http.server import CannotListen, listening, make_app
from bot.listen import Listen
from bot.metrics import Metrics

ANY = Listen("127.0.0.1", 0)


class Probe:
    """A service of which a test decides what is stuck."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.stuck: tuple[str, ...] = ()

    async def readiness(self) -> Readiness:
        """Return what the test set."""
        return Readiness(stuck=self.stuck)

    async def measure(self) -> None:
        """Set one gauge."""
        self.metrics.undelivered_age.set(12)


@pytest.fixture
def probe() -> Probe:
    """Return a service that works."""
    return Probe(Metrics())


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Return an HTTP client."""
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_healthz(probe: Probe, session: aiohttp.ClientSession) -> None:
    """A process that answers is alive, whatever is stuck."""
    probe.stuck = ("polling: nothing",)
    async with (
        listening(make_app(probe, probe.metrics), ANY) as address,
        session.get(f"http://{address}/healthz") as response,
    ):
        assert response.status == 200


async def test_readyz(probe: Probe, session: aiohttp.ClientSession) -> None:
    """Ready is 200; otherwise 503 with what is stuck."""
    async with listening(make_app(probe, probe.metrics), ANY) as address:
        async with session.get(f"http://{address}/readyz") as response:
            assert (response.status, await response.json()) == (200, {"status": "ready", "stuck": []})
        probe.stuck = ("delivery: 3 notices wait",)
        async with session.get(f"http://{address}/readyz") as response:
            assert response.status == 503
            assert (await response.json())["stuck"] == ["delivery: 3 notices wait"]


async def test_metrics(probe: Probe, session: aiohttp.ClientSession) -> None:
    """The figures are set anew for each reader, in Prometheus' text format."""
    probe.metrics.polls.labels("ok").inc()
    async with (
        listening(make_app(probe, probe.metrics), ANY) as address,
        session.get(f"http://{address}/metrics") as response,
    ):
        text = await response.text()
        assert response.content_type == "text/plain"
    assert 'obdag_polls_total{result="ok"} 1.0' in text
    assert "obdag_oldest_undelivered_notice_seconds 12.0" in text


async def test_metrics_can_be_hidden(probe: Probe, session: aiohttp.ClientSession) -> None:
    """On a public listener there are no figures."""
    async with (
        listening(make_app(probe, probe.metrics, serve_metrics=False), ANY) as address,
        session.get(f"http://{address}/metrics") as response,
    ):
        assert response.status == 404


async def test_port_in_use(probe: Probe) -> None:
    """A port that is taken is named, with the variable to change."""
    async with listening(make_app(probe, probe.metrics), ANY) as address:
        with pytest.raises(CannotListen, match=f"{address.port} is in use.*OBDAG_HTTP"):
            async with listening(make_app(probe, probe.metrics), address):
                pass


async def test_address_that_is_not_ours(probe: Probe) -> None:
    """An address of another machine is named."""
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1:80"):
        async with listening(make_app(probe, probe.metrics), Listen("192.0.2.1", 80)):
            pass


class Watchman:
    """Whoever watches the watcher: notes each beat, and answers as it was told."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.beats: asyncio.Queue[str] = asyncio.Queue()
        self.transport = httpx.MockTransport(self._note)

    def _note(self, request: httpx.Request) -> httpx.Response:
        self.beats.put_nowait(str(request.url))
        return httpx.Response(self.status)


@pytest.mark.parametrize("status", [200, 500])
async def test_heartbeat_goes_on(status: int) -> None:
    """A healthy service beats again and again, also when a beat failed."""
    watchman = Watchman(status)

    async def healthy() -> bool:
        return True

    task = asyncio.create_task(beat("http://beat/x", healthy, interval_s=0, transport=watchman.transport))
    async with asyncio.timeout(5):
        assert [await watchman.beats.get() for _ in range(3)] == ["http://beat/x"] * 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_heartbeat_is_silent_while_something_is_stuck() -> None:
    """Silence is the alarm."""
    watchman, asked = Watchman(), asyncio.Queue[None]()

    async def stuck() -> bool:
        asked.put_nowait(None)
        return False

    task = asyncio.create_task(beat("http://beat/x", stuck, interval_s=0, transport=watchman.transport))
    async with asyncio.timeout(5):
        for _ in range(3):
            await asked.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watchman.beats.empty()
