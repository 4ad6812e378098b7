"""The routes of one DAG, node or sub-task: rows, logs, operators."""

from typing import TYPE_CHECKING, Any

from bot.sandbox.agents import finding, forwarding, operators
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.database import Database
from bot.sandbox.agents.dto import Json, log_dto, node_dto, sub_task_dto
from bot.sandbox.agents.faults import OMITTED, Fault, Panic, no_answer
from bot.sandbox.agents.identities import SCALING_OUT
from bot.sandbox.agents.ids import decode
from bot.sandbox.agents.list_api import contents, demand_known_types, detailed

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent


def dag(agent: "SimulatedAgent", call: Call) -> Any:
    """Return a DAG by its id; one that cannot be read for want of a database is asked of other agents."""
    details = call.request.show_details()
    if (told := finding.elsewhere(agent, call)) is not None:
        return told
    if agent.identity == SCALING_OUT and decode(call.id).host is None:
        return _scale_out_dag(agent, call)
    try:
        _, spell, row = finding.find_dag(agent, call)
    except Fault as fault:
        if agent.link is None or agent.ob_state(call.now) == Database.UP.value:
            raise
        return forwarding.from_peers(agent, call, fault)
    return detailed(row, spell, details=details)


def _scale_out_dag(agent: "SimulatedAgent", call: Call) -> Any:
    """Return the DAG that makes this agent a member, as its coordinator tells it, and none else."""
    if agent.ob_state(call.now) == Database.UP.value:
        raise no_answer()
    own = agent.local.store.last_maintenance()
    coordinator = own.plan.coordinator if own is not None else None
    if own is None or coordinator is None or (own.plan.main or "") != call.id:
        message = "Unexpected error: coordinate cluster agent is not found or not match"
        raise Fault(500, "Common.Unexpected", message)
    return forwarding.to_owner(coordinator, agent, call)


def node(agent: "SimulatedAgent", call: Call) -> Any:
    """Return a node; asking for it without details is a panic of the real handler."""
    if not call.request.show_details():
        raise Panic
    if (told := finding.elsewhere(agent, call)) is not None:
        return told
    _, spell, (_, row) = finding.find_node(agent, call)
    return node_dto(row, spell)


def sub_task(agent: "SimulatedAgent", call: Call) -> Any:
    """Return a sub-task, always with its lines."""
    if (told := finding.elsewhere(agent, call)) is not None:
        return told
    spell, (_, parent, row) = finding.find_sub_task(agent, call)
    return sub_task_dto(row, parent.name, spell)


def sub_task_logs(agent: "SimulatedAgent", call: Call) -> Any:
    """Return the log rows of every run; an unknown id has none."""
    if (told := finding.elsewhere(agent, call)) is not None:
        return told
    found = finding.find_logged(agent, call)
    if found is None:
        return contents([])
    spell, (_, _, row) = found
    rows: list[Json] = [log_dto(log, spell) for log in row.logs]
    return contents(rows)


def operate_dag(agent: "SimulatedAgent", call: Call) -> Any:
    """Do what an operator asks of a DAG."""
    word = call.operator("DagOperator")
    if (told := finding.elsewhere(agent, call)) is not None:
        return told
    engine, _, row = finding.find_dag(agent, call)
    demand_known_types([row], details=True)
    operators.operate_dag(engine, row, word, call.now)
    return OMITTED


def operate_node(agent: "SimulatedAgent", call: Call) -> Any:
    """Do what an operator asks of a node; to another agent the question goes without its body."""
    word = call.operator("DagOperator")
    if (told := finding.elsewhere(agent, call, with_body=False)) is not None:
        return told
    engine, _, (parent, row) = finding.find_node(agent, call)
    demand_known_types([parent], details=True)
    operators.operate_node(engine, parent, row, word, call.now)
    return OMITTED
