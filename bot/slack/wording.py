"""All words and icons of messages and answers, for tired people at 3 a.m. on a phone.

People (and checks) recognise events by word stems, so each stem stands only where it is true: `fail`;
`succeeded`, `done`; `cancel`; `rolled back`, `rolling back`; `skipped`, `passed`; `retried`, `attempt N`;
`stalled`, `no progress`; `unreachable`; `recovered`. That is why a stage reply says none of them: its stage
*took* 12 s, was *taken back*, or was *left out*.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bot.core.catalogue import holds_lock
from bot.core.dag import TERMINAL, DagSnapshot, Maintenance, Operator, Outcome, Stage, State, SubTask
from bot.core.events import Missed, StageReport
from bot.core.ids import is_local
from bot.core.views import ClusterState, DagView

MINUTE, HOUR, DAY = 60, 3_600, 86_400
BAR_WIDTH = 10


class Mood(NamedTuple):
    """How something is, as an icon and in words."""

    icon: str
    words: str


OUTCOMES: dict[Outcome, Mood] = {
    Outcome.SUCCEEDED: Mood("✅", "succeeded"),
    Outcome.ROLLED_BACK: Mood("↩️", "rolled back"),
    Outcome.PASSED: Mood("⏭️", "skipped by an operator"),
    Outcome.CANCELLED: Mood("🚫", "cancelled"),
    Outcome.FAILED: Mood("❌", "failed"),
    Outcome.FORGOTTEN: Mood("❔", "no longer known to the agent"),
}
ENDED: dict[Outcome, str] = {
    Outcome.SUCCEEDED: "succeeded",
    Outcome.ROLLED_BACK: "was rolled back",
    Outcome.PASSED: "was skipped by an operator",
    Outcome.CANCELLED: "was cancelled",
    Outcome.FAILED: "failed",
    Outcome.FORGOTTEN: "is no longer known to the agent",
}
STALLED = Mood("🟠", "stalled")
NEWER = Mood("❔", "in a state that this version of obdag does not know")
UNDER_WAY: dict[Operator, Mood] = {
    Operator.ROLLBACK: Mood("↩️", "rolling back"),
    Operator.CANCEL: Mood("🚫", "being cancelled"),
}
CLUSTERS: dict[ClusterState, Mood] = {
    ClusterState.OK: Mood("🟢", "ok"),
    ClusterState.DEGRADED: Mood("🟡", "degraded"),
    ClusterState.UNREACHABLE: Mood("🔌", "unreachable"),
    ClusterState.AUTH_FAILED: Mood("🔑", "password refused"),
    ClusterState.NOT_CLUSTER_AGENT: Mood("🧩", "not an agent of a running cluster"),
    ClusterState.PAUSED: Mood("⏸️", "paused"),
    ClusterState.UNKNOWN: Mood("❔", "not looked at yet"),
}


def mood(state: State, operator: Operator, outcome: Outcome | None = None, *, stalled: bool = False) -> Mood:
    """Return how a DAG is."""
    ended = outcome or TERMINAL.get((state, operator))
    if ended:
        return OUTCOMES[ended]
    if stalled:
        return STALLED
    if State.OTHER is state or Operator.OTHER is operator:
        return NEWER
    started = Mood("▶️", "running") if state is State.RUNNING else Mood("🕒", "about to run")
    return UNDER_WAY.get(operator, started)


def mood_of(view: DagView) -> Mood:
    """Return how a DAG is, as last seen; a failed one that is still listed waits for somebody."""
    seen = mood(view.snapshot.state, view.snapshot.operator, view.outcome, stalled=view.stalled)
    waits = view.outcome is None and view.snapshot.state is State.FAILED
    return Mood(seen.icon, f"{seen.words}{waiting(view.snapshot)}") if waits else seen


def waiting(snapshot: DagSnapshot) -> str:
    """Return what a failed DAG in the list means for others: `, waiting for an operator: holds …`."""
    match holds_lock(snapshot):
        case True if snapshot.maintenance is Maintenance.TENANT:
            return f", waiting for an operator: holds the lock of {snapshot.maintenance_key or 'its tenant'}"
        case True if is_local(snapshot.id):
            return ", waiting for an operator: holds the agent's lock"
        case True:
            return ", waiting for an operator: holds the cluster's lock"
        case False:
            return ", lock released"
        case _:
            return ", waiting for an operator"


def duration(seconds: float) -> str:
    """Return a span as people say it: `12 s`, `1 m 05 s`, `2 h 03 m`, `3 d 04 h`."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} m {whole % MINUTE:02} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} m"
    return f"{whole // DAY} d {whole % DAY // HOUR:02} h"


def bar(done: int, total: int) -> str:
    """Return a progress bar for `done` of `total` stages."""
    filled = BAR_WIDTH * max(0, min(done, total)) // total if total > 0 else 0
    return "▓" * filled + "░" * (BAR_WIDTH - filled)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 host`, `2 hosts`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listing(names: Sequence[str], most: int = 5) -> str:
    """Return `a, b, c and 4 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def left_out(lines: int) -> str:
    """Return what stands for lines that did not fit."""
    return f"… {count(lines, 'line')} left out …"


