"""Cluster scale out: a DAG in the cluster's store, and Local scale out in that of the agent that joins.

The local DAG pauses twice by failing on purpose; the cluster's retries it. Names, stages and their order are
those of the product.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from bot.core.dag import Maintenance, State
from bot.sandbox.agents import operators
from bot.sandbox.agents.deeds import Doing
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.identities import CLUSTER_AGENT, SCALING_OUT
from bot.sandbox.agents.plans import DagPlan, Deed, PartPlan, StagePlan, Work
from bot.sandbox.agents.rows import DagRow
from bot.sandbox.agents.runs import WAITS_FOR_OPERATOR

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent
    from bot.sandbox.agents.cluster import SimulatedCluster

QUICK_S = 0.05
READY_STAGE, DEPLOYED_STAGE, STARTED_STAGE = 2, 4, 6


def scale_out(
    cluster: "SimulatedCluster",
    newcomer: "SimulatedAgent",
    now: datetime,
    *,
    zone: str = "zone4",
    seconds: float = 2.0,
    error: str | None = None,
) -> DagRow:
    """Begin to make a SINGLE agent a member; returns the cluster's DAG.

    Working directory and observer take so many `seconds` each; with an `error` the observer does not start.
    """
    joining = _Joining(cluster, newcomer, zone=zone, seconds=seconds, error=error)
    return cluster.create(joining.plan(), now)


class _Joining:
    """One scale-out: the two DAGs and what they wait for."""

    def __init__(
        self,
        cluster: "SimulatedCluster",
        newcomer: "SimulatedAgent",
        *,
        zone: str,
        seconds: float,
        error: str | None,
    ) -> None:
        self._cluster, self._newcomer = cluster, newcomer
        self._zone, self._seconds, self._error = zone, seconds, error
        self._local: DagRow | None = None
        self._retried: set[int] = set()

    def plan(self) -> DagPlan:
        """Return the cluster's DAG."""
        stages = (
            _stage("Integrate server config"),
            _stage("Create local scale out dag", deed=self._create),
            _stage("Wait scale out ready", deed=self._wait_paused(READY_STAGE)),
            _stage("Wait remote deploy finish", deed=self._lead_to(READY_STAGE, DEPLOYED_STAGE)),
            _stage("Wait remote start finish", deed=self._lead_to(DEPLOYED_STAGE, STARTED_STAGE)),
            _stage("Prev check for scale_out", "PrevCheckTask execute"),
            _stage("Add server for scale_out", "AddServerTask execute"),
            _stage("Add agent for scale_out"),
            _stage("Check cluster scale_out whether finished", "FinishTask execute", deed=self._is_member),
        )
        return DagPlan(name="Cluster scale out", stages=stages, maintenance=Maintenance.GLOBAL)

    def _create(self, doing: Doing) -> bool:
        main = self._cluster.spell.generic_id(doing.dag.id)
        self._local = self._newcomer.local.create(self._local_plan(doing, main), doing.now)
        created = self._newcomer.local_id(self._local.id)
        doing.say(f"create local scale out dag success, genericID:{created}")
        return True

    def _local_plan(self, doing: Doing, main: str) -> DagPlan:
        start = Work(lines=("start observer",), seconds=self._seconds, error=self._error)
        deploy = Work(lines=("create observer workdir",), seconds=self._seconds)
        stages = (
            _stage("Be scaling agent", deed=self._be_scaling, data={"main_dag_id": main}),
            _pause(),
            StagePlan(name="Create observer workdir", parts=(PartPlan(runs=(deploy,)),), passable=False),
            _pause(),
            StagePlan(name="Start observer", parts=(PartPlan(runs=(start,)),), passable=False),
            _stage(
                "Watch cluster scale_out dag", "Watch cluster scale out dag", deed=self._waits_for(doing.dag)
            ),
            _stage("Sync from observer", deed=self._join),
        )
        return DagPlan(
            name="Local scale out",
            stages=stages,
            maintenance=Maintenance.GLOBAL,
            main=main,
            coordinator=doing.sub.host,
        )

    def _be_scaling(self, _: Doing) -> bool:
        self._newcomer.become(SCALING_OUT)
        return True

    def _wait_paused(self, stage: int) -> Deed:
        def deed(_: Doing) -> bool:
            return (
                self._local is not None and self._local.state is State.FAILED and self._local.stage == stage
            )

        return deed

    def _lead_to(self, from_stage: int, stage: int) -> Deed:
        """Return the deed that lets the local DAG go on once, and waits for its next stop."""

        def deed(doing: Doing) -> bool:
            local = self._local
            if local is None:
                raise Fault(500, "Common.Unexpected", "local scale out dag not found")
            if from_stage not in self._retried:
                self._retried.add(from_stage)
                operators.retry(self._newcomer.local, local, doing.now)
            if local.state is State.FAILED and not _is_paused(local):
                self._retried.discard(from_stage)
                raise Fault(500, "Common.Unexpected", f"Remote task {local.node.name} failed")
            return local.stage >= stage

        return deed

    def _waits_for(self, main: DagRow) -> Deed:
        def deed(_: Doing) -> bool:
            return main.stage == len(main.nodes)

        return deed

    def _join(self, doing: Doing) -> bool:
        self._cluster.admit(self._newcomer, doing.now, zone=self._zone)
        return True

    def _is_member(self, _: Doing) -> bool:
        return self._newcomer.identity == CLUSTER_AGENT


def _is_paused(dag: DagRow) -> bool:
    logs = dag.node.sub_tasks[0].logs
    return bool(logs) and logs[-1].text == WAITS_FOR_OPERATOR


def _stage(
    name: str, *lines: str, deed: Deed | None = None, data: dict[str, object] | None = None
) -> StagePlan:
    work = Work(lines=lines, seconds=QUICK_S, deed=deed)
    return StagePlan(name=name, parts=(PartPlan(runs=(work,), data=data),), cancellable=False, passable=False)


def _pause() -> StagePlan:
    runs = (Work(seconds=QUICK_S, pauses=True), Work(seconds=QUICK_S))
    return StagePlan(
        name="Start preparations", parts=(PartPlan(runs=runs),), cancellable=False, passable=False
    )
