"""The routes of tasks: lists, single rows, logs, operators.

Which error comes with a null list, which without data, which is hidden: recordings `database-down`,
`single-agent`, `unknown-task-type`, `empty-lists`, `ids`, `foreign-local-operators`.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from bot.core.dag import Host
from bot.sandbox.agents import operators
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.cluster import Database
from bot.sandbox.agents.dto import Json, Speller, dag_dto, log_dto, node_dto, sub_task_dto
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.faults import OMITTED, Fault, Panic, no_answer, not_found
from bot.sandbox.agents.gate import CLUSTER_AGENT
from bot.sandbox.agents.ids import GenericId, decode
from bot.sandbox.agents.rows import DagRow, NodeRow, SubTaskRow

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

SCALING_OUT = "SCALING OUT"
SCALING = (SCALING_OUT, "SCALING IN")
PREFIX = "Task not found"


# --- lists -----------------------------------------------------------------------------------------------


def cluster_unfinished(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the cluster's unfinished DAGs; every failure stands beside a null list."""
    details = call.request.show_details()
    _demand_cluster_agent(agent)
    try:
        engine, spell = _cluster_store(agent, call.now)
        dags = engine.store.unfinished()
        _demand_known_types(dags, details=details)
    except Fault as fault:
        raise fault.beside(_contents(None)) from None
    return _dags(dags, spell, details=details)


