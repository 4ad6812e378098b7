"""Delivery: from stored notices and wanted root messages to the chat service, and the settling of both.

Order holds per thread: only the oldest unsettled notice of a thread is sent, after the thread's root message.
Each channel has one lane, so that its posts keep order and pace; edits have a lane of their own.

A send is noted durably before it is made and settled after it. Whatever happens in between, the next try
first looks the message up by its id (`Notifier.find`): found, it is settled; absent, it is sent again; where
nobody may look, a failure is rather repeated and the rest rather left out.
"""

import asyncio
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog

from bot.clock import Clock
from bot.core.events import AnyEvent, UnknownEvent, decode
from bot.delivery.backoff import (
    LOOK_UP_AFTER_S,
    OPERATOR_RETRY_S,
    Again,
    Decision,
    Done,
    GiveUp,
    RootLost,
    decide,
    retry_s,
)
from bot.delivery.notifier import (
    Absent,
    Found,
    Notice,
    Notifier,
    Outcome,
    Reason,
    Refused,
    RetryAfter,
    Unknowable,
)
from bot.delivery.pacing import EDIT_SAME_EVERY, Pacing
from bot.metrics import Metrics
from bot.store import outbox, views
from bot.store import threads as thread_rows
from bot.store.engine import Store
from bot.store.outbox import ReplyJob
from bot.store.threads import Later, RootJob

log = structlog.get_logger()

Job = ReplyJob | RootJob
EDIT_LANE = "edits"
BUSY_WAIT_S = 0.1
IDLE_WAIT_S = 1.0


