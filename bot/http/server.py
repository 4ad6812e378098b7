"""The HTTP listener: `/healthz`, `/readyz`, `/metrics`, and whatever else the service mounts on the app."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from aiohttp import web

from bot.http import metrics as metrics_page
from bot.http.health import HealthProbe
from bot.listen import Listen
from bot.metrics import Metrics

PROBE_TIMEOUT_S = 5.0
"""Whoever asks gives up at about this time: a service that cannot answer by then is stuck."""
GRACE_S = 2.0
"""What requests under way get when the service stops."""


class CannotListen(Exception):
    """The address cannot be bound; `str()` says why and which variable to change."""


def make_app(probe: HealthProbe, metrics: Metrics, *, serve_metrics: bool = True) -> web.Application:
    """Return the application; the caller may add routes of its own before it is started."""

    async def healthz(request: web.Request) -> web.Response:
        del request
        return web.json_response({"status": "ok"})

    async def readyz(request: web.Request) -> web.Response:
        del request
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                stuck = (await probe.readiness()).stuck
        except TimeoutError:
            stuck = (f"the service did not say within {PROBE_TIMEOUT_S:.0f} s what works",)
        answer = {"status": "stuck" if stuck else "ready", "stuck": list(stuck)}
        return web.json_response(answer, status=503 if stuck else 200)

    async def figures(request: web.Request) -> web.Response:
        del request
        return await metrics_page.page(probe, metrics)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    if serve_metrics:
        app.router.add_get("/metrics", figures)
    return app


@asynccontextmanager
async def listening(app: web.Application, address: Listen) -> AsyncIterator[Listen]:
    """Serve the app while the block runs, and give the address really bound; raises `CannotListen`."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S, handle_signals=False)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address.host, address.port).start()
        except OSError as error:
            _refuse(address, error)
        host, port = runner.addresses[0][:2]
        yield Listen(str(host), int(port))
    finally:
        await runner.cleanup()


def _refuse(address: Listen, error: OSError) -> NoReturn:
    if error.errno == errno.EADDRINUSE:
        raise CannotListen(
            f"{address} is in use by another process: set OBDAG_HTTP to a free port"
        ) from error
    reason = error.strerror or str(error)
    raise CannotListen(f"cannot listen on {address}: {reason}; see OBDAG_HTTP") from error
