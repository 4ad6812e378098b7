"""What people look at: the last seen state of DAGs and clusters, with its age.

The root message, the slash command and the command line all render these values.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from bot.core.dag import DagSnapshot, Outcome


class ClusterState(StrEnum):
    """Health of a cluster as last seen."""

    OK = "ok"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"
    AUTH_FAILED = "auth_failed"
    NOT_CLUSTER_AGENT = "not_cluster_agent"
    PAUSED = "paused"
    UNKNOWN = "unknown"


class DagView(msgspec.Struct, frozen=True, kw_only=True):
    """One DAG as last seen at `checked_at`.

    `elapsed_s` and `eta_s` are seconds; unknown is None. `attempts_failed` counts earlier runs that failed.
    `unknown_since` is set while the cluster cannot be read: what is shown is as old as that.
    """

    cluster: str
    snapshot: DagSnapshot
    run: int
    outcome: Outcome | None = None
    stalled: bool = False
    quiet_s: float = 0.0
    first_seen_at: datetime
    checked_at: datetime
    elapsed_s: float | None = None
    eta_s: float | None = None
    usual_s: float | None = None
    unknown_since: datetime | None = None


class ClusterView(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster with its unfinished DAGs as last seen; `error` is one line for people."""

    name: str
    state: ClusterState
    agent: str | None = None
    checked_at: datetime | None = None
    error: str | None = None
    channel: str | None = None
    dags: tuple[DagView, ...] = ()
