"""`/metrics`: the service's figures as Prometheus reads them."""

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from bot.http.health import HealthProbe
from bot.metrics import Metrics


async def page(probe: HealthProbe, metrics: Metrics) -> web.Response:
    """Return all figures, with the gauges set anew."""
    await probe.measure()
    return web.Response(
        body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
    )
