"""The logs of what is about to be told, as rows where the agent offers them: ordered, with their attempts."""

from collections.abc import Mapping

import msgspec
import structlog

from bot.core import evidence, ids, logs
from bot.core.dag import DagSnapshot, Outcome, SubTask
from bot.core.sweep import Answer
from bot.core.tracked import TrackedDag
from bot.obshell.errors import AgentError, NotOffered
from bot.watch.routes import HOPELESS, Route, Routes

log = structlog.get_logger()

MAX_LOGS = 40
"""Sub-tasks whose log is asked for in one poll; the others are told with the lines that came inline."""


async def with_rows(
    answer: Answer, routes: Routes, route: Route, tracked: Mapping[str, TrackedDag]
) -> Answer:
    """Return the answer with the logs of stages that ended and of sub-tasks that failed."""
    if answer.settling:
        return answer
    left = MAX_LOGS

    async def read(snapshot: DagSnapshot) -> DagSnapshot:
        nonlocal left
        asked = _asked(routes, route, snapshot)
        unread = _unread(answer, snapshot, tracked.get(snapshot.id))[:left]
        if asked is None or not unread:
            return snapshot
        left -= len(unread)
        try:
            return await _read(snapshot, asked, unread)
        except HOPELESS as error:
            # The lines that came with the DAG are there all the same.
            log.warning("watch.logs_unread", agent=asked.url, dag=snapshot.id, error=str(error))
            await routes.failure(asked, error)
            return snapshot

    return msgspec.structs.replace(
        answer,
        snapshots=tuple([await read(snapshot) for snapshot in answer.snapshots]),
        looked_up=tuple([await read(snapshot) for snapshot in answer.looked_up]),
    )


def _asked(routes: Routes, route: Route, snapshot: DagSnapshot) -> Route | None:
    keeper = ids.home(snapshot.id)
    asked = route if keeper is None else routes.at_home(keeper)
    return asked if asked and asked.has_logs and not asked.failures else None


def _unread(answer: Answer, snapshot: DagSnapshot, tracked: TrackedDag | None) -> tuple[SubTask, ...]:
    if tracked is None:
        if answer.first_poll:
            return ()
        return evidence.unread(snapshot, (), failure_told=False)
    failure_told = tracked.outcome is Outcome.FAILED
    return evidence.unread(snapshot, tracked.told, failure_told=failure_told)


async def _read(snapshot: DagSnapshot, asked: Route, unread: tuple[SubTask, ...]) -> DagSnapshot:
    """Return the DAG with these logs; raises what makes further questions senseless."""
    known: dict[str, SubTask] = {}
    for task in unread:
        try:
            rows = await asked.client.sub_task_logs(task.id)
        except NotOffered:
            asked.has_logs = False
            break
        except HOPELESS:
            raise
        except AgentError as error:
            log.warning("watch.log_unread", agent=asked.url, sub_task=task.id, error=str(error))
            break
        if len(rows) >= len(task.lines or ()):
            known[task.id] = logs.with_rows(task, rows)
    stages = tuple(
        msgspec.structs.replace(stage, sub_tasks=tuple(known.get(t.id, t) for t in stage.sub_tasks))
        for stage in snapshot.stages or ()
    )
    return msgspec.structs.replace(snapshot, stages=stages) if known else snapshot
