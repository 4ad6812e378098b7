"""The outbox: notices that are facts already, and wait for delivery.

Rows are written in the transaction that stores the state which caused them, and settled after the send. A row
whose `sending_since` is set was being sent when something went wrong: its fate is looked up before it is sent
again.
"""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Integer, Row, func, select, update

from bot.core.events import Event, encode
from bot.core.parts import parts
from bot.store import threads as thread_rows
from bot.store.schema import dags, outbox, threads
from bot.store.threads import Later
from bot.store.upsert import insert_once


class ReplyJob(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest unsettled notice of a thread; `event` is JSON that this release may not know.

    `urgent` is the notice's own; `urgent_thread` says that a failure waits somewhere behind it.
    """

    id: int
    channel: str
    thread_id: int
    thread_ts: str | None
    starts_thread: bool
    part: str
    event: str
    urgent: bool
    urgent_thread: bool
    broadcast: bool
    notice_id: str
    created_at: datetime
    sending_since: datetime | None
    attempts: int


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits: how many, since when the oldest, and how many were refused for good.

    A notice whose root the channel refused counts as refused, until a change of the DAG has the root retried.
    """

    waiting: int
    oldest: datetime | None
    refused: int


def add(
    connection: Connection, *, event: Event, event_id: str, channel: str, thread_id: int, now: datetime
) -> int:
    """Store the notices of an event for a channel, each once; return how many were new."""
    text = encode(event)
    added = 0
    for part in parts(event):
        row = {
            "event_id": event_id,
            "channel": channel,
            "part": part,
            "thread": thread_id,
            "event": text,
            "urgent": event.is_failure,
            "broadcast": event.broadcast,
            "state": "pending",
            "notice_id": thread_rows.new_notice_id(),
            "created_at": now,
            "next_attempt_at": now,
        }
        added += insert_once(connection, outbox, row)
    return added


def due(connection: Connection, now: datetime) -> list[ReplyJob]:
    """Return the head of each thread that can be sent now, the most urgent threads first.

    A reply waits for the root of its thread; a thread of a cluster's trouble is begun by its first notice.
    """
    head = (
        select(func.min(outbox.c.id).label("id"), func.max(outbox.c.urgent.cast(Integer)).label("urgent"))
        .where(outbox.c.state == "pending")
        .group_by(outbox.c.thread)
        .subquery()
    )
    query = (
        select(
            outbox,
            threads.c.ts.label("root_ts"),
            threads.c.dag.label("of_dag"),
            head.c.urgent.label("failing"),
        )
        .join(head, head.c.id == outbox.c.id)
        .join(threads, threads.c.id == outbox.c.thread)
        .where(outbox.c.next_attempt_at <= now, threads.c.ts.is_not(None) | threads.c.dag.is_(None))
        .order_by(head.c.urgent.desc(), outbox.c.id)
        .limit(200)
    )
    return [_job(row) for row in connection.execute(query)]


def begin_send(connection: Connection, job: ReplyJob, now: datetime) -> bool:
    """Note durably that a notice is about to be sent; False when another process was quicker."""
    column = outbox.c.sending_since
    same = column.is_(None) if job.sending_since is None else column == job.sending_since
    result = connection.execute(
        update(outbox)
        .where(outbox.c.id == job.id, outbox.c.state == "pending", same)
        .values(sending_since=now)
    )
    return result.rowcount == 1


def settle(connection: Connection, job: ReplyJob, *, ts: str, now: datetime) -> None:
    """Note that a notice was delivered as message `ts`."""
    _finish(connection, job, "sent", now, ts=ts, error=None)
    if job.starts_thread:
        thread_rows.adopt(connection, job.thread_id, ts)


def refuse(connection: Connection, job: ReplyJob, *, error: str, now: datetime) -> None:
    """Note that a notice was refused for good, or its fate can never be known."""
    _finish(connection, job, "refused", now, error=error)


def postpone(connection: Connection, job: ReplyJob, later: Later) -> None:
    """Note that a notice could not be sent."""
    connection.execute(update(outbox).where(outbox.c.id == job.id).values(**later.values()))


def backlog(connection: Connection) -> Backlog:
    """Return what waits for delivery: notices, and root messages that were never posted."""
    stranded = (
        threads.c.dag.is_not(None)
        & threads.c.ts.is_(None)
        & (threads.c.sent_version >= threads.c.wanted_version)
    )
    pending = (
        select(func.count(), func.min(outbox.c.created_at))
        .select_from(outbox.join(threads))
        .where(outbox.c.state == "pending")
    )
    notices = connection.execute(pending.where(~stranded)).one()
    roots = connection.execute(
        select(func.count(), func.min(dags.c.first_seen_at))
        .select_from(threads.join(dags))
        .where(threads.c.ts.is_(None), threads.c.wanted_version > threads.c.sent_version)
    ).one()
    refused = connection.execute(select(func.count()).where(outbox.c.state == "refused")).scalar_one()
    refused += connection.execute(pending.where(stranded)).one()[0]
    oldest = [at for at in (notices[1], roots[1]) if at is not None]
    return Backlog(waiting=notices[0] + roots[0], oldest=min(oldest, default=None), refused=refused)


def _finish(
    connection: Connection,
    job: ReplyJob,
    state: str,
    now: datetime,
    *,
    error: str | None,
    ts: str | None = None,
) -> None:
    connection.execute(
        update(outbox)
        .where(outbox.c.id == job.id)
        .values(state=state, ts=ts, error=error, settled_at=now, sending_since=None)
    )


def _job(row: Row[*tuple[Any, ...]]) -> ReplyJob:
    m = row._mapping  # noqa: SLF001 - SQLAlchemy's public way to read a row by name
    return ReplyJob(
        id=m["id"],
        channel=m["channel"],
        thread_id=m["thread"],
        thread_ts=m["root_ts"],
        starts_thread=m["of_dag"] is None and m["root_ts"] is None,
        part=m["part"],
        event=m["event"],
        urgent=m["urgent"],
        urgent_thread=bool(m["failing"]),
        broadcast=m["broadcast"],
        notice_id=m["notice_id"],
        created_at=m["created_at"],
        sending_since=m["sending_since"],
        attempts=m["attempts"],
    )
