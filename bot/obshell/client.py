"""Asking one agent: limits of time and size, one request at a time, and one tree of errors."""

import asyncio
import re
import ssl
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx

from bot.clock import Clock
from bot.core.dag import DagSnapshot, Host
from bot.obshell import wire
from bot.obshell.auth import Conversation, Credentials, User
from bot.obshell.connection import Connection
from bot.obshell.decoding import Malformed
from bot.obshell.errors import Call, Protocol, Unreachable
from bot.obshell.refusals import refusal
from bot.obshell.shapes import ID_DIGITS
from bot.obshell.url import AgentUrl
from bot.obshell.values import AgentInfo, AgentStatus, LogRow

T = TypeVar("T")

TIMEOUT_S = 10.0
MAX_BYTES = 32 * 1024 * 1024
MAX_OVERVIEW_BYTES = 1024 * 1024
"""Agents never delete a DAG: the list of all of them grows for ever, and is read only while it is small."""
STATUS_QUERY_US = 3_000_000
"""How long an agent may ask its own database for `status()`; by default it would use all of our time."""
DIGITS = re.compile(rf"[0-9]{{1,{ID_DIGITS}}}", re.ASCII)


class AgentClient:
    """One agent: a connection that is kept, its credentials, and the questions that obdag asks.

    Every failure of a call is an `AgentError` (`bot.obshell.errors`); an id that is no number is a ValueError
    and never sent, and what `password` raises passes through. A call ends `timeout_s` seconds
    after its turn came, whatever the agent does; calls wait for each other. `tls` is shared between clients,
    since building one is dear; without it an https agent is checked against the system's authorities.
    """

    def __init__(
        self,
        url: AgentUrl,
        *,
        password: Callable[[], str],
        clock: Clock,
        user: User = User.ROOT,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.url = url
        self._credentials = Credentials(user=user, password=password, clock=clock)
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._connection = Connection(url, tls=tls, transport=transport, max_bytes=max_bytes)

    def __repr__(self) -> str:
        return f"AgentClient({str(self.url)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._connection.aclose()

    @property
    def skew_s(self) -> float | None:
        """How many seconds the agent's clock is ahead of ours, as of its last answer; None before one."""
        return self._credentials.skew_s

    async def unfinished(self, *, details: bool = True) -> tuple[DagSnapshot, ...]:
        """Return the cluster's unfinished DAGs, in no promised order; without details `stages` is None."""
        return await self._sealed(f"/api/v1/task/dag/ob/unfinish?{_details(wanted=details)}", wire.unfinished)

    async def local_unfinished(self, *, details: bool = True) -> tuple[DagSnapshot, ...]:
        """Return the unfinished DAGs of the agent's own store; they can be read without a database, too.

        A FOLLOWER answers with the list of its MASTER (recording `follower-agent`).
        """
        return await self._sealed(
            f"/api/v1/task/dag/agent/unfinish?{_details(wanted=details)}", wire.unfinished
        )

    async def all_dags(self) -> tuple[DagSnapshot, ...]:
        """Return all DAGs that the cluster ever ran, without details.

        Raises `TooBig` for more than a megabyte, and `NotOffered` from an agent before 4.3.0.0.
        """
        target = f"/api/v1/task/dags/ob?{_details(wanted=False)}"
        return await self._sealed(target, wire.unfinished, max_bytes=MAX_OVERVIEW_BYTES)

    async def members(self) -> tuple[Host, ...]:
        """Return the agents of the cluster, this one among them."""
        return await self._sealed("/api/v1/ob/info", wire.members)

    async def dag(self, dag_id: str, *, details: bool = True) -> DagSnapshot:
        """Return one DAG, finished or not; raises `Gone` only if the agent proves that it does not exist.

        Ask only for ids that an agent gave: the agent calls the address inside a local id. And not while the
        database is known to be down: agents then ask each other in circles until they have no file
        descriptors left (recording `dag-by-id-without-database`).
        """
        target = f"/api/v1/task/dag/{_digits(dag_id)}?{_details(wanted=details)}"
        snapshot = await self._sealed(target, wire.dag)
        if snapshot.id != dag_id:
            raise Protocol(self._call(target), "the answer is about another DAG")
        return snapshot

    async def sub_task_logs(self, sub_task_id: str) -> tuple[LogRow, ...]:
        """Return the log lines of all runs of a sub-task, in no promised order; none for an unknown id.

        Raises `NotOffered` from an agent before 4.3.0.0.
        """
        return await self._sealed(f"/api/v1/task/sub_task/{_digits(sub_task_id)}/logs", wire.logs)

    async def info(self) -> AgentInfo:
        """Return what the agent is; needs no password."""
        return await self._open("/api/v1/info", wire.info)

    async def status(self) -> AgentStatus:
        """Return how the agent and its database are; needs no password."""
        return await self._open(f"/api/v1/status?ob_query_timeout={STATUS_QUERY_US}", wire.status)

    async def time(self) -> datetime:
        """Return the agent's clock, in UTC; needs no password."""
        return await self._open("/api/v1/time", wire.time)

    async def _sealed(
        self, target: str, read: Callable[[wire.Answer], T], *, max_bytes: int | None = None
    ) -> T:
        return await self._turned(self._credentials.conversation(target), target, read, max_bytes)

    async def _open(self, target: str, read: Callable[[wire.Answer], T]) -> T:
        return await self._turned(self._credentials.open_conversation(target), target, read)

    async def _turned(
        self,
        talk: Conversation,
        target: str,
        read: Callable[[wire.Answer], T],
        max_bytes: int | None = None,
    ) -> T:
        """Have a conversation when its turn comes, within the time limit."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._converse(talk, read, max_bytes)
            except TimeoutError as error:
                text = f"no answer within {self._timeout_s:g} s"
                raise Unreachable(self._call(target), text) from error

    async def _converse(
        self, talk: Conversation, read: Callable[[wire.Answer], T], max_bytes: int | None
    ) -> T:
        ask = next(talk)
        while True:
            call = self._call(ask.target)
            answer = await self._connection.get(call, ask, max_bytes)
            try:
                ask = talk.send(answer)
            except StopIteration as end:
                return self._understood(call, end.value, read)
            except Malformed as error:
                raise Protocol(call, str(error), status=answer.status) from error

    def _understood(self, call: Call, answer: wire.Answer, read: Callable[[wire.Answer], T]) -> T:
        """Return what was asked for, or raise the agent's refusal."""
        if answer.error is not None:
            raise refusal(call, answer.error, answer.status, hidden=self._credentials.secret())
        try:
            return read(answer)
        except Malformed as error:
            raise Protocol(call, str(error), status=answer.status) from error

    def _call(self, target: str) -> Call:
        return Call(str(self.url), f"GET {target}")


def _details(*, wanted: bool) -> str:
    return f"show_details={'true' if wanted else 'false'}"


def _digits(generic_id: str) -> str:
    if not DIGITS.fullmatch(generic_id):
        raise ValueError(f"an id of an agent has 1 to {ID_DIGITS} decimal digits")
    return generic_id
