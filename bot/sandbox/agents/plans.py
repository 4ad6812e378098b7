"""What a simulated DAG is made of: stages, their parts, and what each run of a part does.

Durations are in ticks of the engine, which is one second on a real agent.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from bot.core.dag import Host, Maintenance

if TYPE_CHECKING:
    from bot.sandbox.agents.deeds import Doing

LIMIT_S = 3600.0
"""Every sub-task of the product has this limit for each of its runs."""

Deed = Callable[["Doing"], bool]
"""What a run does to the simulated world: called when the run would end, and each tick again until it returns
true; it may write lines, leave data, and fail the run by raising `Fault`."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a sub-task: it writes its lines evenly over `seconds`, then ends.

    `error` makes it fail, with that text in the line that tells why; the line comes `error_late` ticks after
    the state. A run that `hangs` writes its lines and then makes no progress until it is released. One that
    `pauses` ends FAILED on purpose, for an operator to let it go on (recording `wait-operator`). One that
    `panics` fails with that text (recording `panic`).
    """

    lines: tuple[str, ...] = ()
    seconds: float = 0.4
    error: str | None = None
    error_late: float = 0.0
    hangs: bool = False
    pauses: bool = False
    panics: str | None = None
    deed: Deed | None = None


class PartPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A sub-task: the n-th run does `runs[n]`, later ones repeat the last; `undos` likewise.

    Without a `host` the coordinating agent runs it. One that is not `resumable` fails when its agent
    restarts. `data` is what it leaves as `additional_data`. A run that takes longer than `limit_s` fails
    (recording `timeout`).
    """

    host: Host | None = None
    runs: tuple[Work, ...] = (Work(),)
    undos: tuple[Work, ...] = (Work(seconds=0.0),)
    resumable: bool = True
    data: dict[str, Any] | None = None
    limit_s: float = LIMIT_S


class StagePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A node: its parts run at the same time; the flags say which operators its author allows.

    `releases_lock` marks stages whose failure gives the DAG's lock back although the DAG stays listed.
    """

    name: str
    parts: tuple[PartPlan, ...] = (PartPlan(),)
    retryable: bool = True
    rollbackable: bool = True
    cancellable: bool = True
    passable: bool = True
    releases_lock: bool = False


class DagPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG to be created; `maintenance` is the lock it needs, `key` the tenant that a tenant lock is for.

    A sub-DAG has the id of its `main` DAG, and for a scale-out the agent that is its `coordinator`.
    """

    name: str
    stages: tuple[StagePlan, ...]
    maintenance: Maintenance = Maintenance.NONE
    key: str = ""
    main: str | None = None
    coordinator: Host | None = None


def error_line(text: str) -> str:
    """Return the line by which an agent tells why a sub-task failed (recording `failed-then-retried`)."""
    return f"ERROR: [Common.Unexpected]: Unexpected error: {text}"
