"""When a new run of a DAG begins.

A run is obdag's own counter: the agent has none, and resets `start_time` with every operator.

    FAILED → anything else (but a PASS, which only closes)      a retry, a rollback, or a passed stage
    FAILED → FAILED with another end                            it was retried between two looks
    operator → ROLLBACK                                         the undo is a run of its own
    CANCEL or ROLLBACK → RUN                                    retried, the failure in between was missed
    under way → under way without an end                        the same: first runs carry their creation as
                                                                end, later ones none
"""

from bot.core.dag import DagSnapshot, Operator, State
from bot.core.zones import are_two

_UNDER_WAY = {State.READY, State.RUNNING}


def begins_run(old: DagSnapshot, new: DagSnapshot) -> bool:
    """Return whether `new` shows another run than `old`."""
    if new.operator is Operator.PASS:
        return False
    if old.state is State.FAILED:
        return new.state is not State.FAILED or _ended_again(old, new)
    if new.operator is Operator.ROLLBACK:
        return old.operator is not Operator.ROLLBACK
    return new.operator is Operator.RUN and (old.operator is not Operator.RUN or _missed_retry(old, new))


def _ended_again(old: DagSnapshot, new: DagSnapshot) -> bool:
    return are_two(old.ended_at, new.ended_at)


def _missed_retry(old: DagSnapshot, new: DagSnapshot) -> bool:
    both_under_way = old.state in _UNDER_WAY and new.state in _UNDER_WAY
    return both_under_way and old.ended_at is not None and new.ended_at is None
