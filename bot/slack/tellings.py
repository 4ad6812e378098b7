"""What each event says: a headline and details, as lines.

`telling(event)` knows every kind but `stage_advanced`, whose replies are one per stage (`stage_telling`).
"""

from datetime import datetime
from functools import singledispatch

import msgspec

from bot.core import events as ev
from bot.core.dag import Operator, Outcome
from bot.core.masking import mask
from bot.core.views import ClusterState
from bot.slack import wording as say
from bot.slack.markup import Bold, Code, Line, Link, join

MAX_DIGEST = 20


class Telling(msgspec.Struct, frozen=True):
    """What is said: `headline` also stands in notifications."""

    headline: Line
    details: tuple[Line, ...] = ()


def place(dag: ev.DagRef) -> Line:
    """Return where a DAG stands: `stage 3/9 · Start observer`."""
    name = f" · {dag.stage_name}" if dag.stage_name else ""
    return (f"stage {dag.stage}/{dag.max_stage}{name}",)


def stage_telling(dag: ev.DagRef, report: ev.StageReport) -> Telling:
    """Tell one stage that ended: `✓ Stage 3/9 · Start observer · took 12 s · on 10.0.0.7`."""
    mark = f"{say.report_mark(report)} Stage {report.position}/{dag.max_stage} · "
    notes = "".join(f" · {note}" for note in say.report_notes(report))
    return Telling((mark, Bold(report.name), notes))


@singledispatch
def telling(event: ev.Event) -> Telling:
    """Return what an event says; raises TypeError for a kind that has no words."""
    raise TypeError(f"no words for an event of kind {event.kind}")


@telling.register
def _started(event: ev.Started) -> Telling:
    return Telling(("▶️ ", *_subject(event.dag), " started"), (place(event.dag),))


@telling.register
def _discovered(event: ev.Discovered) -> Telling:
    mood = say.mood(event.state, event.operator)
    line: Line = (f"{mood.icon} ", *_subject(event.dag), f" is {mood.words}, already at ", *place(event.dag))
    return Telling(line)


@telling.register
def _late_lines(event: ev.LateLines) -> Telling:
    lines = say.count(sum(len(log.lines) for log in event.logs), "more log line")
    stage: Line = (f"📜 Stage {event.position}/{event.dag.max_stage} · ", Bold(event.stage_name))
    return Telling((*stage, f" · {lines} that arrived late"))


@telling.register
def _retried(event: ev.Retried) -> Telling:
    without = f" without its stage {event.passed_stage}," if event.passed_stage else ","
    return Telling((
        "🔁 ", *_subject(event.dag), f" was retried{without} attempt {event.dag.run}, at ", *place(event.dag)
    ))  # fmt: skip


@telling.register
def _rollback_started(event: ev.RollbackStarted) -> Telling:
    return Telling(("↩️ ", *_subject(event.dag), " is rolling back, from ", *place(event.dag)))


@telling.register
def _cancelling(event: ev.Cancelling) -> Telling:
    return Telling(("🚫 ", *_subject(event.dag), " is being cancelled at ", *place(event.dag)))


@telling.register
def _stalled(event: ev.Stalled) -> Telling:
    quiet = say.duration(event.quiet_s)
    what = f" stalled: no progress for {quiet} at "
    line: Line = (f"{say.STALLED.icon} ", *_subject(event.dag), what, *place(event.dag))
    return Telling(line, () if event.waiting else (("The agent names no sub-task that is under way.",),))


def waiting_line(evidence: ev.SubTaskEvidence) -> Line:
    """Return what a sub-task of a stalled stage is doing."""
    parts: list[Line] = [
        (Bold(evidence.host or "no host yet"),),
        (say.state_words(evidence.state),),
        ("since ", evidence.since) if evidence.since else (),
        (number,) if (number := say.try_number(evidence.attempt)) else (),
        (Code(evidence.error_code),) if evidence.error_code else (),
        _limit(evidence.limit_left_s),
    ]
    return join(" · ", parts)


def _limit(left_s: float | None) -> Line:
    if left_s is None:
        return ()
    return (
        f"the agent ends it by itself in {say.duration(left_s)}" if left_s > 0 else "past the agent's limit",
    )


@telling.register
def _resumed(event: ev.Resumed) -> Telling:
    quiet = say.duration(event.quiet_s)
    return Telling(("▶️ ", *_subject(event.dag), f" moves again after {quiet}, at ", *place(event.dag)))