def agent_unfinished(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the unfinished DAGs of the agent's own store."""
    details = call.request.show_details()
    return _dags(agent.local.store.unfinished(), agent.spell, details=details)


def all_unfinished(agent: "SimulatedAgent", call: Call) -> Json:
    """Return all agents' local DAGs and the cluster's; what cannot be read is left out without a word."""
    details = call.request.show_details()
    if agent.identity in SCALING:
        message = f"Agent identify is unknown: {agent.identity}"
        raise Fault(500, "Agent.Identify.Unknown", message)
    if agent.identity != CLUSTER_AGENT or agent.cluster is None:
        return agent_unfinished(agent, call)
    found = [
        dag_dto(dag, peer.spell, details=details)
        for peer in agent.cluster.agents
        if peer.listening
        for dag in peer.local.store.unfinished()
    ]
    with suppress(Fault):
        found += cluster_unfinished(agent, call)["contents"]
    return _contents(found or None)


def cluster_dags(agent: "SimulatedAgent", call: Call) -> Json:
    """Return all DAGs the cluster ever had; those of an unknown type are skipped when details are asked."""
    details = call.request.show_details()
    _demand_cluster_agent(agent)
    engine, spell = _cluster_store(agent, call.now)
    known = [dag for dag in engine.store.dags if not (details and dag.unknown_type)]
    return _dags(known, spell, details=details)


def agent_dags(agent: "SimulatedAgent", call: Call) -> Json:
    """Return all DAGs this agent ever had."""
    return _dags(agent.local.store.dags, agent.spell, details=call.request.show_details())


def cluster_maintenance(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the newest maintenance DAG of the cluster, finished or not; asks for no identity."""
    details = call.request.show_details()
    engine, spell = _cluster_store(agent, call.now)
    dag = engine.store.last_maintenance()
    if dag is None:
        raise not_found("Cluster is not under maintenance")
    return _detailed(dag, spell, details=details)


def agent_maintenance(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the newest maintenance DAG of this agent."""
    details = call.request.show_details()
    dag = agent.local.store.last_maintenance()
    if dag is None:
        raise not_found("Agent is not under maintenance")
    return dag_dto(dag, agent.spell, details=details)


def agents_maintenance(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the newest maintenance DAGs of all agents; panics when this one never had any."""
    details = call.request.show_details()
    if agent.local.store.last_maintenance() is None:
        raise Panic
    peers = agent.cluster.agents if agent.cluster else [agent]
    newest = [(peer, peer.local.store.last_maintenance()) for peer in peers if peer.listening]
    return _contents([dag_dto(dag, peer.spell, details=details) for peer, dag in newest if dag])


def main_dags(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the DAGs that unfinished sub-DAGs name as theirs; inherits the panic of the list above."""
    agents_maintenance(agent, call)
    return _contents([])


# --- one row ---------------------------------------------------------------------------------------------


def dag(agent: "SimulatedAgent", call: Call) -> Json:
    """Return a DAG by its id."""
    details = call.request.show_details()
    _, spell, row = _find_dag(agent, call)
    return _detailed(row, spell, details=details)


def node(agent: "SimulatedAgent", call: Call) -> Json:
    """Return a node; asking for it without details is a panic of the real handler."""
    if not call.request.show_details():
        raise Panic
    _, spell, (_, row) = _find_node(agent, call)
    return node_dto(row, spell)


def sub_task(agent: "SimulatedAgent", call: Call) -> Json:
    """Return a sub-task, always with its lines."""
    generic = decode(call.id)
    engine, spell = _prefixed_store(agent, generic, call)
    found = engine.store.sub_task(generic.row)
    if found is None:
        raise not_found()
    _, parent, row = found
    return sub_task_dto(row, parent.name, spell)


def sub_task_logs(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the log rows of every run; an unknown id has none."""
    generic = decode(call.id)
    engine, spell = _store_of(agent, generic, call)
    found = engine.store.sub_task(generic.row)
    rows = _last(found).logs if found is not None else []
    return _contents([log_dto(row, spell) for row in rows])


def operate_dag(agent: "SimulatedAgent", call: Call) -> Any:
    """Do what an operator asks of a DAG."""
    word = call.operator("DagOperator")
    engine, _, row = _find_dag(agent, call)
    _demand_known_types([row], details=True)
    operators.operate_dag(engine, row, word, call.now)
    return OMITTED


def operate_node(agent: "SimulatedAgent", call: Call) -> Any:
    """Do what an operator asks of a node."""
    word = call.operator("NodeOperator")
    engine, _, (parent, row) = _find_node(agent, call)
    _demand_known_types([parent], details=True)
    operators.operate_node(engine, parent, row, word, call.now)
    return OMITTED


# --- finding ---------------------------------------------------------------------------------------------


def _find_dag(agent: "SimulatedAgent", call: Call) -> tuple[Engine, Speller, DagRow]:
    """Return the DAG that an id names; only DAGs check that the id is spelled as they spell it."""
    generic = decode(call.id)
    if generic.host is None and agent.identity == SCALING_OUT:
        raise no_answer()
    _note_storm(agent, generic, call)
    engine, spell = _prefixed_store(agent, generic, call)
    row = engine.store.dag(generic.row)
    if row is None:
        raise not_found()
    if spell.generic_id(row.id) != call.id:
        raise not_found("dag id not match")
    return engine, spell, row


def _find_node(agent: "SimulatedAgent", call: Call) -> tuple[Engine, Speller, tuple[DagRow, NodeRow]]:
    generic = decode(call.id)
    engine, spell = _prefixed_store(agent, generic, call)
    found = engine.store.node(generic.row)
    if found is None:
        raise not_found()
    return engine, spell, found


def _note_storm(agent: "SimulatedAgent", generic: GenericId, call: Call) -> None:
    """Count questions by id while the database is down: real agents then call each other without end."""
    cluster = agent.cluster
    if cluster is not None and generic.host is None and cluster.database is not Database.UP:
        cluster.asked_by_id_while_down += call.request.method == "GET"


def _prefixed_store(agent: "SimulatedAgent", generic: GenericId, call: Call) -> tuple[Engine, Speller]:
    try:
        return _store_of(agent, generic, call)
    except Fault as fault:
        if generic.host is not None:
            raise
        raise fault.prefixed(PREFIX) from None


def _store_of(agent: "SimulatedAgent", generic: GenericId, call: Call) -> tuple[Engine, Speller]:
    """Return the store that an id names: the cluster's, or that of the agent whose address is inside."""
    if generic.host is None:
        return _cluster_store(agent, call.now)
    peer = agent.peer(generic.host)
    if peer is None:
        _fail_to_dial(generic.host, call)
    return peer.local, peer.spell


def _cluster_store(agent: "SimulatedAgent", now: datetime) -> tuple[Engine, Speller]:
    engine = agent.cluster_engine(now)
    return engine, agent.cluster.spell if agent.cluster else agent.spell


def _fail_to_dial(host: Host, call: Call) -> NoReturn:
    verb = call.request.method.capitalize()
    message = f'{verb} "http://{host}{call.request.target}": dial tcp {host}: connect: connection refused'
    raise Fault(500, "Common.Unexpected", message)


def _demand_cluster_agent(agent: "SimulatedAgent") -> None:
    if agent.identity != CLUSTER_AGENT:
        raise no_answer()


def _demand_known_types(dags: Iterable[DagRow], *, details: bool) -> None:
    unknown = next((dag.unknown_type for dag in dags if dag.unknown_type), None)
    if details and unknown:
        raise Fault(500, "Common.Unexpected", f"task type {unknown} not register")


def _detailed(row: DagRow, spell: Speller, *, details: bool) -> Json:
    try:
        _demand_known_types([row], details=details)
    except Fault as fault:
        raise fault.beside(dag_dto(row, spell, details=False)) from None
    return dag_dto(row, spell, details=details)


def _dags(dags: Iterable[DagRow], spell: Speller, *, details: bool) -> Json:
    return _contents([dag_dto(dag, spell, details=details) for dag in dags])


def _contents(items: list[Json] | None) -> Json:
    return {"contents": items}


def _last(found: tuple[DagRow, NodeRow, SubTaskRow]) -> SubTaskRow:
    return found[2]
