"""What is known of DAGs and stages by name.

Names are no stable key: they are matched by prefix, and an unknown name gets the cautious answer.
"""

from bot.core.dag import DagSnapshot, Maintenance, Operator

SILENT_STAGE_S = 3000.0
"""Stages that wait inside the database log nothing for up to an hour; the agent ends a sub-task at 3600 s, so
an alarm after this time still leaves ten minutes to look."""

_SILENT_STAGES = (
    "Alter tenant locality",
    "Wait backup Finish",
    "Start backup",
    "Open archive log",
    "Start restore",
    "Wait restore task finish",
    "Wait tenant purge finished",
    "Wait delete observer success",
    "Import script for tenant",
    "Minor freeze before stop server",
    "Execute upgrade",
)

_OPERATORS: tuple[tuple[str, tuple[Operator, ...]], ...] = (
    ("Cluster scale out", (Operator.RETRY, Operator.ROLLBACK)),
    ("Drop tenant", (Operator.RETRY, Operator.PASS)),
    ("Cancel restore", (Operator.RETRY, Operator.PASS)),
    ("OB stop service upgrade", (Operator.RETRY,)),
    ("OB rolling upgrade", (Operator.RETRY,)),
    ("Join self", ()),
    ("Join to master", ()),
    ("Follower remove self", ()),
    ("Agent to single", ()),
    ("Remove all agents", ()),
)

_KEEPS_TENANT_LOCK = ("Cancel restore", "Set obcluster backup config for")
_GIVES_GLOBAL_LOCK_BACK = ("Take over agent update agent version",)


def stall_time(stage_name: str | None, default_s: float) -> float:
    """Return how many seconds without progress are normal for a stage."""
    if stage_name is not None and stage_name.startswith(_SILENT_STAGES):
        return max(default_s, SILENT_STAGE_S)
    return default_s


def operators_after_failure(snapshot: DagSnapshot) -> tuple[str, ...]:
    """Return the operators that make sense for a failed DAG; the agent alone knows which it allows."""
    for prefix, operators in _OPERATORS:
        if snapshot.name.startswith(prefix):
            return tuple(o.value for o in operators)
    if snapshot.operator is Operator.ROLLBACK:
        return (Operator.ROLLBACK.value, Operator.PASS.value)
    return (Operator.RETRY.value, Operator.ROLLBACK.value, Operator.PASS.value)


def holds_lock(snapshot: DagSnapshot) -> bool | None:
    """Return whether a failed DAG still blocks others; None when the agent is too old to say.

    A global DAG keeps the cluster's lock until somebody acts; nearly all tenant DAGs give theirs back
    (recording `lock-given-back`); the first stage of a scale in gives it back too.
    """
    match snapshot.maintenance:
        case Maintenance.NONE:
            return False
        case Maintenance.TENANT:
            return snapshot.name.startswith(_KEEPS_TENANT_LOCK)
        case Maintenance.GLOBAL:
            first_of_scale_in = snapshot.name.startswith("Cluster scale in") and snapshot.stage == 1
            return not (first_of_scale_in or snapshot.name.startswith(_GIVES_GLOBAL_LOCK_BACK))
        case _:
            return None
