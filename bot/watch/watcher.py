"""Watching clusters: from a due poll to the commit of what it came to.

A poll without news costs no database work (`bot.watch.memory`); `flush` writes the age of such polls for all
clusters together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import structlog

from bot.clock import Clock
from bot.core.events import AuthFailed
from bot.core.health import PollFailure
from bot.core.ids import is_local
from bot.core.stall import Policy
from bot.core.sweep import Answer
from bot.core.tracked import Observation, TrackedDag
from bot.core.views import ClusterState
from bot.metrics import Metrics
from bot.obshell.client import TIMEOUT_S
from bot.store import clusters as cluster_rows
from bot.store.clusters import Cluster, HealthRow
from bot.store.commit import LostOwnership, PollResult, commit_poll
from bot.store.dags import StaleSave
from bot.store.engine import Store
from bot.watch import poll as polls
from bot.watch.loglines import with_rows
from bot.watch.lookups import Lookups, between, newest_of
from bot.watch.memory import Memory
from bot.watch.poll import Polled
from bot.watch.reading import Reader, Reading
from bot.watch.routes import AllRoutesFailed, Routes
from bot.watch.timetable import Random, first_poll, next_poll

log = structlog.get_logger()

EVERYTHING = "all"
"""The scope that includes what agents do on their own."""

SLOW_ANSWER_S = 2 * TIMEOUT_S
"""A poll of several requests to a slow agent may take so long, and is a look all the same."""


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What clusters follow that say nothing themselves; seconds."""

    interval_s: float = 10.0
    stall_after_s: float = 600.0
    channel: str | None = None


@dataclass
class Watched:
    """One cluster in the memory of its owner."""

    cluster: Cluster
    reader: Reader
    lookups: Lookups
    memory: Memory
    due_at: datetime
    health: HealthRow = field(default_factory=HealthRow)
    polling: bool = False
    broken_since: datetime | None = None
    age_unsaved: bool = False
    again_at: datetime | None = None

    @property
    def routes(self) -> Routes:
        """The agents of the cluster."""
        return self.reader.routes


