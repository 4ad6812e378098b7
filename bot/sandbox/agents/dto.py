"""The JSON of a simulated agent, member for member in the order of a real one (4.5.0.0).

Times are RFC 3339 in the agent's zone with trailing zeros of the fraction cut; a reset time is the epoch.
`additional_data` is built with details only: `{}` for a DAG of several nodes, null for a single node with a
single part, unless a part left data (recording `additional-data`).
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import msgspec

from bot.core.dag import State
from bot.sandbox.agents.rows import DagRow, LogRow, NodeRow, SubTaskRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GO_ZERO = "0001-01-01T00:00:00Z"
"""A time that was never set, as Go writes it."""
NEVER_STARTED = (State.PENDING, State.READY)
GO_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)

Json = dict[str, Any]


class Speller(msgspec.Struct, frozen=True, kw_only=True):
    """How one store spells ids and times; the cluster's keeps log times in whole seconds, and no more.

    `shift` is how far the clock or zone of the store is ahead of the agent's. Agents before 4.3.1.0 do not
    tell what `maintenance` a DAG is.
    """

    generic_id: Callable[[int], str]
    zone: tzinfo
    whole_seconds: bool
    shift: timedelta = timedelta(0)
    maintenance: bool = True

    def time(self, at: datetime | None) -> str:
        """Return a time as its columns show it; one that was reset is the epoch."""
        return go_time(EPOCH if at is None else at + self.shift, self.zone)

    def log_time(self, at: datetime) -> str:
        """Return the time at which a log row was stored."""
        return self.time(at.replace(microsecond=0) if self.whole_seconds else at)


def go_time(at: datetime, zone: tzinfo) -> str:
    """Return a time as Go's RFC3339Nano writes it."""
    local = at.astimezone(zone)
    fraction = f".{local.microsecond:06d}".rstrip("0").rstrip(".")
    offset = local.isoformat(timespec="seconds")[19:]
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{'Z' if offset == '+00:00' else offset}"


def encode(value: Any) -> bytes:
    """Return JSON as Go's encoder writes it: compact, `<`, `>` and `&` escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(GO_ESCAPES).encode()


def dag_dto(dag: DagRow, spell: Speller, *, details: bool) -> Json:
    """Return a DAG; without details `nodes` and `additional_data` are null."""
    maintenance = {
        "maintenance_type": int(dag.plan.maintenance),
        "maintenance_key": dag.plan.key,
    }
    return {
        "id": spell.generic_id(dag.id),
        "dag_id": dag.id,
        "name": dag.name,
        "stage": dag.stage,
        "max_stage": len(dag.nodes),
        **(maintenance if spell.maintenance else {}),
        "state": dag.state,
        "operator": dag.operator,
        "start_time": spell.time(dag.started_at),
        "end_time": spell.time(dag.ended_at),
        "additional_data": _dag_data(dag) if details else None,
        "nodes": [node_dto(node, spell, inside=True) for node in dag.nodes] if details else None,
    }


def created_dto(dag: DagRow, spell: Speller) -> Json:
    """Return a DAG as who creates it gets it: of the cluster's store without times (`creation-answer`)."""
    unset = {"start_time": GO_ZERO, "end_time": GO_ZERO} if spell.whole_seconds else {}
    return dag_dto(dag, spell, details=False) | unset


def node_dto(node: NodeRow, spell: Speller, *, inside: bool = False) -> Json:
    """Return a node; `additional_data` is null inside a DAG."""
    return {
        "id": spell.generic_id(node.id),
        "node_id": node.id,
        "name": node.name,
        "state": node.state,
        "operator": node.operator,
        "start_time": spell.time(node.started_at),
        "end_time": spell.time(node.ended_at),
        "additional_data": None if inside else _node_data(node),
        "sub_tasks": [sub_task_dto(sub, node.name, spell, inside=True) for sub in node.sub_tasks],
    }


def sub_task_dto(sub: SubTaskRow, name: str, spell: Speller, *, inside: bool = False) -> Json:
    """Return a sub-task; its lines are null while it waits, even if earlier runs wrote some."""
    waits = sub.state in NEVER_STARTED
    return {
        "id": spell.generic_id(sub.id),
        "task_id": sub.id,
        "name": name,
        "state": sub.state,
        "operator": sub.operator,
        "start_time": spell.time(sub.started_at),
        "end_time": spell.time(sub.ended_at),
        "additional_data": None if inside else sub.data,
        "execute_times": sub.attempts,
        "execute_agent": {"ip": sub.host.ip, "port": sub.host.port},
        "task_logs": None if waits else [log.text for log in sub.logs],
    }


def log_dto(log: LogRow, spell: Speller) -> Json:
    """Return a log row, of every run."""
    stored = spell.log_time(log.at)
    return {
        "id": log.id,
        "sub_task_id": log.sub_task_id,
        "execute_times": log.attempt,
        "log_content": log.text,
        "is_sync": not spell.whole_seconds,
        "create_time": stored,
        "update_time": stored,
    }


def _node_data(node: NodeRow) -> Json | None:
    merged = _merged(sub.data for sub in node.sub_tasks)
    return merged if merged or len(node.sub_tasks) > 1 else None


def _dag_data(dag: DagRow) -> Json | None:
    if len(dag.nodes) == 1:
        return _node_data(dag.nodes[0])
    return _merged(_node_data(node) for node in dag.nodes)


def _merged(parts: Iterable[Json | None]) -> Json:
    """Return one object of all; objects under the same name are merged too."""
    merged: Json = {}
    for part in parts:
        for name, value in (part or {}).items():
            both = isinstance(value, dict) and isinstance(merged.get(name), dict)
            merged[name] = merged[name] | value if both else value
    return merged
