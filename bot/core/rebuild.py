"""Whether the cluster behind an address is another one than before: destroyed, and built anew.

OBShell's task interface has no id of the cluster, and a new one counts its DAGs from 1 again. So a known id
is compared with what was known of it: a DAG never changes its name, its stages or its first start, one that
succeeded never runs again, and a retry keeps no creation time. A new key of an agent proves nothing (an
upgrade changes it); an agent that was alone meanwhile (SINGLE, MASTER) proves it, unless a DAG speaks against
it: an agent can also be taken out of a cluster and back in.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from bot.core.dag import DagSnapshot, State
from bot.core.tracked import TrackedDag
from bot.core.zones import are_two, is_earlier

BUILDING = frozenset({"SINGLE", "MASTER", "FOLLOWER"})
"""Identities of agents whose cluster does not exist (yet)."""
_UNDER_WAY = frozenset({State.READY, State.RUNNING})


def rebuilt(
    tracked: Mapping[str, TrackedDag], seen: Iterable[DagSnapshot], left: str | None = None
) -> str | None:
    """Return the proof that the cluster was rebuilt, in words for people; None if there is none.

    `left` is the identity without a cluster that its agent had since the last good answer.
    """
    known = [(old, new) for new in seen if (old := tracked.get(new.id))]
    for old, new in known:
        if proof := _another(old, new):
            return proof
    if left is not None and not known:
        return f"its agent was no member of a cluster meanwhile ({left})"
    return None


def _another(tracked: TrackedDag, new: DagSnapshot) -> str | None:
    """Return why an id stands for another DAG now, or None if it may be the same."""
    old = tracked.snapshot
    if old.name != new.name:
        return f"DAG {new.id} was {old.name} and is {new.name} now"
    if old.max_stage != new.max_stage or _other_stages(old, new):
        return f"DAG {new.id} has other stages than before"
    if old.state is State.SUCCEED and new.state is not State.SUCCEED:
        return f"DAG {new.id} had ended and runs for the first time now"
    if _created_after(old, new):
        return f"DAG {new.id} had failed and was created after that"
    if _began_again(old, new):
        return f"DAG {new.id} was created and began once more"
    if _starts_earlier(tracked.first_started_at, new.started_at):
        return f"DAG {new.id} began before it was first seen to begin"
    return None


def _other_stages(old: DagSnapshot, new: DagSnapshot) -> bool:
    if old.stages is None or new.stages is None:
        return False
    return [stage.id for stage in old.stages] != [stage.id for stage in new.stages]


def _created_after(old: DagSnapshot, new: DagSnapshot) -> bool:
    """Return whether a first run follows a failure: only first runs carry their creation as their end."""
    if old.state is not State.FAILED or new.state not in _UNDER_WAY:
        return False
    return old.ended_at is not None and new.ended_at is not None and new.ended_at > old.ended_at


def _began_again(old: DagSnapshot, new: DagSnapshot) -> bool:
    """Return whether two looks at a first run show two: neither its creation nor its start moves."""
    if old.state is not State.RUNNING or new.state not in _UNDER_WAY:
        return False
    return are_two(old.ended_at, new.ended_at) and are_two(old.started_at, new.started_at)


def _starts_earlier(first: datetime | None, now: datetime | None) -> bool:
    """Return whether a start moved back, other than by the zone that some agent labels it with."""
    return first is not None and now is not None and is_earlier(now, first)
