"""One answer of a cluster, whole: all its unfinished DAGs against all that is remembered.

Absence proves nothing: a DAG that left the list is `missing` and must be looked up by id before anything is
said about it.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from bot.core.dag import DagSnapshot
from bot.core.events import DagEvent, Digest, DigestLine, Discovered
from bot.core.stall import Policy
from bot.core.tracker import Observation, Sight, TrackedDag, observe

DIGEST_ABOVE = 3


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A list of unfinished DAGs with its circumstances, as in `tracker.Sight`."""

    cluster: str
    snapshots: tuple[DagSnapshot, ...]
    at: datetime
    agent_now: datetime | None = None
    first_poll: bool = False
    fresh: bool = True
    agent_url: str | None = None
    runbook: str | None = None

    def sight(self, snapshot: DagSnapshot, *, listed: bool) -> Sight:
        """Return the look at one DAG."""
        return Sight(
            cluster=self.cluster,
            snapshot=snapshot,
            at=self.at,
            agent_now=self.agent_now,
            listed=listed,
            first_poll=self.first_poll,
            fresh=self.fresh,
            agent_url=self.agent_url,
            runbook=self.runbook,
        )


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer came to: an observation per DAG id, the ids to look up, the digest if there is one."""

    observations: dict[str, Observation]
    missing: tuple[str, ...]
    digest: Digest | None = None


def sweep(tracked: Mapping[str, TrackedDag], answer: Answer, policy: Policy) -> Sweep:
    """Observe every DAG of an answer, and name those that should have been in it."""
    observations = {
        snapshot.id: observe(tracked.get(snapshot.id), answer.sight(snapshot, listed=True), policy)
        for snapshot in answer.snapshots
    }
    missing = tuple(i for i, dag in tracked.items() if i not in observations and not dag.closed)
    discovered = [e for o in observations.values() for e in o.events if isinstance(e, Discovered)]
    if not answer.first_poll or len(discovered) <= DIGEST_ABOVE:
        return Sweep(observations=observations, missing=missing)
    return Sweep(
        observations={i: _without_discovery(o) for i, o in observations.items()},
        missing=missing,
        digest=_digest(answer, discovered),
    )


def _without_discovery(observation: Observation) -> Observation:
    """Leave the discovery to the digest: the root message comes with the DAG's next event."""
    rest: tuple[DagEvent, ...] = tuple(e for e in observation.events if not isinstance(e, Discovered))
    return msgspec.structs.replace(observation, events=rest, changed=bool(rest))


def _digest(answer: Answer, discovered: list[Discovered]) -> Digest:
    lines = tuple(DigestLine(dag=e.dag, state=e.state, operator=e.operator) for e in discovered)
    return Digest(cluster=answer.cluster, episode=0, at=answer.at, lines=lines)