def line_cut(length: int) -> str:
    """Return what ends a line that did not fit."""
    return f" ({length:,} characters)"


def try_number(attempt: int) -> str:
    """Return `2nd try`; nothing for the first."""
    if attempt <= 1:
        return ""
    last_two, last = attempt % 100, attempt % 10
    ending = "th" if last_two in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
    return f"{attempt}{ending} try"


def attempt_of(task: SubTask) -> int:
    """Return which attempt a sub-task is at: a retry is counted twice by agents, as it undoes first."""
    return task.attempts // 2 + 1


STAGE_MARKS = {"complete": "✓", "in_progress": "▶", "error": "✗", "pending": "○"}
STAGE_MARK_UNDONE = "↩"
STAGE_MARK_LEFT_OUT = "⤼"


def stage_status(stage: Stage) -> str:
    """Return Slack's word for how a stage is; an undone stage waits again."""
    match stage.state:
        case State.SUCCEED:
            return "pending" if stage.operator is Operator.ROLLBACK else "complete"
        case State.FAILED:
            return "error"
        case State.RUNNING:
            return "in_progress"
        case _:
            return "pending"


def stage_mark(stage: Stage) -> str:
    """Return the mark of a stage in a text plan."""
    if stage.state is State.SUCCEED and stage.operator is Operator.ROLLBACK:
        return STAGE_MARK_UNDONE
    if stage.state is State.SUCCEED and stage.operator is Operator.PASS:
        return STAGE_MARK_LEFT_OUT
    return STAGE_MARKS[stage_status(stage)]


def stage_note(stage: Stage) -> str:
    """Return what is special about a stage: taken back, left out; else nothing."""
    if stage.operator is Operator.ROLLBACK:
        return "taken back" if stage.state is State.SUCCEED else "to be taken back"
    if stage.operator is Operator.PASS and stage.state is State.SUCCEED:
        return "left out by an operator"
    if stage.operator is Operator.RETRY and stage.state is not State.SUCCEED:
        return "again"
    return ""


def stage_seconds(stage: Stage) -> float | None:
    """Return how long a stage took, if it ended; agents' clocks may run backwards, then nothing is known."""
    ended = stage.state in {State.SUCCEED, State.FAILED}
    if stage.started_at is None or stage.ended_at is None or not ended:
        return None
    seconds = (stage.ended_at - stage.started_at).total_seconds()
    return seconds if seconds >= 0 else None


def report_mark(report: StageReport) -> str:
    """Return the mark of a stage that ended."""
    marks = {Operator.ROLLBACK: STAGE_MARK_UNDONE, Operator.PASS: STAGE_MARK_LEFT_OUT}
    return marks.get(report.operator, STAGE_MARKS["complete"])


def report_notes(report: StageReport) -> list[str]:
    """Return what is to say about a stage that ended: how, for how long, on which try, where."""
    notes = {Operator.ROLLBACK: "taken back", Operator.PASS: "left out by an operator"}
    taken = f"took {duration(report.duration_s)}" if report.duration_s is not None else ""
    hosts = f"on {listing(report.hosts)}" if report.hosts else ""
    return [n for n in (notes.get(report.operator, ""), taken, try_number(report.attempts), hosts) if n]


def state_words(state: State) -> str:
    """Return how a sub-task is."""
    words = {
        State.PENDING: "waiting",
        State.READY: "about to run",
        State.RUNNING: "running",
        State.FAILED: "failed",
        State.SUCCEED: "through",
    }
    return words.get(state, "in an unknown state")


def missed(what: Missed) -> str:
    """Return what happened while nobody looked."""
    if what.stages:
        first, last = what.stages[0], what.stages[-1]
        return f"stage {first} ended" if first == last else f"stages {first} to {last} ended"
    return MISSED.get(what.kind, what.kind.replace("_", " "))


MISSED = {
    "retried": "it was taken up again",
    "rollback_started": "an undo began",
    "cancelling": "somebody asked to give it up",
    "failed": "something went wrong",
    "rolled_back": "what it did was undone",
    "passed": "an operator left the rest out",
    "cancelled": "it was given up",
    "succeeded": "it came to its end",
    "forgotten": "the agent lost it",
    "late_lines": "more log lines",
    "reminder": "it waited for an operator",
}
"""In other words than the events themselves: each stem stands only where its event is told."""

LOCK_HELD = {
    True: "It keeps its maintenance lock: operations that need that lock are refused until somebody acts.",
    False: "It holds no lock: other operations can go on.",
}

NEXT_STEPS: dict[str, tuple[str, str]] = {
    "RETRY": ("retry", "runs the stage again"),
    "ROLLBACK": ("rollback", "undoes the stages so far"),
    "PASS": ("pass", "leaves the rest out and counts it as through: only if you did that work by hand"),
}
"""Operator -> the sub-command of `obshell task`, and what it does."""
