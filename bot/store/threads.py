"""Threads: where the story of a DAG, or of a cluster's trouble, is told in a channel.

The root message of a DAG is no notice but a projection of the stored state: it is due when the wanted version
is ahead of the sent one, and rendered when it is sent.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, exists, select, update

from bot.store.schema import dags, outbox, threads
from bot.store.upsert import insert_once


class RootJob(msgspec.Struct, frozen=True, kw_only=True):
    """A root message to post (`ts` is None) or to edit."""

    thread_id: int
    dag_pk: int
    channel: str
    ts: str | None
    version: int
    notice_id: str
    sending_since: datetime | None
    attempts: int
    next_attempt_at: datetime
    urgent_thread: bool


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """A send to try again: when, why it failed, and after how many tries.

    `unclear` keeps the mark of a send whose fate is unknown, so that it is looked up first.
    """

    at: datetime
    error: str
    attempts: int
    unclear: bool

    def values(self) -> dict[str, object]:
        """Return the columns to set."""
        values: dict[str, object] = {
            "next_attempt_at": self.at,
            "error": self.error,
            "attempts": self.attempts,
        }
        return values if self.unclear else {**values, "sending_since": None}


def new_notice_id() -> str:
    """Return an id that no other message carries, in this database or another."""
    return uuid4().hex


def of_dag(connection: Connection, cluster_id: int, dag_pk: int, channel: str, now: datetime) -> int:
    """Return the thread of a DAG in a channel, made if need be."""
    subject = {"cluster_id": cluster_id, "dag": dag_pk}
    return _ensure(connection, subject, threads.c.dag == dag_pk, channel, now)


def of_episode(connection: Connection, cluster_id: int, episode: str, channel: str, now: datetime) -> int:
    """Return the thread of a cluster's trouble in a channel, made if need be."""
    subject = {"cluster_id": cluster_id, "episode": episode}
    return _ensure(connection, subject, threads.c.episode == episode, channel, now)


def want(connection: Connection, dag_pks: Collection[int]) -> None:
    """Say that people's view of these DAGs is out of date, in all channels that have a thread."""
    connection.execute(
        update(threads)
        .where(threads.c.dag.in_(sorted(dag_pks)))
        .values(wanted_version=threads.c.wanted_version + 1)
    )


def want_cluster(connection: Connection, cluster_id: int) -> None:
    """Say that people's view of a cluster's open DAGs is out of date: it came out of sight, or back."""
    open_dags = select(dags.c.id).where(dags.c.cluster_id == cluster_id, dags.c.closed_at.is_(None))
    connection.execute(
        update(threads)
        .where(threads.c.dag.in_(open_dags))
        .values(wanted_version=threads.c.wanted_version + 1)
    )


def due_roots(connection: Connection, now: datetime) -> list[RootJob]:
    """Return the root messages that can be sent now: those to post first, then the oldest edits."""
    failing = exists().where(
        outbox.c.thread == threads.c.id, outbox.c.state == "pending", outbox.c.urgent.is_(True)
    )
    query = (
        select(threads, failing.label("failing"))
        .where(
            threads.c.dag.is_not(None),
            threads.c.wanted_version > threads.c.sent_version,
            threads.c.next_attempt_at <= now,
        )
        .order_by(threads.c.ts.is_not(None), failing.desc(), threads.c.next_attempt_at, threads.c.id)
        .limit(200)
    )
    return [_job(row) for row in connection.execute(query)]


def begin_send(connection: Connection, job: RootJob, now: datetime) -> bool:
    """Note durably that a root is about to be posted; False when another process was quicker."""
    result = connection.execute(
        update(threads)
        .where(threads.c.id == job.thread_id, threads.c.ts.is_(None), _same_sending(job))
        .values(sending_since=now)
    )
    return result.rowcount == 1


def settle(connection: Connection, job: RootJob, *, ts: str, version: int, next_edit_at: datetime) -> None:
    """Note that a root stands in the channel and shows `version`."""
    connection.execute(
        update(threads)
        .where(threads.c.id == job.thread_id)
        .values(
            ts=ts,
            sent_version=version,
            sending_since=None,
            next_attempt_at=next_edit_at,
            attempts=0,
            error=None,
        )
    )


def postpone(connection: Connection, job: RootJob, later: Later) -> None:
    """Note that a root could not be sent."""
    connection.execute(update(threads).where(threads.c.id == job.thread_id).values(**later.values()))


def give_up(connection: Connection, job: RootJob, *, error: str) -> None:
    """Note that the channel refuses this root; the next change of the DAG tries again."""
    connection.execute(
        update(threads)
        .where(threads.c.id == job.thread_id)
        .values(sent_version=job.version, sending_since=None, error=error)
    )


def lose(connection: Connection, job: RootJob, now: datetime) -> None:
    """Forget a root message that somebody deleted: the next send posts a new one."""
    connection.execute(
        update(threads)
        .where(threads.c.id == job.thread_id)
        .values(ts=None, sent_version=0, notice_id=new_notice_id(), sending_since=None, next_attempt_at=now)
    )


def adopt(connection: Connection, thread_id: int, ts: str) -> None:
    """Note that the first post of a trouble's thread stands at `ts`."""
    connection.execute(update(threads).where(threads.c.id == thread_id).values(ts=ts))


def _ensure(
    connection: Connection,
    subject: Mapping[str, object],
    is_subject: ColumnElement[bool],
    channel: str,
    now: datetime,
) -> int:
    query = select(threads.c.id).where(is_subject, threads.c.channel == channel)
    found = connection.scalar(query)
    if found is None:
        row = {**subject, "channel": channel, "notice_id": new_notice_id(), "next_attempt_at": now}
        insert_once(connection, threads, row)
        found = connection.execute(query).scalar_one()
    return int(found)


def _same_sending(job: RootJob) -> ColumnElement[bool]:
    column = threads.c.sending_since
    return column.is_(None) if job.sending_since is None else column == job.sending_since


def _job(row: Row[*tuple[Any, ...]]) -> RootJob:
    m = row._mapping  # noqa: SLF001 - SQLAlchemy's public way to read a row by name
    return RootJob(
        thread_id=m["id"],
        dag_pk=m["dag"],
        channel=m["channel"],
        ts=m["ts"],
        version=m["wanted_version"],
        notice_id=m["notice_id"],
        sending_since=m["sending_since"],
        attempts=m["attempts"],
        next_attempt_at=m["next_attempt_at"],
        urgent_thread=bool(m["failing"]),
    )
