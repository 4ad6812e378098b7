"""The heart: what changed between the stored state of a DAG and what an agent says now.

`observe` is pure. It goes through the rules below in order; each looks at what was known (`before`), refines
what will be stored (`after`) and names the events that are due.

    rule                fires when                                              tells
    ------------------  ------------------------------------------------------  ------------------------------
    first sight         never seen                                              started | discovered
    missed failure      a failure not told yet is over                          failed
    new run             `runs.begins_run`                                       retried | rollback_started
    cancelling          operator → CANCEL                                       cancelling
    progress            anything moved                                          resumed, if a stall was told
    finished stages     stages done that were not told                          stage_advanced
    failure             FAILED by RUN or ROLLBACK, its last line known          failed
    ending              SUCCEED, or FAILED by CANCEL                            succeeded | rolled_back |
                                                                                passed | cancelled
    stall               quiet for longer than normal                            stalled

Re-observing the same answer gives no event, whatever is restarted in between.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from bot.core import evidence, logs
from bot.core.catalogue import holds_lock, operators_after_failure
from bot.core.dag import DagSnapshot, Operator, Outcome, State, reading, undone_stages
from bot.core.events import (
    Cancelled,
    Cancelling,
    DagEvent,
    DagRef,
    Discovered,
    Failed,
    Forgotten,
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

LAST_LINE_WAIT = timedelta(seconds=1.5)
"""How long a failure waits for its ERROR line, which may be written after the state."""

ZONE_STEP_S = 900.0
"""Time zones differ by multiples of a quarter of an hour."""


class TrackedDag(msgspec.Struct, frozen=True, kw_only=True):
    """All that is remembered of one DAG.

    `told` holds the positions of the stages whose replies were made; `known_lines` the lines of sub-tasks
    before their present attempt; `outcome` the ending that was told of this run; `quiet_s` the observed
    seconds without progress. `began_at` is the start by our clock, None when the agent's clock gave none.
    """

    run: int
    snapshot: DagSnapshot
    first_seen_at: datetime
    observed_at: datetime
    began_at: datetime | None = None
    first_started_at: datetime | None = None
    listed: bool = True
    told: tuple[int, ...] = ()
    known_lines: dict[str, tuple[str, ...]] = {}
    failure_seen_at: datetime | None = None
    outcome: Outcome | None = None
    quiet_s: float = 0.0
    stalled: bool = False
    stall_episode: int = 0

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
    was recent, so that an unknown DAG is a new one.
    """

    cluster: str
    snapshot: DagSnapshot
    at: datetime
    agent_now: datetime | None = None
    listed: bool = True
    first_poll: bool = False
    fresh: bool = True
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
        after, more = rule(step, after)
        events = (*events, *more)
    seen_shape = shape(after.snapshot)
    return Observation(
        tracked=after,
        events=events,
        changed=tracked is None or bool(events) or seen_shape != shape(before.snapshot),
        moved=tracked is None or bool(events) or _differs(before, after),
    )


def forget(tracked: TrackedDag, cluster: str, at: datetime, reason: str) -> Observation:
    """Close a DAG that the agent proves not to know any more."""
    after = msgspec.structs.replace(
        tracked, outcome=Outcome.FORGOTTEN, listed=False, observed_at=at, stalled=False, failure_seen_at=None
    )
    event = Forgotten(dag=_ref(cluster, after), at=at, reason=reason)
    return Observation(tracked=after, events=(event,), changed=True, moved=True)


def _first_sight(sight: Sight) -> _Result:
    snapshot = sight.snapshot
    missed = range(1, snapshot.stage) if sight.first_poll else range(0)
    tracked = TrackedDag(
        run=1,
        snapshot=snapshot,
        first_seen_at=sight.at,
        observed_at=sight.at,
        began_at=_began_at(sight),
        listed=sight.listed,
        told=tuple(missed),
        # What was wrong before obdag came is part of the discovery, no news of its own.
        outcome=reading(snapshot) if sight.first_poll else None,
    )
    ref = _ref(sight.cluster, tracked)
    if sight.first_poll or snapshot.stage > 1 or snapshot.operator is not Operator.RUN:
        discovered = Discovered(dag=ref, at=sight.at, state=snapshot.state, operator=snapshot.operator)
        return tracked, (discovered,)
    return tracked, (Started(dag=ref, at=sight.at),)


def _missed_failure(step: _Step, after: TrackedDag) -> _Result:
    before = step.before
    pending = before.failure_seen_at is not None and before.outcome is None
    if not pending or not _left_failure(before.snapshot, after.snapshot):
        return after, ()
    return msgspec.structs.replace(after, failure_seen_at=None), (_failed(step, before),)


def _new_run(step: _Step, after: TrackedDag) -> _Result:
    old, new = step.before.snapshot, after.snapshot
    if not begins_run(old, new):
        return after, ()
    undoing = new.operator is Operator.ROLLBACK
    after = msgspec.structs.replace(
        after,
        run=after.run + 1,
        told=() if undoing else after.told,
        known_lines=logs.known_before(old, after.known_lines, everything=undoing),
        failure_seen_at=None,
        outcome=None,
    )
    ref = _ref(step.sight.cluster, after)
    if undoing:
        return after, (RollbackStarted(dag=ref, at=step.sight.at),)
    return after, (Retried(dag=ref, at=step.sight.at, passed_stage=_passed_stage(old, new)),)


