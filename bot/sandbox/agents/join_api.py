"""The route by which SINGLE agents become a cluster to be (recordings `join-self`, `join-to-master`)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bot.core.dag import Host, Maintenance
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.deeds import Doing
from bot.sandbox.agents.dto import Json, created_dto
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.identities import FOLLOWER, MASTER
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

QUICK_S = 0.004


def join(agent: "SimulatedAgent", call: Call) -> Json:
    """Create the DAG that makes the agent MASTER, or FOLLOWER of the MASTER whom the body names."""
    master, zone = _master(call.member("agentInfo")), call.member("zoneName")
    agent.zone_name = zone if isinstance(zone, str) else agent.zone_name
    plan = _join_self(agent) if master == agent.host else _join_to_master(agent, master)
    return created_dto(agent.local.create(plan, call.now), agent.spell)


def _master(told: Any) -> Host:
    if (
        not isinstance(told, dict)
        or not isinstance(told.get("ip"), str)
        or not isinstance(told.get("port"), int)
    ):
        failed = "Error:Field validation for 'AgentInfo' failed on the 'required' tag"
        message = f"Bind JSON failed: Key: 'JoinApiParam.AgentInfo' {failed}"
        raise Fault(400, "Common.BindJsonFailed", message)
    return Host(told["ip"], told["port"])


def _join_self(agent: "SimulatedAgent") -> DagPlan:
    stage = _stage("Join self", ("set agent identity to master",), lambda: agent.become(MASTER))
    return DagPlan(name="Join self", stages=(stage,), maintenance=Maintenance.GLOBAL)


def _join_to_master(agent: "SimulatedAgent", master: Host) -> DagPlan:
    joined = f"join to master success, master agent info: {master}"
    lines = ("creating token", "token created", "send join rpc to master", joined)
    stages = (
        _stage("Join to master", lines, lambda: None),
        _stage(
            "Be follower", ("set agent identity to follower",), lambda: agent.become(FOLLOWER, master=master)
        ),
    )
    return DagPlan(name="Join to master", stages=stages, maintenance=Maintenance.GLOBAL)


def _stage(name: str, lines: tuple[str, ...], act: Callable[[], None]) -> StagePlan:
    """Return a stage for which no operator is allowed."""

    def deed(_: Doing) -> bool:
        act()
        return True

    part = PartPlan(runs=(Work(lines=lines, seconds=QUICK_S, deed=deed),))
    return StagePlan(
        name=name, parts=(part,), retryable=False, rollbackable=False, cancellable=False, passable=False
    )
