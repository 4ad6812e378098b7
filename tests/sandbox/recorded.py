"""Reads the recordings of a real agent: what was asked and answered, and what the DAGs in it were made of."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from bot.core.dag import Host, Maintenance
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from bot.sandbox.agents.runs import TIMED_OUT, WAITS_FOR_OPERATOR
from bot.sandbox.agents.scheduler import CANCELLED

FOLDER = Path(__file__).parent.parent / "recordings"
SITUATIONS = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))
ERROR = "ERROR: [Common.Unexpected]: Unexpected error: "
TICK_S = 1.008
"""Recorded ticks were a little longer than a second: the lab had its work to do in between."""
OVER = {"SUCCEED", "FAILED"}
Json = dict[str, Any]


class View(msgspec.Struct, frozen=True):
    """A DAG with details as it was told at an instant."""

    at: datetime
    dag: Json


@cache
def entries(situation: str) -> tuple[Json, ...]:
    """Return everything of a recording, notes included, in the order of the file."""
    return tuple(json.loads((FOLDER / f"{situation}.json").read_text())["exchanges"])


def exchanges(situation: str) -> list[Json]:
    """Return the exchanges of a recording, notes left out."""
    return [entry for entry in entries(situation) if "status" in entry]


def beginning(situation: str) -> datetime:
    """Return the instant from which a recording counts its seconds."""
    answered = (e for e in exchanges(situation) if (e.get("body") or {}).get("traceId"))
    first = next(answered)
    return moment(first["body"]["timestamp"]) - timedelta(seconds=first["t"] + first.get("took", 0.0))


def moment(text: str) -> datetime:
    """Return a time, whose fraction may have more digits than Python knows."""
    head, _, tail = text.partition(".")
    return datetime.fromisoformat(f"{head}.{tail[:-6][:6]:0<6}{tail[-6:]}" if tail else text)


def views(situation: str) -> dict[str, list[View]]:
    """Return what was told of each DAG with details, by its id, in order."""
    begun = beginning(situation)
    found: dict[str, list[View]] = {}
    for exchange in sorted(exchanges(situation), key=lambda e: float(e["t"])):
        at = begun + timedelta(seconds=exchange["t"])
        for dag in _dags((exchange.get("body") or {}).get("data")):
            if dag.get("nodes"):
                found.setdefault(dag["id"], []).append(View(at, dag))
    return found


def _dags(data: Any) -> Iterator[Json]:
    if isinstance(data, dict) and "max_stage" in data:
        yield data
    elif isinstance(data, dict):
        for item in data.get("contents") or ():
            yield from _dags(item)


def plan_of(told: list[Json], flags: dict[str, bool] | None = None) -> DagPlan:
    """Return what a DAG was made of; `flags` are those of all its stages."""
    first = told[0]
    stages = tuple(
        StagePlan(
            name=node["name"],
            parts=tuple(
                part_of([view["nodes"][n]["sub_tasks"][m] for view in told], _data(first, n, m))
                for m in range(len(node["sub_tasks"]))
            ),
            **(flags or {}),
        )
        for n, node in enumerate(first["nodes"])
    )
    kind = Maintenance(first["maintenance_type"])
    return DagPlan(name=first["name"], stages=stages, maintenance=kind, key=first["maintenance_key"])


def _data(dag: Json, node: int, part: int) -> Json | None:
    """Return additional data of a sub-task: that of the whole DAG counts as left by the very first."""
    return dag["additional_data"] or None if node == part == 0 else None


def part_of(told: list[Json], data: Json | None = None) -> PartPlan:
    """Read the runs and undos of a sub-task; a dispatch that was never seen is a quick quiet one."""
    works: dict[str, list[Work]] = {"RUN": [], "ROLLBACK": []}
    known = 0
    ended = [view for view in told if view["state"] in OVER and view["operator"] != "PASS"]
    for attempt in sorted({view["execute_times"] for view in ended}):
        last = [view for view in ended if view["execute_times"] == attempt][-1]
        works[last["operator"]].append(_work(last, known))
        known = len(last["task_logs"])
    agent = told[0]["execute_agent"]
    hosts = {(view["execute_agent"]["ip"], view["execute_agent"]["port"]) for view in told}
    host = Host(agent["ip"], agent["port"]) if len(hosts) == 1 else None
    undos = tuple(works["ROLLBACK"]) or (Work(seconds=0.0),)
    return PartPlan(host=host, runs=tuple(works["RUN"]) or (Work(),), undos=undos, data=data)


def _work(view: Json, known: int) -> Work:
    lines = [line for line in view["task_logs"][known:] if line not in {CANCELLED, TIMED_OUT}]
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    seconds = (moment(view["end_time"]) - moment(view["start_time"])).total_seconds()
    told = tuple(line for line in lines if not line.startswith(ERROR) and line != WAITS_FOR_OPERATOR)
    pauses = WAITS_FOR_OPERATOR in lines
    return Work(lines=told, seconds=seconds / TICK_S, error=errors[0] if errors else None, pauses=pauses)
