"""The composition root: makes every part of the service, hands each what it needs, and takes them down again.

Parts are started in the order of their dependence, and each registers its teardown at once; whatever fails
on the way, what had been started is stopped, last first. `running` is all that the command line, the demo and
the tests need: the service is up inside the block.
"""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import structlog

from bot.clock import Clock, system_clock
from bot.config import ROLES, ConfigError, Settings
from bot.core.views import ClusterState, ClusterView, DagView
from bot.delivery.worker import Worker
from bot.http.health import Readiness
from bot.http.heartbeat import beat
from bot.http.server import CannotListen, listening, make_app
from bot.keys import KeyProblem, Vault, load_vault
from bot.metrics import Metrics
from bot.obshell.client import AgentClient
from bot.obshell.connect import BadTlsFiles, TlsFiles, connect
from bot.slack.bolt import HttpApp, SocketApp
from bot.slack.connection import BadToken, NotReady, check_channel, identify
from bot.slack.connection import StartError as SlackStartError
from bot.slack.listeners import Listeners
from bot.slack.messages import Layout
from bot.slack.notifier import SlackClient, SlackNotifier, make_client
from bot.store import clusters as cluster_rows
from bot.store import outbox
from bot.store.clusters import Cluster, Registration
from bot.store.engine import Store, database_url, make_engine
from bot.store.lock import Held, locks_for
from bot.store.migrate import DatabaseProblem, prepare
from bot.usecases import status
from bot.watch.routes import CannotConnect, Routes
from bot.watch.scheduler import WatchScheduler
from bot.watch.timetable import Random
from bot.watch.watcher import Defaults, Watcher

SlackApp = SocketApp | HttpApp
log = structlog.get_logger()

POLL_GRACE_S = 4.0
SEND_GRACE_S = 3.0
ANSWER_GRACE_S = 2.0
"""Together below the ten seconds in which a stopped service must have ended."""

SLACK_RETRY_S = 15.0
"""Distance of tries to open the socket: the method behind it allows about one call a minute in a row."""

STUCK_AFTER = timedelta(seconds=120)
"""A notice that waits longer, or polls that answer nobody for longer, mean that the service is stuck."""


class StartError(Exception):
    """The service cannot start; `str()` is one line with the remedy, `status` the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        self.status = status
        super().__init__(message)


class Service:
    """The parts of a running service, as its listener and its owner see them."""

    def __init__(self, store: Store, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self.store, self.settings, self.clock, self.metrics = store, settings, clock, metrics
        self.worker: Worker | None = None
        self.watcher: Watcher | None = None
        self.slack: SlackApp | None = None
        self.address: str | None = None

    async def unfinished(self, *, cluster: str | None, channel: str | None) -> tuple[ClusterView, ...]:
        """Answer a person who asks in a channel what is unfinished."""
        return await status.unfinished(
            self.store,
            now=self.clock(),
            cluster=cluster,
            channel=None if cluster else channel,
            default_channel=self.settings.channel,
        )

    async def dag(self, *, cluster: str, dag_id: str) -> DagView:
        """Answer a person who asks for one DAG."""
        return await status.dag(self.store, now=self.clock(), cluster=cluster, dag_id=dag_id)

    async def readiness(self) -> Readiness:
        """Return what is stuck."""
        now, stuck = self.clock(), []
        if self.worker is not None:
            backlog = await self.store.read(outbox.backlog)
            if backlog.oldest is not None and now - backlog.oldest > STUCK_AFTER:
                age = (now - backlog.oldest).total_seconds()
                stuck.append(f"delivery: the oldest of {backlog.waiting} notices waits for {age:.0f} s")
        if self.watcher is not None and self.watcher.is_stuck(now, STUCK_AFTER):
            stuck.append("polling: no poll has begun lately although clusters are due")
        if self.slack is not None and not await self.slack.healthy():
            stuck.append("slack: the socket is down, commands are not heard")
        return Readiness(stuck=tuple(stuck))

    async def measure(self) -> None:
        """Set the gauges that describe stored state."""
        views = await status.unfinished(self.store, now=self.clock())
        for state in ClusterState:
            self.metrics.clusters.labels(state.value).set(sum(v.state is state for v in views))
        backlog = await self.store.read(outbox.backlog)
        age = (self.clock() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        self.metrics.undelivered.set(backlog.waiting)
        self.metrics.undelivered_age.set(max(0.0, age))
        self.metrics.refused.set(backlog.refused)


async def serve(settings: Settings, *, roles: Collection[str] = ROLES) -> None:
    """Run the service until SIGTERM or SIGINT; raises `StartError`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running(settings, roles=roles) as service:
            log.info("service.running", roles=sorted(roles), http=service.address)
            await stop.wait()
            log.info("service.stopping")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    roles: Collection[str] = ROLES,
    clock: Clock = system_clock,
    random_: Random = random.random,
) -> AsyncIterator[Service]:
    """Have the service up while the block runs; raises `StartError` when it cannot start."""
    async with AsyncExitStack() as stack:
        try:
            service = await _start(stack, settings, roles, clock, random_)
        except (ConfigError, KeyProblem, BadTlsFiles) as error:
            raise StartError(str(error), status=2) from error
        except (BadToken, DatabaseProblem, Held, CannotListen) as error:
            raise StartError(str(error)) from error
        yield service


async def _start(
    stack: AsyncExitStack, settings: Settings, roles: Collection[str], clock: Clock, random_: Random
) -> Service:
    store = await _open_store(stack, settings, roles)
    metrics = Metrics()
    service = Service(store, settings, clock, metrics)
    client = _slack_client(settings) if {"deliver", "slack"} & set(roles) else None
    if client is not None:
        await _check_slack(client, settings)
    if client is not None and "deliver" in roles:
        service.worker = await _start_delivery(stack, service, client)
    if "poll" in roles:
        service.watcher = await _start_watching(stack, service, random_)
    if client is not None and "slack" in roles:
        service.slack = await _start_slack(stack, service, client)
    await _start_http(stack, service)
    return service


