"""One of everything that is said in a channel or thread, as values: the ground of the golden files."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.core import events as ev
from bot.core.dag import DagSnapshot, Host, Operator, Outcome, Stage, State, SubTask
from bot.core.parts import parts
from bot.core.views import ClusterState, ClusterView, DagView
from bot.slack import replies
from bot.slack.blocks import Message
from bot.slack.commands import LATER, Unavailable, Unknown
from bot.slack.messages import Layout, reply, root

T0 = datetime(2026, 5, 9, 3, 4, 5, tzinfo=UTC)
NAMES = (
    "Check before scale out", "Pull package", "Create observer dirs", "Start observer",
    "Wait scale out ready", "Add server", "Wait unit ready", "Update agent", "Finish scale out",
)  # fmt: skip
HOSTS = (Host("10.0.0.7", 2886), Host("10.0.0.8", 2886), Host("10.0.0.9", 2886))


def at(seconds: float) -> datetime:
    """Return the instant some seconds into the story."""
    return T0 + timedelta(seconds=seconds)


def stage(position: int, state: State, operator: Operator = Operator.RUN, hosts: int = 1) -> Stage:
    """Return a stage that took 12 s per position."""
    started = at(12.0 * position) if state not in {State.PENDING, State.READY} else None
    ended = at(12.0 * position + 12) if state in {State.SUCCEED, State.FAILED} else None
    tasks = tuple(
        SubTask(
            id=f"1{position}{index}",
            name=NAMES[position - 1],
            state=State.SUCCEED if index and state is State.RUNNING else state,
            started_at=started,
            ended_at=ended,
            attempts=3 if operator is Operator.RETRY else 1,
            host=HOSTS[index],
        )
        for index in range(hosts)
    )
    return Stage(
        position=position,
        id=str(position),
        name=NAMES[position - 1],
        state=state,
        operator=operator,
        started_at=started,
        ended_at=ended,
        sub_tasks=tasks,
    )


def snapshot(
    current: int,
    state: State = State.RUNNING,
    operator: Operator = Operator.RUN,
    *,
    now: Stage | None = None,
    after: Operator = Operator.RUN,
    later: State = State.PENDING,
) -> DagSnapshot:
    """Return the nine-stage scale out at a stage; `after` and `later` say how the stages behind it are."""
    stages = tuple(
        stage(p, State.SUCCEED)
        if p < current
        else (now or stage(p, state, hosts=3))
        if p == current
        else stage(p, later, after)
        for p in range(1, 10)
    )
    return DagSnapshot(
        id="1123",
        name="Cluster scale out",
        stage=current,
        max_stage=9,
        state=state,
        operator=operator,
        started_at=T0,
        stages=stages,
    )


def view(shot: DagSnapshot, **more: object) -> DagView:
    """Return how the scale out was last seen."""
    facts: dict[str, object] = {
        "cluster": "ob-prod",
        "run": 1,
        "first_seen_at": at(1),
        "checked_at": at(60),
        "elapsed_s": 60.0,
    }
    return DagView(snapshot=shot, **(facts | more))  # type: ignore[arg-type]


def ref(current: int = 4, run: int = 1) -> ev.DagRef:
    """Return which DAG it is, and where it stands."""
    return ev.DagRef(
        cluster="ob-prod",
        dag_id="1123",
        name="Cluster scale out",
        run=run,
        stage=current,
        max_stage=9,
        stage_name=NAMES[current - 1],
    )


def report(
    position: int, operator: Operator = Operator.RUN, attempts: int = 1, lines: int = 2
) -> ev.StageReport:
    """Return a stage that ended on two hosts."""
    logs = tuple(
        ev.HostLines(
            host=str(host), lines=tuple(f"{host.ip}: step {n} of {lines} <ok> & *bold*" for n in range(lines))
        )
        for host in HOSTS[:2]
    )
    return ev.StageReport(
        position=position,
        name=NAMES[position - 1],
        operator=operator,
        duration_s=72.4,
        hosts=tuple(h.ip for h in HOSTS[:2]),
        logs=logs,
        attempts=attempts,
    )


FAILURE = ev.SubTaskEvidence(
    host="10.0.0.8:2886",
    state=State.FAILED,
    attempt=2,
    since=at(48),
    error_code="OB.Server.Start.Failed",
    last_lines=(
        "start observer",
        "ALTER USER root IDENTIFIED BY 'hunter2'",
        "ERROR: [OB.Server.Start.Failed]: observer exited with status 1 <see /var/log>",
    ),
)
FAILED = ev.Failed(
    at=at(60),
    dag=ref(),
    ended_at=at(59),
    failures=(FAILURE,),
    operators=("RETRY", "ROLLBACK", "PASS"),
    holds_lock=True,
    agent_url="http://10.0.0.7:2886",
    runbook="https://wiki.example.com/runbooks/scale-out?a=1&b=2",
)

SUCCEEDED = ev.Succeeded(at=at(723), dag=ref(9), total_s=723.0)

ROOTS: dict[str, DagView] = {
    "ready": view(snapshot(1, State.READY), elapsed_s=0.0),
    "running": view(snapshot(4), eta_s=200.0, usual_s=260.0),
    "attempt-2": view(snapshot(4, now=stage(4, State.RUNNING, Operator.RETRY, hosts=3)), run=2),
    "stalled": view(snapshot(4), stalled=True, quiet_s=612.0),
    "rolling-back": view(
        snapshot(3, operator=Operator.ROLLBACK, now=stage(3, State.RUNNING, Operator.ROLLBACK)), run=2
    ),
    "cancelling": view(snapshot(4, operator=Operator.CANCEL)),
    "unknown-since": view(snapshot(4), unknown_since=at(30)),
    "failed": view(snapshot(4, State.FAILED), outcome=Outcome.FAILED),
    "succeeded": view(snapshot(9, State.SUCCEED), outcome=Outcome.SUCCEEDED, elapsed_s=723.0),
    "rolled-back": view(
        snapshot(
            1,
            State.SUCCEED,
            Operator.ROLLBACK,
            now=stage(1, State.SUCCEED, Operator.ROLLBACK),
            after=Operator.ROLLBACK,
        ),
        outcome=Outcome.ROLLED_BACK,
        run=2,
    ),
    "passed": view(
        snapshot(
            4,
            State.SUCCEED,
            Operator.PASS,
            now=stage(4, State.SUCCEED, Operator.PASS),
            after=Operator.PASS,
            later=State.SUCCEED,
        ),
        outcome=Outcome.PASSED,
    ),
    "cancelled": view(snapshot(4, State.FAILED, Operator.CANCEL), outcome=Outcome.CANCELLED),
    "forgotten": view(snapshot(4), outcome=Outcome.FORGOTTEN),
    "without-stages": view(
        DagSnapshot(id="7", name="Backup", stage=2, max_stage=3, state=State.RUNNING, operator=Operator.RUN)
    ),
}

EVENTS: dict[str, ev.Event] = {
    "started": ev.Started(at=at(1), dag=ref(1)),
    "discovered": ev.Discovered(at=at(1), dag=ref(4)),
    "stage_advanced": ev.StageAdvanced(at=at(60), dag=ref(5), finished=(report(3), report(4, attempts=2))),
    "stage_advanced-long": ev.StageAdvanced(at=at(60), dag=ref(5), finished=(report(4, lines=200),)),
    "stage_advanced-undone": ev.StageAdvanced(
        at=at(60), dag=ref(3), finished=(report(4, Operator.ROLLBACK), report(3, Operator.PASS))
    ),
    "retried": ev.Retried(at=at(60), dag=ref(run=2)),
    "retried-without-a-stage": ev.Retried(at=at(60), dag=ref(5, run=2), passed_stage=NAMES[3]),
    "rollback_started": ev.RollbackStarted(at=at(60), dag=ref(run=2)),
    "cancelling": ev.Cancelling(at=at(60), dag=ref()),
    "stalled": ev.Stalled(
        at=at(660),
        dag=ref(),
        episode=1,
        quiet_s=612.0,
        waiting=(
            ev.SubTaskEvidence(
                host="10.0.0.8:2886",
                state=State.RUNNING,
                attempt=1,
                since=at(48),
                last_lines=("wait observer ready", "wait observer ready"),
                limit_left_s=2952.0,
            ),
        ),
    ),
    "resumed": ev.Resumed(at=at(700), dag=ref(), episode=1, quiet_s=652.0),
    "failed": FAILED,
    "failed-rolling-back": ev.Failed(at=at(60), dag=ref(), operator=Operator.ROLLBACK, holds_lock=False),
    "failed-off-the-list": ev.Failed(at=at(60), dag=ref(), failures=(FAILURE,) * 5, listed=False),
    "failed-agents-left": ev.Failed(
        at=at(60), dag=ref(), failures=(FAILURE,), listed=False, holding=("10.0.0.8:2886",)
    ),
    "reminder": ev.Reminder(at=at(1860), dag=ref(), number=1, failed_at=at(60), holds_lock=True),
    "late_lines": ev.LateLines(
        at=at(70),
        dag=ref(),
        position=3,
        stage_name=NAMES[2],
        known=4,
        logs=(ev.HostLines(host="10.0.0.8:2886", lines=("observer is up", "zone is active")),),
    ),
    "succeeded-while-away": ev.Succeeded(
        at=at(12_000),
        dag=ref(9),
        total_s=723.0,
        away_s=11_520.0,
        missed=(
            ev.Missed(kind="retried"),
            ev.Missed(kind="stage_advanced", stages=(3, 4, 5)),
            ev.Missed(kind="succeeded"),
        ),
    ),
    "succeeded": SUCCEEDED,
    "succeeded-half": ev.Succeeded(at=at(723), dag=ref(9), total_s=723.0, undone=NAMES[1:3]),
    "rolled_back": ev.RolledBack(at=at(723), dag=ref(1, run=2), total_s=723.0),
    "passed": ev.Passed(at=at(723), dag=ref(4), total_s=723.0),
    "cancelled": ev.Cancelled(at=at(723), dag=ref(4), total_s=723.0),
    "cancelled-elsewhere": ev.Cancelled(at=at(723), dag=ref(4), elsewhere=("10.0.0.8:2886",)),
    "cancelled-agents-left": ev.Cancelled(at=at(723), dag=ref(4), holding=("10.0.0.8:2886",)),
    "forgotten": ev.Forgotten(at=at(723), dag=ref(4), reason="The cluster was built anew."),
    "cluster_unreachable": ev.ClusterUnreachable(
        at=at(30),
        cluster="ob-prod",
        episode=1,
        since=at(0),
        error="connection refused",
        agents=("10.0.0.7:2886", "10.0.0.8:2886"),
        open_dags=("Cluster scale out 1123",),
    ),
    "cluster_degraded": ev.ClusterDegraded(
        at=at(30),
        cluster="ob-prod",
        episode=1,
        since=at(0),
        error="the agent answers 500 (OB.Database.Connect)",
    ),
    "cluster_degraded-local": ev.ClusterDegraded(
        at=at(30),
        cluster="ob-prod",
        episode=1,
        since=at(0),
        error="the agent answers 500 (OB.Database.Connect)",
        open_dags=("Cluster scale out 1123",),
        local=True,
    ),
    "auth_failed": ev.AuthFailed(at=at(30), cluster="ob-prod", episode=1, agent="10.0.0.7:2886", error=""),
    "not_cluster_agent": ev.NotClusterAgent(
        at=at(30),
        cluster="ob-prod",
        episode=1,
        agent="10.0.0.7:2886",
        identity="SINGLE",
        error="it has left the cluster",
    ),
    "cluster_recovered": ev.ClusterRecovered(
        at=at(130), cluster="ob-prod", episode=1, was="cluster_unreachable", since=at(0)
    ),
    "clock_skewed": ev.ClockSkewed(
        at=at(30), cluster="ob-prod", episode=1, agent="10.0.0.7:2886", skew_s=-95.0
    ),
    "digest": ev.Digest(
        at=at(1),
        cluster="ob-prod",
        episode=1,
        lines=tuple(ev.DigestLine(dag=ref(n % 9 + 1), state=State.RUNNING) for n in range(24)),
    ),
}


@dataclass(frozen=True)
class Sample:
    """One golden file: its name and the message that belongs in it."""

    name: str
    message: Message


def samples() -> list[Sample]:
    """Return all messages: each root state in each layout, each event part by part."""
    roots = [
        Sample(f"root-{name}.{layout.value}", root(seen, layout=layout))
        for name, seen in ROOTS.items()
        for layout in Layout
    ]
    told = [
        Sample(f"{name}.{part}", reply(event, part))
        for name, event in EVENTS.items()
        for part in parts(event) or ("whole",)
    ]
    return roots + told + answers()


CLUSTERS = (
    ClusterView(
        name="ob-prod",
        state=ClusterState.OK,
        agent="10.0.0.7:2886",
        checked_at=at(60),
        dags=(ROOTS["running"], ROOTS["stalled"], ROOTS["failed"]),
    ),
    ClusterView(
        name="ob-test",
        state=ClusterState.UNREACHABLE,
        checked_at=at(-4_000),
        error="connection refused",
        dags=(ROOTS["unknown-since"],),
    ),
    ClusterView(name="ob-dev", state=ClusterState.PAUSED),
    ClusterView(name="ob-lab", state=ClusterState.OK, checked_at=at(61)),
)


def answers() -> list[Sample]:
    """Return what the slash command answers."""
    now, command = at(65), "/obdag"
    told = {
        "status": replies.status(CLUSTERS, now=now, command=command),
        "status-one": replies.status(CLUSTERS[:1], now=now, command=command, asked="ob-prod"),
        "status-quiet": replies.status(CLUSTERS[3:], now=now, command=command),
        "status-empty": replies.status((), now=now, command=command),
        "show": replies.show(ROOTS["attempt-2"], now=now),
        "show-without-stages": replies.show(ROOTS["without-stages"], now=at(5_000)),
        "clusters": replies.clusters(CLUSTERS, now=now, command=command),
        "clusters-empty": replies.clusters((), now=now, command=command),
        "help": replies.usage(command),
        "later": replies.unavailable(Unavailable(word="mute", instead=LATER["mute"]), command=command),
        "unknown": replies.unknown(Unknown(text="x", why="There is no word `x`."), command=command),
        "problem": replies.problem("No cluster is called 'x'. Did you mean y?"),
        "apology": replies.apology(),
        "button": replies.no_button_yet(),
    }
    return [Sample(f"answer-{name}", message) for name, message in told.items()]
