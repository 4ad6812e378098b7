"""Messages: the root message of a DAG, and one reply for each part of an event.

Pure: complete values in, text and blocks out. Words come from `wording` and `tellings`, limits from `blocks`.
"""

from enum import StrEnum

from bot.core.dag import Outcome
from bot.core.events import (
    DagEvent,
    Event,
    Failed,
    HostLines,
    LateLines,
    StageAdvanced,
    Stalled,
    SubTaskEvidence,
)
from bot.core.parts import report_of
from bot.core.views import DagView
from bot.slack import wording as say
from bot.slack.blocks import MAX_LOGS, Block, Message, compose, context, header, quotations, section
from bot.slack.excerpts import cost, excerpt, last_lines, shares
from bot.slack.markup import Bold, Code, Line, join, plain
from bot.slack.plan import native_plan, text_plan
from bot.slack.tellings import (
    Telling,
    away,
    failure_line,
    moment,
    next_steps,
    stage_telling,
    telling,
    waiting_line,
)

MAX_HOSTS = 20
MAX_EVIDENCE = 3
EVIDENCE_LINES = 10
EVIDENCE_ROOM = 2_000


class Layout(StrEnum):
    """How the stages of a root message are drawn."""

    PLAN = "plan"
    CLASSIC = "classic"


def root(view: DagView, *, layout: Layout = Layout.PLAN) -> Message:
    """Return the root message of a DAG as it stands now."""
    mood, dag = say.mood_of(view), view.snapshot
    plan = native_plan(dag) if layout == Layout.PLAN else text_plan(dag)
    blocks = [
        header(f"{mood.icon} {dag.name} · {view.cluster}"),
        section([(Bold(plain(_progress(view))),), *_where(view), *_unknown(view), _times(view)]),
        *plan,
        context([_small_print(view)]),
    ]
    return compose(root_text(view), blocks)


def root_text(view: DagView) -> str:
    """Return the root message as one line: icon, DAG, cluster, `k/N`, state, stage."""
    icon = say.mood_of(view).icon
    stage: Line = (view.snapshot.stage_name,) if view.snapshot.stage_name and not view.outcome else ()
    parts: list[Line] = [
        (f"{icon} {view.snapshot.name}",),
        (view.cluster,),
        _progress(view),
        stage,
        *_unknown(view),
    ]
    return plain(join(" · ", parts))


def reply(event: Event, part: str) -> Message:
    """Return the message of one part of an event (`bot.core.parts`)."""
    match event:
        case StageAdvanced():
            return _stage(event, part)
        case Failed():
            return _failure(event)
        case Stalled():
            return _stall(event)
        case LateLines():
            return _late(event)
        case _:
            told = _telling(event)
            return compose(_text(told), [section([told.headline, *told.details])])


def brief(message: Message) -> Message:
    """Return a message as plain text alone, for when Slack refuses its blocks."""
    return Message(message.text)


def _progress(view: DagView) -> Line:
    """Tell how far a DAG is: `Stage 3/9 · running · attempt 2`, `9/9 done · succeeded after 2 m 03 s`."""
    dag, words = view.snapshot, say.mood_of(view).words
    reached = f"{dag.stage}/{dag.max_stage}"
    if not view.outcome:
        attempt = f" · attempt {view.run}" if view.run > 1 and words == "running" else ""
        quiet = f" · no progress for {say.duration(view.quiet_s)}" if view.stalled else ""
        return (f"Stage {reached} · {words}{quiet}{attempt}",)
    after = f" after {say.duration(view.elapsed_s)}" if view.elapsed_s is not None else ""
    done = f"{reached} done" if view.outcome is Outcome.SUCCEEDED else f"Stage {reached}"
    return (f"{done} · {words}{after}",)


def _where(view: DagView) -> list[Line]:
    dag = view.snapshot
    through = dag.max_stage if view.outcome is Outcome.SUCCEEDED else dag.stage - 1
    name = f" {dag.stage_name}" if dag.stage_name and view.outcome is not Outcome.SUCCEEDED else ""
    return [(say.bar(through, dag.max_stage), name)]


def _unknown(view: DagView) -> list[Line]:
    return [("⚠️ state unknown since ", view.unknown_since)] if view.unknown_since else []


