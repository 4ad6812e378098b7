"""Machine output: the JSON of `--json`. Unknown values are null, times ISO 8601 UTC ending in `Z`."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import typer

from bot.core.dag import Stage
from bot.core.views import ClusterView, DagView
from bot.store.clusters import Cluster, HealthRow


def write(value: object) -> None:
    """Print a value as JSON to stdout."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def instant(value: datetime | None) -> str | None:
    """Return a time as the product spells it."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def clusters(views: tuple[ClusterView, ...]) -> dict[str, Any]:
    """Return the object of `status --json`."""
    return {
        "clusters": [
            {
                "name": view.name,
                "state": view.state.value,
                "agent": view.agent,
                "checked_at": instant(view.checked_at),
                "error": view.error,
                "dags": [dag(each) for each in view.dags],
            }
            for view in views
        ]
    }


def dag(view: DagView) -> dict[str, Any]:
    """Return one DAG."""
    seen = view.snapshot
    return {
        "id": seen.id,
        "name": seen.name,
        "state": seen.state.value,
        "operator": seen.operator.value,
        "outcome": view.outcome.value if view.outcome else None,
        "stage": seen.stage,
        "max_stage": seen.max_stage,
        "stage_name": seen.stage_name,
        "started_at": instant(seen.started_at),
        "elapsed_s": _seconds(view.elapsed_s),
        "eta_s": _seconds(view.eta_s),
        "stalled": view.stalled,
        "run": view.run,
    }


def dag_with_stages(view: DagView) -> dict[str, Any]:
    """Return the object of `show --json`: the DAG, and `stages` (null when no answer held them)."""
    stages = view.snapshot.stages
    return {**dag(view), "stages": None if stages is None else [_stage(stage) for stage in stages]}


def registration(cluster: Cluster, row: HealthRow) -> dict[str, Any]:
    """Return a registered cluster, without its password."""
    registered = cluster.registration
    return {
        "name": cluster.name,
        "state": "paused" if cluster.paused else row.state.value,
        "agents": list(registered.urls),
        "channel": registered.channel,
        "interval_s": registered.interval_s,
        "stall_after_s": registered.stall_after_s,
        "scope": registered.scope,
        "user": registered.user,
        "runbook": registered.runbook,
        "ca_file": registered.ca_file,
        "client_cert": registered.client_cert,
        "client_key": registered.client_key,
        "insecure": registered.insecure,
        "paused": cluster.paused,
        "checked_at": instant(row.checked_at),
        "error": row.error,
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "position": stage.position,
        "name": stage.name,
        "state": stage.state.value,
        "operator": stage.operator.value,
        "started_at": instant(stage.started_at),
        "ended_at": instant(stage.ended_at),
        "hosts": sorted({str(task.host) for task in stage.sub_tasks if task.host}),
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
