"""Whether a DAG has stopped moving.

The clock of a stall counts only time in which the cluster was observed: a gap between two looks that is
longer than the policy allows adds nothing, because nobody knows what happened in it.
"""

from datetime import datetime

import msgspec

from bot.core.catalogue import stall_time
from bot.core.dag import DagSnapshot, State

Progress = tuple[object, ...]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How patient to be, in seconds. `max_gap_s` is the longest time between two looks that counts."""

    stall_after_s: float = 600.0
    max_gap_s: float = 30.0


def progress(snapshot: DagSnapshot) -> Progress:
    """Return a value that changes whenever the DAG makes progress of any kind."""
    return (*shape(snapshot), *(len(t.lines or ()) for s in snapshot.stages or () for t in s.sub_tasks))


def shape(snapshot: DagSnapshot) -> Progress:
    """Return what people see of a DAG: the states of everything, without the log lines."""
    return (
        snapshot.state,
        snapshot.operator,
        snapshot.stage,
        *((s.state, s.operator) for s in snapshot.stages or ()),
        *((t.state, t.operator, t.attempts, t.host) for s in snapshot.stages or () for t in s.sub_tasks),
    )


def quiet_after(quiet_s: float, last_look: datetime, now: datetime, policy: Policy) -> float:
    """Return the observed seconds without progress, one look later."""
    gap = max(0.0, (now - last_look).total_seconds())
    return quiet_s + gap if gap <= policy.max_gap_s else quiet_s


def is_stalled(snapshot: DagSnapshot, quiet_s: float, policy: Policy) -> bool:
    """Return whether a DAG under way has been quiet for longer than its stage usually is."""
    if snapshot.state in {State.FAILED, State.SUCCEED}:
        return False
    return quiet_s >= stall_time(snapshot.stage_name, policy.stall_after_s)
