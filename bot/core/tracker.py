"""The heart: what changed between the stored state of a DAG and what an agent says now.

`observe` is pure. It goes through the rules below in order; each looks at what was known (`before`), refines
what will be stored (`after`) and names the events that are due.

    rule                fires when                                              tells
    ------------------  ------------------------------------------------------  ------------------------------
    first sight         never seen                                              started | discovered
    missed failure      a failure not told yet is over                          failed
    new run             `runs.begins_run`                                       retried | rollback_started
    cancelling          operator → CANCEL                                       cancelling
    overtaken           a failure that was told has become another ending       (the ending is due)
    progress            anything moved                                          resumed, if a stall was told
    late lines          a stage that was told has more lines                    late_lines
    finished stages     stages done that were not told                          stage_advanced
    failure             FAILED by RUN or ROLLBACK, its last line known          failed
    ending              SUCCEED, or FAILED by CANCEL                            succeeded | rolled_back |
                                                                                passed | cancelled
    reminder            FAILED for long, and nobody acted                       reminder
    stall               quiet for longer than normal                            stalled

Re-observing the same answer gives no event, whatever is restarted in between. Just after an outage nothing is
said to have ended (`Sight.settling`): lines and states of that time are still coming in.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from zlib import crc32

import msgspec

from bot.core import evidence, failing, logs
from bot.core.dag import DagSnapshot, Operator, Outcome, State, reading, undone_stages
from bot.core.events import (
    Cancelled,
    Cancelling,
    DagEvent,
    Discovered,
    Forgotten,
    LateLines,
    Missed,
    Passed,
    Resumed,
    Retried,
    RollbackStarted,
    RolledBack,
    StageAdvanced,
    Stalled,
    Started,
    Succeeded,
)
from bot.core.runs import begins_run
from bot.core.stall import Policy, is_stalled, progress, quiet_after, shape
from bot.core.tracked import Observation, Sight, TrackedDag, reference
from bot.core.zones import ZONE_STEP_S

AWAY = timedelta(minutes=5)
"""After so long without a look, what is found is said to be found late."""


class _Step(msgspec.Struct, frozen=True):
    """What a rule looks at."""

    before: TrackedDag
    sight: Sight
    policy: Policy


_Result = tuple[TrackedDag, tuple[DagEvent, ...]]
_Rule = Callable[[_Step, TrackedDag], _Result]


def observe(tracked: TrackedDag | None, sight: Sight, policy: Policy) -> Observation:
    """Return the new state of a DAG and the events due, given what was stored and what is seen now."""
    if tracked is None:
        before, events = _first_sight(sight)
    else:
        before, events = tracked, ()
    step = _Step(before, sight, policy)
    after = msgspec.structs.replace(
        before,
        snapshot=logs.keep_lines(before.snapshot, sight.snapshot),
        observed_at=sight.at,
        listed=sight.listed,
        first_started_at=before.first_started_at or sight.snapshot.started_at,
    )
    for rule in _RULES:
        if sight.settling and rule in _ENDS:
            continue
        after, more = rule(step, after)
        events = (*events, *more)
    seen_shape = shape(after.snapshot)
    return Observation(
        tracked=after,
        events=_said_late(events, before, sight),
        changed=tracked is None or bool(events) or seen_shape != shape(before.snapshot),
        moved=tracked is None or bool(events) or _differs(before, after),
    )


def found_finished(sight: Sight) -> Observation:
    """Return what is kept of a DAG that was over before it was ever seen in a list.

    One that failed is told; what ended otherwise goes into the history alone.
    """
    outcome = reading(sight.snapshot)
    tracked = TrackedDag(
        run=1,
        snapshot=sight.snapshot,
        first_seen_at=sight.at,
        observed_at=sight.at,
        began_at=_began_at(sight),
        first_started_at=sight.snapshot.started_at,
        listed=False,
        told=tuple(stage.position for stage in evidence.finished_stages(sight.snapshot, ())),
        outcome=outcome,
        outcome_at=sight.at,
    )
    failed = outcome is Outcome.FAILED
    events = (failing.card(tracked, sight),) if failed else ()
    return Observation(tracked=tracked, events=events, changed=failed, moved=True)


def forget(tracked: TrackedDag, cluster: str, at: datetime, reason: str) -> Observation:
    """Close a DAG that the agent proves not to know any more."""
    after = msgspec.structs.replace(
        tracked,
        outcome=Outcome.FORGOTTEN,
        outcome_at=at,
        listed=False,
        observed_at=at,
        stalled=False,
        failure_seen_at=None,
    )
    event = Forgotten(dag=reference(cluster, after), at=at, reason=reason)
    return Observation(tracked=after, events=(event,), changed=True, moved=True)


def _first_sight(sight: Sight) -> _Result:
    snapshot = sight.snapshot
    missed = range(1, snapshot.stage) if sight.first_poll else range(0)
    # What was wrong before obdag came is part of the discovery, no news of its own.
    outcome = reading(snapshot) if sight.first_poll else None
    tracked = TrackedDag(
        run=1,
        snapshot=snapshot,
        first_seen_at=sight.at,
        observed_at=sight.at,
        began_at=_began_at(sight),
        listed=sight.listed,
        told=tuple(missed),
        outcome=outcome,
        outcome_at=sight.at if outcome else None,
    )
    ref = reference(sight.cluster, tracked)
    if sight.first_poll or snapshot.stage > 1 or snapshot.operator is not Operator.RUN:
        discovered = Discovered(dag=ref, at=sight.at, state=snapshot.state, operator=snapshot.operator)
        return tracked, (discovered,)
    return tracked, (Started(dag=ref, at=sight.at),)


def _missed_failure(step: _Step, after: TrackedDag) -> _Result:
    return _one(failing.missed(step.before, after, step.sight))


def _new_run(step: _Step, after: TrackedDag) -> _Result:
    old, new = step.before.snapshot, after.snapshot
    if not begins_run(old, new):
        return after, ()
    undoing = new.operator is Operator.ROLLBACK
    after = msgspec.structs.replace(
        after,
        run=after.run + 1,
        told=() if undoing else after.told,
        known=logs.known_before(old, after.known, everything=undoing),
        failure_seen_at=None,
        outcome=None,
        outcome_at=None,
        reminders=0,
    )
    ref = reference(step.sight.cluster, after)
    if undoing:
        return after, (RollbackStarted(dag=ref, at=step.sight.at),)
    return after, (Retried(dag=ref, at=step.sight.at, passed_stage=_passed_stage(old, new)),)


def _cancelling(step: _Step, after: TrackedDag) -> _Result:
    old, new = step.before.snapshot, after.snapshot
    asked = new.operator is Operator.CANCEL and new.state is not State.FAILED
    if not asked or (old.operator is Operator.CANCEL and old.state is not State.FAILED):
        return after, ()
    return after, (Cancelling(dag=reference(step.sight.cluster, after), at=step.sight.at),)


def _overtaken(step: _Step, after: TrackedDag) -> _Result:
    """Take back a failure that has become another ending, also where that must not be told yet.

    A PASS of a failed DAG begins no run, and the DAG leaves the list with it: it would count as closed.
    """
    if after.outcome is not Outcome.FAILED or reading(step.sight.snapshot) in {None, Outcome.FAILED}:
        return after, ()
    return msgspec.structs.replace(after, outcome=None, outcome_at=None), ()


def _progress(step: _Step, after: TrackedDag) -> _Result:
    before, at = step.before, step.sight.at
    after = msgspec.structs.replace(after, sub_dags=_state_of(step.sight.sub_dags))
    quiet = quiet_after(before.quiet_s, before.observed_at, at, step.policy)
    if progress(before.snapshot) == progress(after.snapshot) and before.sub_dags == after.sub_dags:
        return msgspec.structs.replace(after, quiet_s=quiet), ()
    after = msgspec.structs.replace(after, quiet_s=0.0, stalled=False)
    # Whoever failed or was taken in hand by an operator has not "resumed": the other event says more.
    same_hands = before.snapshot.operator is after.snapshot.operator and after.run == before.run
    if not before.stalled or not same_hands or after.snapshot.state is State.FAILED:
        return after, ()
    ref = reference(step.sight.cluster, after)
    return after, (Resumed(dag=ref, at=at, episode=before.stall_episode, quiet_s=quiet),)


def _late_lines(step: _Step, after: TrackedDag) -> _Result:
    """Tell what a stage logged that was told before: only stages told of this run and still done count."""
    if after.run != step.before.run:
        return after, ()
    found = []
    for stage in after.snapshot.stages or ():
        old = step.before.snapshot.stage_at(stage.position)
        late = logs.late_lines(old, stage) if stage.position in after.told else ()
        if late and old is not None and old.state is State.SUCCEED:
            event = LateLines(
                dag=reference(step.sight.cluster, after),
                at=step.sight.at,
                position=stage.position,
                stage_name=stage.name,
                known=sum(len(task.lines or ()) for task in old.sub_tasks),
                logs=late,
            )
            found.append(event)
    return after, tuple(found)


def _finished_stages(step: _Step, after: TrackedDag) -> _Result:
    done = evidence.finished_stages(after.snapshot, after.told)
    if not done:
        return after, ()
    reports = tuple(evidence.report(stage, after.known) for stage in done)
    after = msgspec.structs.replace(after, told=tuple(sorted({*after.told, *(s.position for s in done)})))
    return after, (
        StageAdvanced(dag=reference(step.sight.cluster, after), at=step.sight.at, finished=reports),
    )


def _failure(step: _Step, after: TrackedDag) -> _Result:
    return _one(failing.failure(after, step.sight))


def _ending(step: _Step, after: TrackedDag) -> _Result:
    outcome = reading(after.snapshot)
    if outcome in {None, Outcome.FAILED} or after.outcome is outcome:
        return after, ()
    after = msgspec.structs.replace(after, outcome=outcome, outcome_at=step.sight.at, stalled=False)
    ref, at, total = reference(step.sight.cluster, after), step.sight.at, _total_s(after, step.sight)
    event: DagEvent
    match outcome:
        case Outcome.ROLLED_BACK:
            event = RolledBack(dag=ref, at=at, total_s=total)
        case Outcome.PASSED:
            event = Passed(dag=ref, at=at, total_s=total)
        case Outcome.CANCELLED:
            elsewhere, holding = _given_up(after.snapshot), failing.holding(step.sight)
            event = Cancelled(dag=ref, at=at, total_s=total, elsewhere=elsewhere, holding=holding)
        case _:
            event = Succeeded(dag=ref, at=at, total_s=total, undone=undone_stages(after.snapshot))
    return after, (event,)


def _reminder(step: _Step, after: TrackedDag) -> _Result:
    return _one(failing.reminder(after, step.sight))


def _stall(step: _Step, after: TrackedDag) -> _Result:
    if after.stalled or not is_stalled(after.snapshot, after.quiet_s, step.policy):
        return after, ()
    after = msgspec.structs.replace(after, stalled=True, stall_episode=after.stall_episode + 1)
    agent_now = step.sight.agent_now or step.sight.at
    event = Stalled(
        dag=reference(step.sight.cluster, after),
        at=step.sight.at,
        episode=after.stall_episode,
        quiet_s=after.quiet_s,
        waiting=evidence.waiting(after.snapshot, after.known, agent_now),
    )
    return after, (event,)


_RULES: tuple[_Rule, ...] = (
    _missed_failure,
    _new_run,
    _cancelling,
    _overtaken,
    _progress,
    _late_lines,
    _finished_stages,
    _failure,
    _ending,
    _reminder,
    _stall,
)
_ENDS: frozenset[_Rule] = frozenset({_finished_stages, _failure, _ending})


def _one(result: tuple[TrackedDag, DagEvent | None]) -> _Result:
    after, event = result
    return after, ((event,) if event else ())


def _said_late(events: tuple[DagEvent, ...], before: TrackedDag, sight: Sight) -> tuple[DagEvent, ...]:
    """Let the first event name everything that was missed while nobody looked."""
    away = sight.at - before.observed_at
    if not events or away < AWAY:
        return events
    missed = tuple(Missed(kind=e.kind, stages=_stages_in(e)) for e in events)
    first = msgspec.structs.replace(events[0], away_s=away.total_seconds(), missed=missed)
    return (first, *events[1:])


def _stages_in(event: DagEvent) -> tuple[int, ...]:
    return tuple(report.position for report in event.finished) if isinstance(event, StageAdvanced) else ()


def _state_of(sub_dags: tuple[DagSnapshot, ...]) -> int:
    """Return a number that changes whenever one of the sub-DAGs makes progress."""
    seen = sorted((sub.id, progress(sub)) for sub in sub_dags)
    return crc32(repr(seen).encode()) if seen else 0


def _passed_stage(old: DagSnapshot, new: DagSnapshot) -> str | None:
    stage = new.stage_at(old.stage)
    return stage.name if stage and stage.operator is Operator.PASS else None


def _given_up(snapshot: DagSnapshot) -> tuple[str, ...]:
    """Return the hosts of cancelled sub-tasks: their work may go on (recording `cancelled`).

    CANCEL stops only what runs on the coordinating agent, and nothing tells which one that is.
    """
    stage = snapshot.current
    tasks = stage.sub_tasks if stage else ()
    return tuple(sorted({str(t.host) for t in tasks if t.host and t.attempts and t.state is State.FAILED}))


def _total_s(tracked: TrackedDag, sight: Sight) -> float | None:
    start, end = tracked.first_started_at, tracked.snapshot.ended_at
    if start is not None and end is not None and end >= start:
        return (end - start).total_seconds()
    began = tracked.began_at or tracked.first_seen_at
    return max(0.0, (sight.at - began).total_seconds())


def _began_at(sight: Sight) -> datetime | None:
    """Return the start by our clock: the agent labels the database's wall time with its own zone."""
    if sight.snapshot.started_at is None:
        return None
    elapsed = ((sight.agent_now or sight.at) - sight.snapshot.started_at).total_seconds()
    if sight.fresh and not sight.first_poll:
        elapsed = max(0.0, elapsed - round(elapsed / ZONE_STEP_S) * ZONE_STEP_S)
    return sight.at - timedelta(seconds=elapsed) if elapsed >= 0 else None


def _differs(before: TrackedDag, after: TrackedDag) -> bool:
    """Return whether more changed than the time of the look."""
    return (
        before.snapshot != after.snapshot
        or before.listed != after.listed
        or before.outcome != after.outcome
        or before.failure_seen_at != after.failure_seen_at
    )
