"""What is remembered of a DAG, and what one look at it is made of."""

from datetime import datetime, timedelta

import msgspec

from bot.core.dag import DagSnapshot, Outcome
from bot.core.events import DagEvent, DagRef
from bot.core.logs import Known

LAST_LINE_WAIT = timedelta(seconds=1.5)
"""How long a failure waits for its ERROR line, which may be written after the state."""


class TrackedDag(msgspec.Struct, frozen=True, kw_only=True):
    """All that is remembered of one DAG.

    `told` holds the positions of the stages whose replies were made; `known` what sub-tasks had logged before
    their present run; `outcome` the ending that was told of this run, since `outcome_at`; `reminders` how
    often a failure was recalled to people; `quiet_s` the observed seconds without progress. `began_at` is the
    start by our clock, None when the agent's clock gave none. `sub_dags` stands for the last seen state of
    the sub-DAGs.
    """

    run: int
    snapshot: DagSnapshot
    first_seen_at: datetime
    observed_at: datetime
    began_at: datetime | None = None
    first_started_at: datetime | None = None
    listed: bool = True
    told: tuple[int, ...] = ()
    known: Known = Known()
    failure_seen_at: datetime | None = None
    outcome: Outcome | None = None
    outcome_at: datetime | None = None
    reminders: int = 0
    quiet_s: float = 0.0
    stalled: bool = False
    stall_episode: int = 0
    sub_dags: int = 0

    @property
    def closed(self) -> bool:
        """Nothing more is expected: it ended, or it failed and left the list of unfinished DAGs."""
        if self.outcome in {Outcome.FAILED, Outcome.CANCELLED}:
            return not self.listed
        return self.outcome is not None

    @property
    def ending(self) -> Outcome | None:
        """How the DAG ended; None while it is unfinished, and a listed failure is: it waits for somebody."""
        return self.outcome if self.closed else None

    @property
    def look_again_at(self) -> datetime | None:
        """When to look again soon: a failure waits for its last line."""
        if self.failure_seen_at is None or self.outcome is not None:
            return None
        return self.failure_seen_at + LAST_LINE_WAIT


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One look at one DAG.

    `at` is our clock, `agent_now` the agent's. `listed` tells whether it stood in the list of unfinished DAGs
    or was looked up by id. `first_poll` marks the first poll of the cluster; `fresh` that the poll before it
    was recent, so that an unknown DAG is a new one. While `settling`, just after an outage, lines and states
    of that time still come in: ends are not told yet. `sub_dags` are those that work for this DAG.
    """

    cluster: str
    snapshot: DagSnapshot
    at: datetime
    agent_now: datetime | None = None
    listed: bool = True
    first_poll: bool = False
    fresh: bool = True
    settling: bool = False
    sub_dags: tuple[DagSnapshot, ...] = ()
    agent_url: str | None = None
    runbook: str | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What a look came to.

    `changed` says that people's view of the DAG is out of date; `moved` that there is more to store than the
    time of the look.
    """

    tracked: TrackedDag
    events: tuple[DagEvent, ...] = ()
    changed: bool = False
    moved: bool = False


def reference(cluster: str, tracked: TrackedDag) -> DagRef:
    """Return which DAG an event is about, and where it stands."""
    snapshot = tracked.snapshot
    return DagRef(
        cluster=cluster,
        dag_id=snapshot.id,
        name=snapshot.name,
        run=tracked.run,
        stage=snapshot.stage,
        max_stage=snapshot.max_stage,
        stage_name=snapshot.stage_name,
    )