@telling.register
def _failed(event: ev.Failed) -> Telling:
    what = ": the ROLLBACK failed at " if event.operator is Operator.ROLLBACK else " failed at "
    line: Line = (
        f"{say.OUTCOMES[Outcome.FAILED].icon} ",
        *_subject(event.dag),
        what,
        *place(event.dag),
    )
    left: tuple[Line, ...] = () if event.listed else (("It has left the agent's list of open tasks.",),)
    return Telling(line, (*left, *_holding(event.holding)))


def _holding(agents: tuple[str, ...]) -> tuple[Line, ...]:
    if not agents:
        return ()
    return ((f"Its sub-tasks on {say.listing(agents)} stay behind and keep the lock of their agent.",),)


@telling.register
def _reminder(event: ev.Reminder) -> Telling:
    waited = say.duration((event.at - event.failed_at).total_seconds())
    headline: Line = ("⏰ ", *_subject(event.dag), f" still waits for an operator after {waited}")
    lock = () if event.holds_lock is None else ((say.LOCK_HELD[event.holds_lock],),)
    where: Line = ("It stopped at ", *place(event.dag), ". Its card in this thread says what to do.")
    return Telling(headline, (where, *lock))


def failure_line(evidence: ev.SubTaskEvidence) -> Line:
    """Return which sub-task failed: host, attempt, error code."""
    code: Line = (" · ", Code(evidence.error_code)) if evidence.error_code else ()
    return (Bold(evidence.host or "no host"), f" · attempt {evidence.attempt}", *code)


def next_steps(event: ev.Failed) -> tuple[Line, ...]:
    """Return what can be done about a failure: commands for a host of the cluster, then links."""
    known = [(op, *say.NEXT_STEPS[op]) for op in event.operators if op in say.NEXT_STEPS]
    commands: list[Line] = [
        (f"• {operator}: ", Code(f"obshell task {word} -i {event.dag.dag_id}"), f" {effect}")
        for operator, word, effect in known
    ]
    look: Line = ("• Look closer: ", Code(f"obshell task show -i {event.dag.dag_id} -d"))
    title: Line = (Bold("What you can do"), " (on a host of the cluster)")
    page = f"{event.agent_url.rstrip('/')}/task/{event.dag.dag_id}" if event.agent_url else ""
    links = join(" · ", [
        (Link(page, "Open in OBShell"),) if page else (),
        (Link(event.runbook, "Runbook"),) if event.runbook else (),
    ])  # fmt: skip
    return (title, *commands, look, *((links,) if links else ()))


@telling.register
def _succeeded(event: ev.Succeeded) -> Telling:
    undone = say.listing(event.undone)
    why = f" a half ROLLBACK undid {undone}, and nothing did it again."
    warning: Line = ("⚠️ ", Bold("Not all of it is in place:"), why)
    return Telling(_ended(event, Outcome.SUCCEEDED), (warning,) if event.undone else ())


@telling.register
def _rolled_back(event: ev.RolledBack) -> Telling:
    return Telling(_ended(event, Outcome.ROLLED_BACK), (("What was asked for did not happen.",),))


@telling.register
def _passed(event: ev.Passed) -> Telling:
    return Telling(_ended(event, Outcome.PASSED), (("Some of its stages never ran.",),))


@telling.register
def _cancelled(event: ev.Cancelled) -> Telling:
    given_up: Line = ("It was given up, which stops nothing on other hosts than the one that leads it.",)
    still: Line = (f"Its work may still go on at {say.listing(event.elsewhere)}.",)
    details = (given_up, *((still,) if event.elsewhere else ()), *_holding(event.holding))
    return Telling(_ended(event, Outcome.CANCELLED), details)


@telling.register
def _forgotten(event: ev.Forgotten) -> Telling:
    reason = event.reason or "The agent says that it has no record of it."
    return Telling(_ended(event, Outcome.FORGOTTEN), ((reason,),))


@telling.register
def _unreachable(event: ev.ClusterUnreachable) -> Telling:
    mood = say.CLUSTERS[ClusterState.UNREACHABLE]
    headline: Line = (f"{mood.icon} ", Bold(event.cluster), f" is {mood.words} since ", event.since)
    asked: Line = (f"Asked: {say.listing(event.agents)}.",) if event.agents else ()
    return _trouble(headline, event.error, asked, _unknown(event.open_dags))


