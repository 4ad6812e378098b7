"""The stages of a DAG as a list: Slack's native plan, or text.

A long plan is shown as a window round the current stage; what is outside is told by its number.
"""

from bot.core.dag import DagSnapshot, Stage, State, SubTask
from bot.slack import wording as say
from bot.slack.blocks import Block, plan, section, task
from bot.slack.markup import Bold, Line, join

NATIVE_WINDOW = 20
TEXT_WINDOW = 12
BEFORE_CURRENT = 3


def native_plan(snapshot: DagSnapshot) -> list[Block]:
    """Return the stages as Slack's plan block; nothing when the stages are not known."""
    stages = snapshot.stages or ()
    if not stages:
        return []
    first, last = _window(snapshot.stage, len(stages), NATIVE_WINDOW)
    tasks = [
        task(f"stage-{s.position}", _title(s), say.stage_status(s), _details(s)) for s in stages[first:last]
    ]
    if first:
        tasks.insert(0, task("earlier", f"… {say.count(first, 'earlier stage')}", "complete"))
    if last < len(stages):
        tasks.append(task("later", f"… {say.count(len(stages) - last, 'later stage')}", "pending"))
    return [plan(say.count(snapshot.max_stage, "stage"), tasks)]


def text_plan(snapshot: DagSnapshot) -> list[Block]:
    """Return the stages as lines; nothing when they are not known."""
    stages = snapshot.stages or ()
    if not stages:
        return []
    first, last = _window(snapshot.stage, len(stages), TEXT_WINDOW)
    lines: list[Line] = [stage_line(s, current=s.position == snapshot.stage) for s in stages[first:last]]
    if first:
        lines.insert(0, (f"… {say.count(first, 'earlier stage')}",))
    if last < len(stages):
        lines.append((f"… {say.count(len(stages) - last, 'later stage')}",))
    return [section(lines)]


def stage_line(stage: Stage, *, current: bool = False) -> Line:
    """Return one stage: `✓ 3 Wait scale out ready · 12 s · 10.0.0.7`."""
    name = Bold(stage.name) if current else stage.name
    details = _details(stage)
    return (f"{say.stage_mark(stage)} {stage.position} ", name, f" · {details}" if details else "")


def host_lines(stage: Stage) -> list[Line]:
    """Return the sub-tasks of a stage, one line each, unless its own line says it all."""
    if len(stage.sub_tasks) == 1 and stage.state not in {State.RUNNING, State.FAILED}:
        return []
    return [_host_line(sub_task) for sub_task in stage.sub_tasks]


def _host_line(sub_task: SubTask) -> Line:
    since: Line = ("since ", sub_task.started_at) if sub_task.started_at and _busy(sub_task) else ()
    parts: list[Line] = [
        (str(sub_task.host) if sub_task.host else sub_task.name,),
        (say.state_words(sub_task.state),),
        (number,) if (number := say.try_number(say.attempt_of(sub_task))) else (),
        since,
    ]
    return ("      ", *join(" · ", parts))


def _window(current: int, total: int, width: int) -> tuple[int, int]:
    """Return the slice of stages to show: the current one with a few before it and more after it."""
    if total <= width:
        return 0, total
    first = max(0, min(current - 1 - BEFORE_CURRENT, total - width))
    return first, first + width


def _title(stage: Stage) -> str:
    return f"{stage.position}. {stage.name}"


def _details(stage: Stage) -> str:
    seconds = say.stage_seconds(stage)
    tries = max(map(say.attempt_of, stage.sub_tasks), default=1)
    took = say.duration(seconds) if seconds is not None else ""
    return " · ".join(filter(None, [say.stage_note(stage), took, say.try_number(tries), _hosts(stage)]))


def _hosts(stage: Stage) -> str:
    """Tell where a stage is: for a stage under way, which hosts are still busy."""
    # Before it is dispatched, a sub-task names the agent that made the DAG.
    hosts = [task.host.ip for task in stage.sub_tasks if task.host and task.attempts]
    if stage.state is not State.RUNNING or len(stage.sub_tasks) == 1:
        return say.listing(hosts, 3)
    through = sum(task.state is State.SUCCEED for task in stage.sub_tasks)
    busy = [task.host.ip for task in stage.sub_tasks if task.host and _busy(task)]
    waiting = f", busy: {say.listing(busy, 3)}" if busy else ""
    return f"{through} of {say.count(len(stage.sub_tasks), 'host')} through{waiting}"


def _busy(sub_task: SubTask) -> bool:
    return sub_task.state is State.RUNNING
