"""Maintenance locks of a simulated task store.

One global DAG, or several tenant DAGs on different tenants; DAGs without maintenance need nothing. A DAG that
gave its lock back has to take it again for a RETRY, and is refused once a newer one used the same tenant
lock (recording `lock-given-back`). PASS releases the lock by its name, whoever holds it (recording
`pass-steals-lock`).
"""

from collections.abc import Callable

from bot.core.dag import Maintenance
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.rows import DagRow


class Locks:
    """Who holds which lock now; `generic_id` spells a DAG's id as the agent tells it.

    The store of an agent `alone` names itself as what is busy, a cluster's the DAG that holds the lock.
    """

    def __init__(self, generic_id: Callable[[int], str], *, alone: bool = False) -> None:
        self._alone = alone
        self._generic_id = generic_id
        self._global: DagRow | None = None
        self._tenants: dict[str, DagRow] = {}
        self._last_user: dict[str, DagRow] = {}

    @property
    def held(self) -> bool:
        """Whether a global DAG holds its lock, a failed one too."""
        return self._global is not None

    def take(self, dag: DagRow) -> None:
        """Give the DAG its lock; raises `Fault` when another holds it or used it since."""
        if dag.holds_lock or dag.plan.maintenance <= Maintenance.NONE:
            return
        if self._global is not None:
            raise self._busy(self._global)
        if dag.plan.maintenance is Maintenance.TENANT:
            self._take_tenant(dag)
        elif self._tenants:
            raise self._busy(next(iter(self._tenants.values())))
        else:
            self._global = dag
        dag.holds_lock = True

    def _take_tenant(self, dag: DagRow) -> None:
        key = dag.plan.key
        if key in self._tenants:
            message = f"Tenant '{key}' is under maintenance, please try again later."
            raise Fault(500, "OB.Tenant.UnderMaintenance", message)
        last = self._last_user.get(key)
        if last is not None and last.id > dag.id:
            raise Fault(500, "Task.Expired", self._expired(dag, last))
        self._tenants[key] = self._last_user[key] = dag

    def _expired(self, dag: DagRow, last: DagRow) -> str:
        return (
            f"{dag.plan.key} has already executed task {self._generic_id(last.id)}. "
            f"'{self._generic_id(dag.id)}: {dag.name}' cannot be executed. Please submit a new request"
        )

    def give_back(self, dag: DagRow) -> None:
        """Release what the DAG holds, if anything."""
        if dag.holds_lock:
            self.release_by_name(dag)

    def release_by_name(self, dag: DagRow) -> None:
        """Release the lock of the DAG's kind and key, even if a newer DAG holds it."""
        dag.holds_lock = False
        if dag.plan.maintenance is Maintenance.TENANT:
            self._tenants.pop(dag.plan.key, None)
        elif dag.plan.maintenance is Maintenance.GLOBAL:
            self._global = None

    def _busy(self, holder: DagRow) -> Fault:
        if self._alone:
            return Fault(500, "Agent.UnderMaintenance", "Agent is under maintenance")
        message = f"OceanBase cluster is under maintenance by DAG: {holder.name}, please try again later"
        return Fault(500, "OB.Cluster.UnderMaintenanceWithDag", message)
