"""What people must have been told of a simulated cluster, from what it really lived through.

Derived from the cluster's own history of states and lines, not from the script that played: what was asked
for and never happened is not in it. Where a thing is too short to be seen for sure, both answers are right.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from bot.core.dag import Host, Operator, Outcome, State
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.history import Change, Moment, Reachability, Subject, Written
from bot.sandbox.agents.rows import DagRow


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """How closely the clusters were watched; seconds. `since` is when the watching began."""

    since: datetime
    until: datetime
    interval_s: float
    stall_after_s: float
    slack_s: float = 2.5
    """What detection may be late by: a poll, a look at the clock, a slow machine."""
    blind_s: float = 0.0
    """For how long a DAG may have lived before it is first seen: longer than a start of the watcher, if it
    was down at times. A DAG is told as discovered then, without replies for the stages behind it."""


class Between(msgspec.Struct, frozen=True):
    """How often something must have been told: at least and at most."""

    least: int
    most: int

    def holds(self, number: int) -> bool:
        """Return whether a number lies between them."""
        return self.least <= number <= self.most


class LivedStage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that finished, with the lines of the run in which it did: by sub-task, each in order.

    `in_sight` is False if the DAG may not have been seen by then.
    """

    position: int
    name: str
    lines: tuple[tuple[str, ...], ...]
    in_sight: bool = True


class LivedDag(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one DAG. `failures` names the stages at which it failed, in order."""

    id: str
    name: str
    max_stage: int
    stage: int
    stages: tuple[LivedStage, ...]
    failures: tuple[str, ...]
    retries: int
    outcome: Outcome | None
    stalls: Between


class Lived(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one cluster."""

    cluster: str
    dags: tuple[LivedDag, ...]
    outages: Between


def lived(cluster: SimulatedCluster, watch: Watch) -> Lived:
    """Return what a cluster lived through until now."""
    gaps = list(_outages(cluster, watch))
    return Lived(
        cluster=cluster.name,
        dags=tuple(_dag(cluster, dag, watch, gaps) for dag in cluster.engine.store.dags),
        outages=_count([(end - start).total_seconds() for start, end in gaps], 3 * watch.interval_s, watch),
    )


def _dag(
    cluster: SimulatedCluster, dag: DagRow, watch: Watch, outages: Sequence[tuple[datetime, datetime]]
) -> LivedDag:
    moments = [m for m in cluster.history if isinstance(m, Change | Written) and m.dag_id == dag.id]
    states = [m for m in moments if isinstance(m, Change) and m.subject is Subject.DAG]
    failed = [m for m in states if m.state is State.FAILED and m.operator is not Operator.CANCEL]
    return LivedDag(
        id=cluster.spell.generic_id(dag.id),
        name=dag.name,
        max_stage=len(dag.nodes),
        stage=dag.stage,
        stages=tuple(_stages(dag, moments, timedelta(seconds=watch.blind_s))),
        failures=tuple(dag.nodes[m.position - 1].name for m in failed),
        retries=sum(
            before.state is State.FAILED and after.state is State.READY and after.operator is Operator.RUN
            for before, after in pairwise(states)
        ),
        outcome=_outcome(dag),
        stalls=_stalls(dag, moments, watch, outages),
    )


def _stages(dag: DagRow, moments: Sequence[Moment], blind: timedelta) -> Iterator[LivedStage]:
    """Give the stages as they finished, though a rollback may have undone them later."""
    for number, moment in enumerate(moments):
        if not isinstance(moment, Change) or not _finishes(moment, dag):
            continue
        node = dag.nodes[moment.position - 1]
        lines = (_lines(sub_task.id, moments[:number]) for sub_task in node.sub_tasks)
        yield LivedStage(
            position=node.position,
            name=node.name,
            lines=tuple(filter(None, lines)),
            in_sight=moment.at >= moments[0].at + blind,
        )


def _finishes(change: Change, dag: DagRow) -> bool:
    done = change.subject is Subject.NODE and change.state is State.SUCCEED
    skipped_with_the_dag = change.operator is Operator.PASS and dag.operator is Operator.PASS
    return done and change.operator is not Operator.ROLLBACK and not skipped_with_the_dag


def _lines(sub_task: int, moments: Sequence[Moment]) -> tuple[str, ...]:
    """Return the lines that a sub-task wrote since it last failed."""
    lines: list[str] = []
    for moment in moments:
        match moment:
            case Written(sub_task_id=written, text=text) if written == sub_task:
                lines.append(text)
            case Change(subject=Subject.SUB_TASK, row_id=changed, state=State.FAILED) if changed == sub_task:
                lines.clear()
            case _:
                continue
    return tuple(lines)


def _outcome(dag: DagRow) -> Outcome | None:
    endings = {
        (State.SUCCEED, Operator.RUN): Outcome.SUCCEEDED,
        (State.SUCCEED, Operator.ROLLBACK): Outcome.ROLLED_BACK,
        (State.SUCCEED, Operator.PASS): Outcome.PASSED,
        (State.FAILED, Operator.CANCEL): Outcome.CANCELLED,
    }
    return endings.get((dag.state, dag.operator))


def _stalls(
    dag: DagRow, moments: Sequence[Moment], watch: Watch, outages: Sequence[tuple[datetime, datetime]]
) -> Between:
    """Count the silences of a DAG under way; time in which nobody could look does not count."""
    times = [m.at for m in moments]
    if dag.state in {State.READY, State.RUNNING}:
        times.append(watch.until)
    failed = {m.at for m in moments if isinstance(m, Change) and m.subject is Subject.DAG and _rests(m)}
    quiet = [
        (end - start).total_seconds() - _overlap(start, end, outages)
        for start, end in pairwise(times)
        if start not in failed
    ]
    return _count(quiet, watch.stall_after_s, watch)


def _rests(change: Change) -> bool:
    return change.state in {State.FAILED, State.SUCCEED}


def _outages(cluster: SimulatedCluster, watch: Watch) -> Iterator[tuple[datetime, datetime]]:
    """Give the times in which no agent of the cluster answered."""
    away: set[Host] = set()
    agents = {agent.host for agent in cluster.agents}
    start: datetime | None = None
    for moment in cluster.history:
        if not isinstance(moment, Reachability):
            continue
        (away.discard if moment.reachable else away.add)(moment.agent)
        if away == agents and start is None:
            start = moment.at
        elif away != agents and start is not None:
            yield start, moment.at
            start = None
    if start is not None:
        yield start, watch.until


def _overlap(start: datetime, end: datetime, spans: Sequence[tuple[datetime, datetime]]) -> float:
    common = (min(end, e) - max(start, s) for s, e in spans)
    return sum((c for c in common if c > timedelta(0)), timedelta(0)).total_seconds()


def _count(lengths: Sequence[float], limit: float, watch: Watch) -> Between:
    """Count the lengths that are surely, and those that are possibly, beyond a limit."""
    surely = sum(length > limit + watch.slack_s for length in lengths)
    possibly = sum(length > limit - watch.slack_s for length in lengths)
    return Between(surely, possibly)