class Worker:
    """One deliverer; `run` drives it, `deliver_one` is one step for whoever drives time by hand."""

    def __init__(self, *, store: Store, notifier: Notifier, clock: Clock, metrics: Metrics) -> None:
        self._store, self._notifier, self._clock, self._metrics = store, notifier, clock, metrics
        self._pacing = Pacing()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._unknown: set[int] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._paused_until: datetime | None = None
        self.last_ok_at: datetime | None = None

    def nudge(self) -> None:
        """Say that there is something to deliver."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop`."""
        while not self._stopping:
            self._wake.clear()
            try:
                waiting = await self._start_lanes()
            except Exception:
                # The boundary of the loop: a database out of reach must not end delivery for good.
                log.exception("delivery.loop_broke")
                waiting = True
            await self._pause(BUSY_WAIT_S if waiting else IDLE_WAIT_S)

    async def stop(self, grace_s: float) -> None:
        """Begin no more sends, and let those in flight settle within `grace_s` seconds."""
        self._stopping = True
        self._wake.set()
        if self._lanes:
            await asyncio.wait(list(self._lanes.values()), timeout=grace_s)

    async def deliver_one(self) -> bool:
        """Send and settle the most urgent thing that may be sent now; return whether there was one."""
        now = self._clock()
        for job in await self._due(now):
            if self._allowed(job, now):
                await self._work(job)
                return True
        return False

    async def _start_lanes(self) -> bool:
        """Start a send in each free lane that has one; return whether anything waits."""
        now = self._clock()
        jobs = await self._due(now)
        for job in jobs:
            lane = _lane(job)
            if lane not in self._lanes and self._allowed(job, now) and not self._stopping:
                task = asyncio.create_task(self._guarded(job))
                self._lanes[lane] = task
                task.add_done_callback(partial(self._leave, lane))
        return bool(jobs)

    async def _due(self, now: datetime) -> list[Job]:
        """Return what can be sent now: threads with a failure, other roots to post, notices, edits."""
        if self._paused_until is not None and now < self._paused_until:
            return []
        notices = [j for j in await self._store.read(outbox.due, now) if j.id not in self._unknown]
        roots = await self._store.read(thread_rows.due_roots, now)
        unposted = [r for r in roots if r.ts is None]
        return [
            *(n for n in notices if n.urgent_thread),
            *(r for r in unposted if r.urgent_thread),
            *(r for r in unposted if not r.urgent_thread),
            *(n for n in notices if not n.urgent_thread),
            *(r for r in roots if r.ts is not None),
        ]

    def _allowed(self, job: Job, now: datetime) -> bool:
        if _is_edit(job):
            return self._pacing.may_edit(now)
        return self._pacing.may_post(job.channel, now)

    async def _guarded(self, job: Job) -> None:
        try:
            await self._work(job)
        except Exception:
            # The boundary of a lane: one poisonous notice must not stop the others.
            log.exception("delivery.job_broke", channel=job.channel, notice=job.notice_id)
            await self._push_forward(job)

    async def _push_forward(self, job: Job) -> None:
        again = Again(self._clock() + timedelta(seconds=retry_s(job.attempts)), "obdag failed", unclear=True)
        try:
            await self._postpone(job, again)
        except Exception:
            # The database is out of reach as well: the row is as it was, and is tried again when it is back.
            log.exception("delivery.not_postponed", notice=job.notice_id)

    async def _work(self, job: Job) -> None:
        if isinstance(job, RootJob):
            await (self._edit_root(job) if job.ts is not None else self._post_root(job))
        else:
            await self._reply(job)

    async def _reply(self, job: ReplyJob) -> None:
        try:
            event = decode(job.event)
        except UnknownEvent as error:
            # A newer release wrote it and will send it; this one leaves it alone.
            self._unknown.add(job.id)
            log.warning("delivery.unknown_event", notice=job.notice_id, error=str(error))
            return
        if job.sending_since is not None and await self._is_resolved(job, job.sending_since):
            return
        now = self._clock()
        if not await self._store.write(outbox.begin_send, job, now):
            return
        self._pacing.posted(job.channel, now)
        outcome = await self._notifier.post(_notice(job, event))
        await self._settle(job, "reply", outcome)

    async def _post_root(self, job: RootJob) -> None:
        if job.sending_since is not None and await self._is_resolved(job, job.sending_since):
            return
        now = self._clock()
        view = await self._store.read(views.dag_view, job.dag_pk, now)
        if view is None or not await self._store.write(thread_rows.begin_send, job, now):
            return
        self._pacing.posted(job.channel, now)
        outcome = await self._notifier.post_root(channel=job.channel, view=view, notice_id=job.notice_id)
        await self._settle(job, "root", outcome)

    async def _edit_root(self, job: RootJob) -> None:
        now = self._clock()
        view = await self._store.read(views.dag_view, job.dag_pk, now)
        if view is None or job.ts is None:
            return
        self._pacing.edited(now)
        outcome = await self._notifier.edit_root(channel=job.channel, ts=job.ts, view=view)
        await self._settle(job, "edit", outcome)

    async def _is_resolved(self, job: Job, since: datetime) -> bool:
        """Find out what became of an interrupted send; True when nothing is left to do now."""
        now, visible_at = self._clock(), since + timedelta(seconds=LOOK_UP_AFTER_S)
        if now < visible_at:
            await self._postpone(job, Again(visible_at, "unclear", unclear=True))
            return True
        thread_ts = job.thread_ts if isinstance(job, ReplyJob) else None
        found = await self._notifier.find(
            channel=job.channel, thread_ts=thread_ts, notice_id=job.notice_id, since=since
        )
        self._metrics.deliveries.labels("lookup", type(found).__name__.lower()).inc()
        match found:
            case Found(ts=ts) if isinstance(job, RootJob):
                # It shows what was known when it was sent: one edit brings it up to date.
                await self._apply(msgspec.structs.replace(job, version=job.version - 1), Done(ts))
                return True
            case Found(ts=ts):
                await self._apply(job, Done(ts))
                return True
            case Absent():
                return False
            case Unknowable(retry_s=float() as seconds):
                await self._postpone(job, Again(now + timedelta(seconds=seconds), "unclear", unclear=True))
                return True
            case Unknowable(detail=detail):
                return await self._choose_blindly(job, detail)

    async def _choose_blindly(self, job: Job, detail: str) -> bool:
        """Repeat what people must not miss: failures and the roots they stand in; leave out the rest."""
        repeat = isinstance(job, RootJob) or job.urgent
        log.warning("delivery.unknowable", notice=job.notice_id, repeat=repeat, detail=detail)
        if repeat:
            return False
        await self._apply(job, GiveUp(f"it may have been sent, and nobody may look: {detail}"))
        return True

    async def _settle(self, job: Job, what: str, outcome: Outcome) -> None:
        now = self._clock()
        self._metrics.deliveries.labels(what, type(outcome).__name__.lower()).inc()
        if isinstance(outcome, RetryAfter):
            self._pacing.rest(outcome.method, now + timedelta(seconds=outcome.seconds))
        if isinstance(outcome, Refused) and outcome.reason is Reason.AUTH:
            self._paused_until = now + timedelta(seconds=OPERATOR_RETRY_S)
        decision = decide(outcome, job.attempts, now)
        _log(job, what, decision)
        await self._apply(job, decision)

    async def _apply(self, job: Job, decision: Decision) -> None:
        now = self._clock()
        match decision:
            case Done(ts=ts):
                self.last_ok_at = now
                await self._done(job, ts, now)
            case Again():
                await self._postpone(job, decision)
            case GiveUp(error=error):
                await self._give_up(job, error, now)
            case RootLost() if isinstance(job, RootJob):
                await self._store.write(thread_rows.lose, job, now)
            case RootLost():
                await self._give_up(job, "its thread is gone", now)

    async def _give_up(self, job: Job, error: str, now: datetime) -> None:
        if isinstance(job, ReplyJob):
            await self._store.write(outbox.refuse, job, error=error, now=now)
        else:
            await self._store.write(thread_rows.give_up, job, error=error)

    async def _done(self, job: Job, ts: str, now: datetime) -> None:
        if isinstance(job, ReplyJob):
            await self._store.write(outbox.settle, job, ts=ts, now=now)
            return
        await self._store.write(
            thread_rows.settle, job, ts=ts, version=job.version, next_edit_at=now + EDIT_SAME_EVERY
        )

    async def _postpone(self, job: Job, again: Again) -> None:
        later = Later(at=again.at, error=again.error, attempts=job.attempts + 1, unclear=again.unclear)
        if isinstance(job, ReplyJob):
            await self._store.write(outbox.postpone, job, later)
        else:
            await self._store.write(thread_rows.postpone, job, later)

    def _leave(self, lane: str, _: asyncio.Task[None]) -> None:
        self._lanes.pop(lane, None)
        self._wake.set()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


def _is_edit(job: Job) -> bool:
    return isinstance(job, RootJob) and job.ts is not None


def _lane(job: Job) -> str:
    return EDIT_LANE if _is_edit(job) else job.channel


def _notice(job: ReplyJob, event: AnyEvent) -> Notice:
    return Notice(
        notice_id=job.notice_id,
        channel=job.channel,
        thread_ts=job.thread_ts,
        event=event,
        part=job.part,
        # What starts a thread stands in the channel anyway.
        broadcast=job.broadcast and job.thread_ts is not None,
    )


def _log(job: Job, what: str, decision: Decision) -> None:
    facts = {"what": what, "channel": job.channel, "notice": job.notice_id, "attempt": job.attempts + 1}
    match decision:
        case Done():
            log.info("delivery.sent", **facts)
        case Again(error=error):
            log.warning("delivery.postponed", error=error, **facts)
        case GiveUp(error=error):
            log.error("delivery.refused", error=error, **facts)
        case RootLost():
            log.warning("delivery.root_lost", **facts)