async def _open_store(stack: AsyncExitStack, settings: Settings, roles: Collection[str]) -> Store:
    """Open the database, bring its schema up to date, and make sure that no other service runs on it."""
    engine = make_engine(database_url(settings.database_url.get_secret_value()))
    await asyncio.to_thread(prepare, engine)
    for lock in locks_for(engine, roles):
        try:
            lock.acquire()
        except OSError as error:
            raise StartError(f"cannot take the lock beside the database: {error}") from error
        stack.callback(lock.release)
    store = Store(engine)
    stack.callback(store.close)
    return store


def _slack_client(settings: Settings) -> SlackClient:
    token = settings.slack_bot_token
    return make_client(token.get_secret_value() if token else None, settings.slack_api_url)


async def _check_slack(client: SlackClient, settings: Settings) -> None:
    """Refuse to start with a token or default channel that Slack refuses; its trouble may pass meanwhile."""
    try:
        await identify(client)
        problem = await check_channel(client, settings.channel) if settings.channel else None
    except NotReady as error:
        log.warning("slack.not_ready", error=str(error))
        return
    if problem is not None:
        raise StartError(f"OBDAG_CHANNEL: {problem}")


async def _start_slack(stack: AsyncExitStack, service: Service, client: SlackClient) -> SlackApp:
    """Listen for commands; while Slack cannot be reached, go on trying beside the polling."""
    app = _slack_app(service, client)
    stack.push_async_callback(app.stop, ANSWER_GRACE_S)
    try:
        await app.start()
    except NotReady as error:
        log.warning("slack.not_ready", error=str(error))
        stack.push_async_callback(_cancel, asyncio.create_task(_keep_starting(app), name="slack-start"))
    return app


def _slack_app(service: Service, client: SlackClient) -> SlackApp:
    settings = service.settings
    listeners = Listeners(command=settings.command, queries=service, clock=service.clock, proxy=client.proxy)
    if settings.slack_signing_secret is not None:
        return HttpApp(client, settings.slack_signing_secret.get_secret_value(), listeners)
    token = settings.slack_app_token
    return SocketApp(client, token.get_secret_value() if token else "", listeners)


async def _keep_starting(app: SlackApp) -> None:
    while True:
        await asyncio.sleep(SLACK_RETRY_S)
        try:
            await app.start()
        except SlackStartError as error:
            log.warning("slack.not_ready", error=str(error))
        else:
            return


async def _start_delivery(stack: AsyncExitStack, service: Service, client: SlackClient) -> Worker:
    notifier = SlackNotifier(client, layout=Layout(service.settings.layout))
    worker = Worker(store=service.store, notifier=notifier, clock=service.clock, metrics=service.metrics)
    task = asyncio.create_task(worker.run(), name="delivery")

    async def stop() -> None:
        await worker.stop(SEND_GRACE_S)
        await task

    stack.push_async_callback(stop)
    return worker


async def _start_watching(stack: AsyncExitStack, service: Service, random_: Random) -> Watcher:
    settings, worker = service.settings, service.worker
    clusters = await service.store.read(cluster_rows.load)
    secrets = [c.registration.secret for c in clusters if c.registration.secret]
    vault = await asyncio.to_thread(load_vault, settings, create=not secrets)
    vault.check(secrets)
    watcher = Watcher(
        store=service.store,
        connect=_connector(vault, service.clock),
        clock=service.clock,
        random=random_,
        defaults=Defaults(
            interval_s=settings.poll_interval_s,
            stall_after_s=settings.stall_after_s,
            channel=settings.channel,
        ),
        metrics=service.metrics,
        nudge=worker.nudge if worker is not None else _nobody_to_nudge,
    )
    scheduler = WatchScheduler(watcher, service.clock)
    scheduler.start()
    stack.push_async_callback(scheduler.stop, POLL_GRACE_S)
    return watcher


def _connector(vault: Vault, clock: Clock) -> Callable[[Cluster], Routes]:
    """Return the function that makes the routes of a cluster."""

    def routes(cluster: Cluster) -> Routes:
        registration = cluster.registration
        return Routes(registration.urls, lambda url: _client(url, registration, vault, clock))

    return routes


def _client(url: str, registration: Registration, vault: Vault, clock: Clock) -> AgentClient:
    tls = TlsFiles(
        registration.ca_file, registration.client_cert, registration.client_key, registration.insecure
    )
    try:
        secret = vault.decrypt(registration.secret) if registration.secret else ""
        return connect(url, user=registration.user, password=lambda: secret, clock=clock, tls=tls)
    except (KeyProblem, BadTlsFiles) as error:
        raise CannotConnect(str(error)) from error


async def _start_http(stack: AsyncExitStack, service: Service) -> None:
    settings = service.settings
    if settings.http is not None:
        app = make_app(service, service.metrics, serve_metrics=settings.serve_metrics)
        if isinstance(service.slack, HttpApp):
            app.router.add_post("/slack/events", service.slack.handle)
        service.address = str(await stack.enter_async_context(listening(app, settings.http)))
    if settings.heartbeat_url:

        async def healthy() -> bool:
            return (await service.readiness()).ready

        task = asyncio.create_task(beat(settings.heartbeat_url, healthy), name="heartbeat")
        stack.push_async_callback(_cancel, task)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _nobody_to_nudge() -> None:
    """Another process delivers: it looks into the outbox by itself."""
