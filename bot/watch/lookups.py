"""What a list cannot tell: DAGs that left it, and DAGs that were never in it.

They are asked for by id, and only in a poll whose list was read: without a database agents answer
a request for a DAG by asking each other in circles (recording `dag-by-id-without-database`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import structlog

from bot.core import ids
from bot.core.dag import DagSnapshot, reading
from bot.core.sweep import Answer, missing
from bot.core.tracked import TrackedDag
from bot.core.zones import are_two
from bot.obshell.errors import AgentError, Gone, NotOffered, TooBig, Unreachable
from bot.watch.reading import summary_or_details
from bot.watch.routes import HOPELESS, Route, Routes

log = structlog.get_logger()

MAX_LOOKUPS = 20
"""DAGs looked up by id in one poll; what is left over is looked up in the next."""
NEAR = 10
"""Numbers may jump by a million when another server of the database gives them out: only so many after the
last known one and before a new one are looked up."""
OVERVIEW_EVERY = timedelta(minutes=10)
"""How often the list of all DAGs is read, for those that no list of unfinished ones ever showed."""


OVERVIEW_AGAIN = timedelta(days=1)
"""When it is tried again where it is too long, or the agent too old: agents are upgraded."""
MAX_SILENCES = 7
"""After so many lists of all DAGs that did not come in time the gap between two grows no more: 21 hours."""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """What the list of all DAGs came to: the highest row number, and DAGs that ended since the last one.

    `over` are the summaries of all DAGs that are not under way.
    """

    newest: int | None
    ended: tuple[str, ...] = ()
    over: tuple[DagSnapshot, ...] = ()


@dataclass
class Lookups:
    """What one cluster is asked beside its lists, and what of it failed before."""

    routes: Routes
    overview_at: datetime | None = None
    _failed: Counter[str] = field(default_factory=Counter, init=False)
    _over: set[str] | None = field(default=None, init=False)
    _unsure: set[str] = field(default_factory=set, init=False)
    _silences: int = field(default=0, init=False)

    async def complete(
        self,
        answer: Answer,
        route: Route,
        tracked: Mapping[str, TrackedDag],
        *,
        unseen: Sequence[str] = (),
        moved: Iterable[str] = (),
    ) -> Answer:
        """Return the answer with what had left its lists or `moved` since, and those DAGs never in one."""
        looked_up: list[DagSnapshot] = []
        gone: dict[str, str] = {}
        for dag_id in self._in_turn((*missing(tracked, answer), *moved)):
            found = await self._look_up(answer.cluster, route, dag_id)
            if isinstance(found, Gone):
                gone[dag_id] = found.message
            elif found is not None:
                looked_up.append(found)
        looked_at = [await self._ended(answer.cluster, route, dag_id) for dag_id in unseen[:MAX_LOOKUPS]]
        ended = [dag for dag in looked_at if dag is not None]
        self._postpone(set(unseen) - {dag.id for dag in ended})
        return msgspec.structs.replace(answer, looked_up=tuple(looked_up), gone=gone, found=tuple(ended))

    async def overview(self, answer: Answer, route: Route, newest: int | None) -> Overview | None:
        """Read the list of all DAGs when it is time for it; None when it is not, or cannot be had."""
        self._unsure = set()
        if self.overview_at is not None and answer.at < self.overview_at:
            return None
        self.overview_at = answer.at + OVERVIEW_EVERY
        try:
            everything = await route.client.all_dags()
        except (NotOffered, TooBig) as error:
            log.info("watch.no_overview", cluster=answer.cluster, agent=route.url, reason=str(error))
            self.overview_at = answer.at + OVERVIEW_AGAIN
            return None
        except AgentError as error:
            log.warning("watch.overview_failed", cluster=answer.cluster, error=str(error))
            await self._leave_alone(answer, route, error)
            return None
        self._silences = 0
        rows = [row for dag in everything if (row := ids.row(dag.id)) is not None]
        highest = max(rows, default=0)
        over = tuple(dag for dag in everything if reading(dag))
        known = self._over
        self._over = {dag.id for dag in over}
        if newest is None:
            return Overview(newest=highest)
        ended = tuple(dag.id for dag in over if _is_new(dag.id, known, newest))
        self._unsure = set(ended)
        return Overview(newest=max(newest, highest), ended=ended, over=over)

    def unsaved(self) -> None:
        """Note that what this poll found in the list of all was not stored: it is to be found again."""
        self._postpone(self._unsure)

    def _postpone(self, dag_ids: Collection[str]) -> None:
        """Look at these again with the next list of all DAGs."""
        if self._over is not None:
            self._over -= set(dag_ids)

    async def _leave_alone(self, answer: Answer, route: Route, error: AgentError) -> None:
        """Let more and more time pass where the list of all takes too long: old agents send all details."""
        if isinstance(error, HOPELESS):
            await self.routes.failure(route, error)
        if isinstance(error, Unreachable):
            self._silences = min(self._silences + 1, MAX_SILENCES)
            self.overview_at = answer.at + OVERVIEW_EVERY * 2**self._silences

    def _in_turn(self, wanted: Collection[str]) -> list[str]:
        """Return which DAGs to look up in this poll: those that failed least often come first."""
        self._failed = Counter({i: n for i, n in self._failed.items() if i in wanted})
        return sorted(wanted, key=lambda dag_id: self._failed[dag_id])[:MAX_LOOKUPS]

    async def _look_up(self, cluster: str, route: Route, dag_id: str) -> DagSnapshot | Gone | None:
        keeper = ids.home(dag_id)
        asked = route if keeper is None else self.routes.at_home(keeper)
        if asked is None or asked.failures or route.failures:
            return None
        try:
            return await summary_or_details(asked.client, dag_id)
        except Gone as error:
            return error
        except HOPELESS as error:
            log.warning("watch.lookup_stopped", cluster=cluster, dag=dag_id, error=str(error))
            await self.routes.failure(asked, error)
        except AgentError as error:
            log.warning("watch.lookup_failed", cluster=cluster, dag=dag_id, error=str(error))
        self._failed[dag_id] += 1
        return None

    async def _ended(self, cluster: str, route: Route, dag_id: str) -> DagSnapshot | None:
        found = await self._look_up(cluster, route, dag_id)
        return found if isinstance(found, DagSnapshot) and reading(found) else None


def moved_since(given_up: Mapping[str, TrackedDag], over: Iterable[DagSnapshot]) -> tuple[str, ...]:
    """Return the DAGs that were given up, in no list since, and have been brought to another end."""
    return tuple(
        dag.id for dag in over if dag.id in given_up and _ended_otherwise(given_up[dag.id].snapshot, dag)
    )


def between(newest: int | None, answer: Answer, tracked: Collection[str]) -> tuple[str, ...]:
    """Return ids that were skipped between the last known DAG and new ones: DAGs shorter than a poll."""
    if newest is None:
        return ()
    listed = [row for dag in answer.snapshots if (row := ids.row(dag.id)) is not None]
    skipped: list[int] = []
    low = newest
    for row in sorted(row for row in listed if row > newest and ids.cluster_id(row) not in tracked):
        gap = range(low + 1, row)
        skipped += gap if len(gap) <= 2 * NEAR else [*gap[:NEAR], *gap[-NEAR:]]
        low = row
    return tuple(map(ids.cluster_id, skipped[:MAX_LOOKUPS]))


def newest_of(newest: int | None, answer: Answer) -> int | None:
    """Return the highest row number that was seen so far; None before any DAG of the cluster was."""
    rows = [row for dag in answer.snapshots if (row := ids.row(dag.id)) is not None]
    return max([*rows, *([] if newest is None else [newest])], default=None)


def _ended_otherwise(old: DagSnapshot, new: DagSnapshot) -> bool:
    same_reading = (old.state, old.operator) == (new.state, new.operator)
    return not same_reading or are_two(old.ended_at, new.ended_at)


def _is_new(dag_id: str, known: set[str] | None, newest: int) -> bool:
    """Return whether a DAG came after what was known: by the last list of all, or else by its number."""
    if known is not None:
        return dag_id not in known
    row = ids.row(dag_id)
    return row is not None and row > newest