def _cancelling(step: _Step, after: TrackedDag) -> _Result:
    old, new = step.before.snapshot, after.snapshot
    asked = new.operator is Operator.CANCEL and new.state is not State.FAILED
    if not asked or (old.operator is Operator.CANCEL and old.state is not State.FAILED):
        return after, ()
    return after, (Cancelling(dag=_ref(step.sight.cluster, after), at=step.sight.at),)


def _progress(step: _Step, after: TrackedDag) -> _Result:
    before, at = step.before, step.sight.at
    if progress(before.snapshot) == progress(after.snapshot):
        quiet = quiet_after(before.quiet_s, before.observed_at, at, step.policy)
        return msgspec.structs.replace(after, quiet_s=quiet), ()
    after = msgspec.structs.replace(after, quiet_s=0.0, stalled=False)
    # Whoever failed or was taken in hand by an operator has not "resumed": the other event says more.
    same_hands = before.snapshot.operator is after.snapshot.operator and after.run == before.run
    if not before.stalled or not same_hands or after.snapshot.state is State.FAILED:
        return after, ()
    quiet = quiet_after(before.quiet_s, before.observed_at, at, step.policy)
    ref = _ref(step.sight.cluster, after)
    return after, (Resumed(dag=ref, at=at, episode=before.stall_episode, quiet_s=quiet),)


def _finished_stages(step: _Step, after: TrackedDag) -> _Result:
    done = evidence.finished_stages(after.snapshot, after.told)
    if not done:
        return after, ()
    reports = tuple(evidence.report(stage, after.known_lines) for stage in done)
    after = msgspec.structs.replace(after, told=tuple(sorted({*after.told, *(s.position for s in done)})))
    return after, (StageAdvanced(dag=_ref(step.sight.cluster, after), at=step.sight.at, finished=reports),)


def _failure(step: _Step, after: TrackedDag) -> _Result:
    if reading(after.snapshot) is not Outcome.FAILED or after.outcome is not None:
        return after, ()
    seen_at = after.failure_seen_at or step.sight.at
    after = msgspec.structs.replace(after, failure_seen_at=seen_at)
    if not _last_line_known(after) and step.sight.at - seen_at < LAST_LINE_WAIT:
        return after, ()
    event = _failed(step, after)
    return msgspec.structs.replace(after, outcome=Outcome.FAILED, failure_seen_at=None), (event,)


def _ending(step: _Step, after: TrackedDag) -> _Result:
    outcome = reading(after.snapshot)
    if outcome in {None, Outcome.FAILED} or after.outcome is outcome:
        return after, ()
    after = msgspec.structs.replace(after, outcome=outcome, stalled=False)
    ref, at, total = _ref(step.sight.cluster, after), step.sight.at, _total_s(after, step.sight)
    event: DagEvent
    match outcome:
        case Outcome.ROLLED_BACK:
            event = RolledBack(dag=ref, at=at, total_s=total)
        case Outcome.PASSED:
            event = Passed(dag=ref, at=at, total_s=total)
        case Outcome.CANCELLED:
            event = Cancelled(dag=ref, at=at, total_s=total, elsewhere=_given_up(after.snapshot))
        case _:
            event = Succeeded(dag=ref, at=at, total_s=total, undone=undone_stages(after.snapshot))
    return after, (event,)


def _stall(step: _Step, after: TrackedDag) -> _Result:
    if after.stalled or not is_stalled(after.snapshot, after.quiet_s, step.policy):
        return after, ()
    after = msgspec.structs.replace(after, stalled=True, stall_episode=after.stall_episode + 1)
    agent_now = step.sight.agent_now or step.sight.at
    event = Stalled(
        dag=_ref(step.sight.cluster, after),
        at=step.sight.at,
        episode=after.stall_episode,
        quiet_s=after.quiet_s,
        waiting=evidence.waiting(after.snapshot, after.known_lines, agent_now),
    )
    return after, (event,)


_RULES: tuple[_Rule, ...] = (
    _missed_failure,
    _new_run,
    _cancelling,
    _progress,
    _finished_stages,
    _failure,
    _ending,
    _stall,
)


def _ref(cluster: str, tracked: TrackedDag) -> DagRef:
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


def _failed(step: _Step, tracked: TrackedDag) -> Failed:
    snapshot = tracked.snapshot
    return Failed(
        dag=_ref(step.sight.cluster, tracked),
        at=step.sight.at,
        operator=snapshot.operator,
        ended_at=snapshot.ended_at,
        failures=evidence.failures(snapshot, tracked.known_lines),
        operators=operators_after_failure(snapshot),
        holds_lock=holds_lock(snapshot),
        listed=tracked.listed,
        agent_url=step.sight.agent_url,
        runbook=step.sight.runbook,
    )


def _left_failure(old: DagSnapshot, new: DagSnapshot) -> bool:
    return new.operator is Operator.PASS or begins_run(old, new)


def _last_line_known(tracked: TrackedDag) -> bool:
    found = evidence.failures(tracked.snapshot, tracked.known_lines)
    return bool(found) and all(failure.error_code is not None for failure in found)


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