@telling.register
def _degraded(event: ev.ClusterDegraded) -> Telling:
    icon = say.CLUSTERS[ClusterState.DEGRADED].icon
    headline: Line = (f"{icon} ", Bold(event.cluster), " is degraded since ", event.since)
    why: Line = ("Its agents answer, but cannot read its DAGs: the database seems to be down.",)
    local: Line = ("What agents do on their own is read on.",) if event.local else ()
    return _trouble(headline, event.error, why, local, _unknown(event.open_dags))


@telling.register
def _auth_failed(event: ev.AuthFailed) -> Telling:
    icon = say.CLUSTERS[ClusterState.AUTH_FAILED].icon
    headline: Line = (f"{icon} ", Bold(event.cluster), f": {event.agent} refused the password")
    remedy: Line = (
        "Polling has stopped, as each try is a login attempt on the database. Give the new one: ",
        Code(f"obdag clusters set-password {event.cluster}"),
    )
    return _trouble(headline, event.error, remedy)


@telling.register
def _not_cluster_agent(event: ev.NotClusterAgent) -> Telling:
    icon = say.CLUSTERS[ClusterState.NOT_CLUSTER_AGENT].icon
    identity = f" (it says {event.identity})" if event.identity else ""
    headline: Line = (
        f"{icon} ", Bold(event.cluster), f": {event.agent} is not an agent of a running cluster{identity}"
    )  # fmt: skip
    remedy: Line = ("See what it says: ", Code(f"obdag clusters check {event.cluster}"))
    return _trouble(headline, event.error, remedy)


@telling.register
def _recovered(event: ev.ClusterRecovered) -> Telling:
    again = {
        "cluster_unreachable": "its agents answer again",
        "cluster_degraded": "its DAGs can be read again",
        "auth_failed": "the password is accepted again",
        "not_cluster_agent": "its agents are members of a running cluster again",
    }.get(event.was, "all is well again")
    after = say.duration((event.at - event.since).total_seconds())
    return Telling(("🟢 ", Bold(event.cluster), f" recovered: {again} after {after}"))


@telling.register
def _clock_skewed(event: ev.ClockSkewed) -> Telling:
    way = "ahead of" if event.skew_s > 0 else "behind"
    skew = say.duration(abs(event.skew_s))
    headline: Line = ("🕰️ ", Bold(event.cluster), f": the clock of {event.agent} is {skew} {way} ours")
    return Telling(headline, (("Logins may be refused and times look wrong: check NTP on both hosts.",),))


@telling.register
def _digest(event: ev.Digest) -> Telling:
    found = say.count(len(event.lines), "open DAG")
    headline: Line = ("📋 ", Bold(event.cluster), f": {found} at the first look")
    more = len(event.lines) - MAX_DIGEST
    lines = tuple(map(_digest_line, event.lines[:MAX_DIGEST]))
    return Telling(headline, (*lines, (f"… and {more} more",)) if more > 0 else lines)


def _digest_line(line: ev.DigestLine) -> Line:
    mood = say.mood(line.state, line.operator)
    return (f"{mood.icon} ", Bold(line.dag.name), f" {line.dag.dag_id} · {mood.words} · ", *place(line.dag))


def _subject(dag: ev.DagRef) -> Line:
    return (Bold(dag.name), f" on {dag.cluster}")


def _ended(event: ev.Finished, outcome: Outcome) -> Line:
    icon = say.OUTCOMES[outcome].icon
    total = f" after {say.duration(event.total_s)}" if event.total_s is not None else ""
    reached = (
        f" at stage {event.dag.stage}/{event.dag.max_stage}" if outcome is not Outcome.ROLLED_BACK else ""
    )
    return (f"{icon} ", *_subject(event.dag), f" {say.ENDED[outcome]}{total}{reached}")


def _trouble(headline: Line, error: str, *details: Line) -> Telling:
    return Telling(headline, tuple(filter(None, ((mask(error),) if error else (), *details))))


def _unknown(open_dags: tuple[str, ...]) -> Line:
    return (f"How these stand is unknown meanwhile: {say.listing(open_dags)}.",) if open_dags else ()


def away(event: ev.DagEvent) -> Line:
    """Return what was missed while nobody looked, on the first event that tells of it."""
    if event.away_s is None:
        return ()
    happened = "; ".join(say.missed(missed) for missed in event.missed)
    return (f"🕳️ Nobody looked for {say.duration(event.away_s)}. Meanwhile: {happened}.",)


def moment(label: str, at: datetime | None) -> Line:
    """Return a labelled time, or nothing when it is not known."""
    return (f"{label} ", at) if at else ()