def _times(view: DagView) -> Line:
    started = view.snapshot.started_at
    under_way = view.outcome is None
    return join(" · ", [
        moment("started", started) or moment("first seen", view.first_seen_at),
        (f"elapsed {say.duration(view.elapsed_s)}",) if under_way and view.elapsed_s is not None else (),
        (f"about {say.duration(view.eta_s)} left",) if under_way and view.eta_s is not None else (),
        (f"usually {say.duration(view.usual_s)}",) if view.usual_s is not None else (),
    ])  # fmt: skip


def _small_print(view: DagView) -> Line:
    run = f" · run {view.run}" if view.run > 1 else ""
    return (f"DAG {view.snapshot.id}{run} · as of ", view.checked_at)


def _stage(event: StageAdvanced, part: str) -> Message:
    report = report_of(event, part)
    first = report is event.finished[0]
    lines = [stage_telling(event.dag, report).headline, *(_away(event) if first else ())]
    return _with_logs(event, lines, report.position, report.logs)


def _late(event: LateLines) -> Message:
    return _with_logs(event, [telling(event).headline, *_away(event)], event.position, event.logs)


def _with_logs(event: DagEvent, lines: list[Line], position: int, logs: tuple[HostLines, ...]) -> Message:
    text = f"{plain(lines[0])} · {event.dag.name} · {event.dag.cluster}"
    command = f"obdag logs {event.dag.cluster} {event.dag.dag_id} --stage {position}"
    return compose(text, [section(lines), *_logs(logs, command)])


def _telling(event: Event) -> Telling:
    """Return what an event says, with what was missed before it."""
    told = telling(event)
    return Telling(told.headline, (*told.details, *_away(event)))


def _away(event: Event) -> tuple[Line, ...]:
    found = away(event) if isinstance(event, DagEvent) else ()
    return (found,) if found else ()


def _logs(logs: tuple[HostLines, ...], command: str) -> list[Block]:
    """Return the lines of each host; `command` shows them all and is named when some are not here."""
    told = [log for log in logs if log.lines]
    if not told:
        return []
    shown = told[:MAX_HOSTS]
    rooms = shares([cost(log.lines, MAX_LOGS) for log in shown], MAX_LOGS)
    excerpts = [excerpt(log.lines, room) for log, room in zip(shown, rooms, strict=True)]
    titled = [(log.host or "", found.text) for log, found in zip(shown, excerpts, strict=True)]
    if len(told) > MAX_HOSTS:
        titled.append((f"… and {say.count(len(told) - MAX_HOSTS, 'host')} more", ""))
    whole = len(told) <= MAX_HOSTS and all(found.whole for found in excerpts)
    return [quotations(titled)] + ([] if whole else [context([("All lines: ", Code(command))])])


def _failure(event: Failed) -> Message:
    told = _telling(event)
    lock: tuple[Line, ...] = () if event.holds_lock is None else ((say.LOCK_HELD[event.holds_lock],),)
    first = [plain(failure_line(f)) + "".join(f": {line}" for line in _last(f)) for f in event.failures[:1]]
    blocks = [
        section([told.headline, *told.details]),
        *_evidence([(failure_line(f), f) for f in event.failures], "sub-task"),
        section([*next_steps(event), *lock]),
    ]
    return compose("\n".join([_text(told), *first]), blocks)


def _stall(event: Stalled) -> Message:
    told = _telling(event)
    waiting = [(waiting_line(w), w) for w in event.waiting]
    text = "\n".join([_text(told), *(plain(line) for line, _ in waiting[:1])])
    return compose(text, [section([told.headline, *told.details]), *_evidence(waiting, "sub-task")])


def _evidence(found: list[tuple[Line, SubTaskEvidence]], noun: str) -> list[Block]:
    """Return for each sub-task what is known of it and its last lines."""
    blocks: list[Block] = []
    for line, evidence in found[:MAX_EVIDENCE]:
        blocks.append(section([line]))
        if lines := last_lines(evidence.last_lines, EVIDENCE_LINES, EVIDENCE_ROOM):
            blocks.append(quotations([("", lines)]))
    if len(found) > MAX_EVIDENCE:
        blocks.append(context([(f"… and {say.count(len(found) - MAX_EVIDENCE, noun)} more",)]))
    return blocks


def _last(evidence: SubTaskEvidence) -> list[str]:
    shown = last_lines(evidence.last_lines, 1, EVIDENCE_ROOM)
    return [shown] if shown else []


def _text(told: Telling) -> str:
    return "\n".join(plain(line) for line in (told.headline, *told.details))