class Watcher:
    """All clusters of this process. `connect` makes the routes of a cluster; `nudge` wakes delivery."""

    def __init__(
        self,
        *,
        store: Store,
        connect: Callable[[Cluster], Routes],
        clock: Clock,
        random: Random,
        defaults: Defaults,
        metrics: Metrics,
        nudge: Callable[[], None],
    ) -> None:
        self._store, self._connect, self._clock, self._random = store, connect, clock, random
        self._defaults, self._metrics, self._nudge = defaults, metrics, nudge
        self._watched: dict[int, Watched] = {}
        self._fingerprint: object = None
        self.last_ok_at: datetime | None = None

    async def refresh(self) -> None:
        """Take up clusters that were added, edited, removed, or that a person wants polled now."""
        fingerprint = await self._store.read(cluster_rows.fingerprint)
        if fingerprint == self._fingerprint:
            return
        current = {c.id: c for c in await self._store.read(cluster_rows.load)}
        healths = await self._store.read(cluster_rows.all_health)
        now = self._clock()
        removed = [await self._drop(i) for i in self._watched.keys() - current.keys()]
        taken = [await self._take_up(c, healths.get(c.id, HealthRow()), now) for c in current.values()]
        if all(removed) and all(taken):
            self._fingerprint = fingerprint

    def due(self, now: datetime) -> list[int]:
        """Return the clusters to poll now."""
        return [i for i, w in self._watched.items() if not w.polling and w.due_at <= now and _may_poll(w)]

    def is_stuck(self, now: datetime, after: timedelta) -> bool:
        """Return whether some cluster should have been polled so long ago, or its polls break since then."""
        waiting = [min(w.due_at, w.broken_since or now) for w in self._watched.values() if _may_poll(w)]
        return any(since + after < now for since in waiting)

    async def poll(self, cluster_id: int) -> None:
        """Poll one cluster and store what it came to; whatever happens, the next poll is planned."""
        watched = self._watched.get(cluster_id)
        if watched is None or watched.polling:
            return
        watched.polling = True
        asked = watched.cluster.poll_wanted_at
        started = self._clock()
        interval = timedelta(seconds=self._interval_s(watched.cluster))
        if started - watched.due_at > interval:
            self._metrics.polls_late.inc()
        try:
            await self._poll(watched)
        finally:
            watched.polling = False
            now = self._clock()
            self._metrics.poll_seconds.observe((now - started).total_seconds())
            meanwhile = watched.cluster.poll_wanted_at not in {None, asked}
            watched.due_at = now if meanwhile else self._next_poll(watched, now)

    async def flush(self) -> None:
        """Store when clusters were last checked, for those whose polls had nothing else to store."""
        rows = {i: w.health for i, w in self._watched.items() if w.age_unsaved}
        if rows:
            await self._store.write(cluster_rows.save_ages, rows)
        for cluster_id in rows:
            if watched := self._watched.get(cluster_id):
                watched.age_unsaved = False

    async def close(self) -> None:
        """Flush and close all connections to agents."""
        try:
            await self.flush()
        finally:
            for watched in self._watched.values():
                await watched.routes.close()
            self._watched.clear()

    async def _poll(self, watched: Watched) -> None:
        try:
            if watched.memory.is_lost:
                watched.health = await self._store.read(cluster_rows.health_of, watched.cluster.id)
                watched.age_unsaved = False
                await watched.memory.recall()
            polled = await self._ask(watched)
            await self._keep(watched, polled)
            watched.broken_since = None
        except (StaleSave, LostOwnership) as error:
            log.warning("watch.not_saved", cluster=watched.cluster.name, reason=str(error))
            _unsaved(watched)
            self._metrics.polls.labels("not_saved").inc()
        except Exception:
            # The one boundary of the loop: a poll that breaks must not end the watching of other clusters.
            log.exception("watch.poll_broke", cluster=watched.cluster.name)
            _unsaved(watched)
            watched.broken_since = watched.broken_since or self._clock()
            self._metrics.polls.labels("broke").inc()

    async def _ask(self, watched: Watched) -> Polled:
        if watched.health.state is ClusterState.AUTH_FAILED:
            return polls.refused_meanwhile(watched.cluster, watched.health, self._clock())
        try:
            reading = await watched.reader.read()
        except AllRoutesFailed as error:
            failure = _with_open_dags(error.failure, watched)
            self._metrics.polls.labels(failure.trouble.value).inc()
            return polls.failed(watched.cluster, watched.health, failure, self._clock())
        now = self._clock()
        answer = polls.answer_of(watched.cluster, watched.health, reading, now)
        tracked = await watched.memory.tracked(answer.snapshots)
        policy = self._policy(watched)
        if reading.failure is not None:
            failure = _with_open_dags(reading.failure, watched)
            self._metrics.polls.labels(failure.trouble.value).inc()
            return polls.local_only(watched.cluster, watched.health, failure, answer, tracked, policy)
        self._metrics.polls.labels("ok").inc()
        self.last_ok_at = now
        answer, newest = await self._complete(watched, answer, reading, tracked)
        return polls.observed(answer, reading, tracked, policy, watched.health, newest)

    async def _complete(
        self, watched: Watched, answer: Answer, reading: Reading, tracked: dict[str, TrackedDag]
    ) -> tuple[Answer, int | None]:
        """Return the answer with what the lists cannot tell, and the highest row number seen.

        What is remembered of DAGs that turn out to have moved is added to `tracked`.
        """
        newest = watched.health.tracking.newest
        unseen = between(newest, answer, tracked)
        overview = await watched.lookups.overview(answer, reading.route, newest)
        newest = newest_of(overview.newest if overview else newest, answer)
        moved: dict[str, TrackedDag] = {}
        if overview is not None:
            unseen = await watched.memory.never_stored((*unseen, *overview.ended))
            moved = await watched.memory.moved(overview.over, tracked)
        tracked.update(moved)
        answer = await watched.lookups.complete(answer, reading.route, tracked, unseen=unseen, moved=moved)
        return await with_rows(answer, watched.routes, reading.route, tracked), newest

    async def _keep(self, watched: Watched, polled: Polled) -> None:
        """Store what is new, and remember the rest."""
        now = polled.health.attempted_at or self._clock()
        news = watched.memory.news(polled.observations, now)
        if news or polled.cluster_events or _differs(watched.health, polled.health):
            await self._commit(watched, polled, news, now)
        else:
            watched.age_unsaved = True
        watched.health, watched.again_at = polled.health, polled.again_at
        watched.memory.keep(polled.observations, news, now)
        if (asked := watched.cluster.poll_wanted_at) is not None and asked <= now:
            await self._answer_request(watched, asked)

    async def _commit(
        self, watched: Watched, polled: Polled, news: dict[str, Observation], now: datetime
    ) -> None:
        result = PollResult(
            at=now,
            health=polled.health,
            observations=news,
            cluster_events=polled.cluster_events,
            out_of_sight_changed=polled.sight_changed,
            rebuilt=polled.rebuilt,
        )
        saved = await self._store.write(
            commit_poll, watched.cluster, watched.memory.stored, result, self._defaults.channel
        )
        watched.memory.saved(saved)
        watched.age_unsaved = False
        self._tell(watched.cluster, polled, news)

    def _tell(self, cluster: Cluster, polled: Polled, news: dict[str, Observation]) -> None:
        events = [*polled.cluster_events, *(e for o in news.values() for e in o.events)]
        for event in events:
            self._metrics.events.labels(event.kind).inc()
            log.info("watch.event", cluster=cluster.name, kind=event.kind, ordinal=event.ordinal)
        self._nudge()

    async def _answer_request(self, watched: Watched, asked: datetime) -> None:
        """Let a person who waits for this poll see that it was done."""
        if watched.age_unsaved:
            await self._store.write(cluster_rows.save_ages, {watched.cluster.id: watched.health})
            watched.age_unsaved = False
        if watched.cluster.poll_wanted_at == asked:
            watched.cluster = msgspec.structs.replace(watched.cluster, poll_wanted_at=None)

    async def _take_up(self, cluster: Cluster, health: HealthRow, now: datetime) -> bool:
        """Begin to watch a cluster, or as it is registered now; False when its poll must end before."""
        watched = self._watched.get(cluster.id)
        if watched is not None and watched.cluster.revision == cluster.revision:
            self._hear_request(watched, cluster, now)
            return True
        if watched is not None and not await self._drop(cluster.id):
            return False
        interval, routes = self._interval_s(cluster), self._connect(cluster)
        self._watched[cluster.id] = Watched(
            cluster=cluster,
            reader=Reader(routes, everything=cluster.registration.scope == EVERYTHING),
            lookups=Lookups(routes),
            memory=Memory(self._store, cluster),
            due_at=first_poll(now, interval_s=interval, random=self._random),
            health=health,
        )
        return True

    def _hear_request(self, watched: Watched, cluster: Cluster, now: datetime) -> None:
        """Poll at once when a person asked for it after the last poll."""
        asked = cluster.poll_wanted_at
        if asked is None or (watched.health.attempted_at is not None and watched.health.attempted_at > asked):
            return
        watched.cluster = cluster
        watched.due_at = now

    async def _drop(self, cluster_id: int) -> bool:
        """Stop watching a cluster; False while a poll of it is in flight."""
        if self._watched[cluster_id].polling:
            return False
        await self._watched.pop(cluster_id).routes.close()
        return True

    def _next_poll(self, watched: Watched, now: datetime) -> datetime:
        again = [t for t in (watched.memory.look_again_at(), watched.again_at) if t is not None]
        return next_poll(
            now,
            interval_s=self._interval_s(watched.cluster),
            failures=watched.health.tracking.failures,
            again_at=min(again, default=None),
            random=self._random,
        )

    def _interval_s(self, cluster: Cluster) -> float:
        return cluster.registration.interval_s or self._defaults.interval_s

    def _policy(self, watched: Watched) -> Policy:
        cluster = watched.cluster
        # An agent may take its time; but after a failed poll nobody knows what happened meanwhile.
        slow = 0.0 if watched.health.tracking.failures else SLOW_ANSWER_S
        return Policy(
            stall_after_s=cluster.registration.stall_after_s or self._defaults.stall_after_s,
            max_gap_s=max(3.0, 3 * self._interval_s(cluster)) + slow,
        )


def _may_poll(watched: Watched) -> bool:
    """Return False for a paused cluster, and after a refused password until an operator sets another.

    A refusal that a command met while no service ran is still to be told; its "poll" asks nobody.
    """
    told = watched.health.tracking.told == AuthFailed.__struct_config__.tag
    return not watched.cluster.paused and (watched.health.state is not ClusterState.AUTH_FAILED or not told)


def _unsaved(watched: Watched) -> None:
    """Note that a poll was not stored: the next one begins from what is."""
    watched.memory.lose()
    watched.lookups.unsaved()


def _with_open_dags(failure: PollFailure, watched: Watched) -> PollFailure:
    """Name the DAGs whose state is unknown meanwhile."""
    dags = [d.tracked.snapshot for d in watched.memory.stored.values() if not d.tracked.closed]
    unknown = tuple(dag.name for dag in dags if not (failure.local and is_local(dag.id)))
    return msgspec.structs.replace(failure, open_dags=unknown)


def _differs(old: HealthRow, new: HealthRow) -> bool:
    """Return whether more changed than the time of the poll."""
    return (old.state, old.tracking, old.agent, old.error) != (new.state, new.tracking, new.agent, new.error)
