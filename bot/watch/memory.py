"""What is remembered of the DAGs of one cluster, so that a poll without news costs no database work.

In memory are the DAGs that are not closed. Others are read from the database when a poll shows them: a closed
one in a list was retried.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from bot.core.dag import DagSnapshot
from bot.core.tracked import Observation, TrackedDag
from bot.store import dags as dag_rows
from bot.store.clusters import Cluster
from bot.store.dags import StoredDag
from bot.store.engine import Store
from bot.watch.lookups import moved_since

QUIET_SAVE = timedelta(seconds=30)
"""How often the clock of a quiet DAG is stored: a restart loses at most so much of a stall's time."""


@dataclass
class Memory:
    """The DAGs of one cluster as they were last stored, or seen since without news."""

    store: Store
    cluster: Cluster
    _dags: dict[str, StoredDag] | None = None
    _saved_at: dict[str, datetime] = field(default_factory=dict)

    @property
    def is_lost(self) -> bool:
        """Whether the database must be read again: after a start, or a save that failed."""
        return self._dags is None

    @property
    def stored(self) -> Mapping[str, StoredDag]:
        """The DAGs with their identity in the database, by id."""
        return self._dags or {}

    def lose(self) -> None:
        """Forget all: what is stored is not what was thought."""
        self._dags = None

    async def recall(self) -> None:
        """Read the open DAGs."""
        self._dags = await self.store.read(dag_rows.load_open, self.cluster.id, self.cluster.generation)

    async def tracked(self, snapshots: Sequence[DagSnapshot]) -> dict[str, TrackedDag]:
        """Return what is known of open DAGs, of listed ones (a closed one was retried), of main DAGs."""
        named = {s.id for s in snapshots} | {s.main_dag_id for s in snapshots if s.main_dag_id}
        if unknown := named - self.stored.keys():
            self._add(
                await self.store.read(dag_rows.load_open, self.cluster.id, self.cluster.generation, unknown)
            )
        return {dag_id: stored.tracked for dag_id, stored in self.stored.items()}

    async def moved(self, over: Sequence[DagSnapshot], tracked: Collection[str]) -> dict[str, TrackedDag]:
        """Return what is known of DAGs that had failed, left the list, and ended otherwise since.

        `over` are the summaries of all DAGs that ended; those `tracked` already are not looked at.
        """
        given_up = await self.store.read(dag_rows.load_given_up, self.cluster.id, self.cluster.generation)
        old = {dag_id: stored.tracked for dag_id, stored in given_up.items() if dag_id not in tracked}
        moved = moved_since(old, over)
        self._add({dag_id: given_up[dag_id] for dag_id in moved})
        return {dag_id: old[dag_id] for dag_id in moved}

    async def never_stored(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return those ids, in order and each once, of which nothing was ever stored."""
        if not ids:
            return ()
        stored = await self.store.read(dag_rows.stored_ids, self.cluster.id, self.cluster.generation)
        return tuple(dict.fromkeys(dag_id for dag_id in ids if dag_id not in stored))

    def news(self, observations: Mapping[str, Observation], now: datetime) -> dict[str, Observation]:
        """Return what is to be stored: what moved, and at times the clock of a quiet DAG."""
        return {i: o for i, o in observations.items() if o.moved or self._is_overdue(i, o, now)}

    def saved(self, stored: Mapping[str, StoredDag]) -> None:
        """Take over what was stored."""
        self._add(stored)

    def keep(self, observations: Mapping[str, Observation], news: Collection[str], now: datetime) -> None:
        """Remember a poll of which `news` were stored; closed DAGs are let go."""
        dags = dict(self.stored)
        for dag_id, observation in observations.items():
            if dag_id in news:
                self._saved_at[dag_id] = now
            elif dag_id in dags:
                dags[dag_id] = msgspec.structs.replace(dags[dag_id], tracked=observation.tracked)
        self._dags = {i: stored for i, stored in dags.items() if not stored.tracked.closed}
        self._saved_at = {i: at for i, at in self._saved_at.items() if i in self._dags}

    def look_again_at(self) -> datetime | None:
        """Return when some DAG should be looked at again soon."""
        times = (stored.tracked.look_again_at for stored in self.stored.values())
        return min((at for at in times if at is not None), default=None)

    def _add(self, stored: Mapping[str, StoredDag]) -> None:
        self._dags = {**self.stored, **stored}

    def _is_overdue(self, dag_id: str, observation: Observation, now: datetime) -> bool:
        if observation.tracked.quiet_s == 0:
            return False
        return now - self._saved_at.setdefault(dag_id, now) >= QUIET_SAVE
