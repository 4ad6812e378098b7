"""The routes that list DAGs, and those of the newest maintenance.

Which error comes with a null list, which without data, which is hidden: recordings `database-down`,
`single-agent`, `unknown-task-type`, `empty-lists`, `wait-operator`, `follower-agent`, `other-identities`.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from bot.sandbox.agents.call import Call
from bot.sandbox.agents.dto import Json, Speller, dag_dto
from bot.sandbox.agents.faults import Fault, Panic, identity_unknown, no_answer, not_found
from bot.sandbox.agents.identities import CLUSTER_AGENT, SCALING, UNIDENTIFIED
from bot.sandbox.agents.ids import decode
from bot.sandbox.agents.rows import DagRow

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent


def cluster_unfinished(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the cluster's unfinished DAGs; every failure stands beside a null list."""
    details = call.request.show_details()
    _demand_cluster_agent(agent)
    try:
        dags = agent.cluster_engine(call.now).store.unfinished()
        demand_known_types(dags, details=details)
    except Fault as fault:
        raise fault.beside(contents(None)) from None
    return _dags(dags, agent.cluster_spell, details=details)


def agent_unfinished(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the unfinished DAGs of the agent's own store."""
    details = call.request.show_details()
    return _dags(agent.local.store.unfinished(), agent.spell, details=details)


def all_unfinished(agent: "SimulatedAgent", call: Call) -> Json:
    """Return all agents' local DAGs and the cluster's; what cannot be read is left out without a word."""
    details = call.request.show_details()
    if agent.identity in {*SCALING, UNIDENTIFIED}:
        raise identity_unknown(agent.identity)
    if agent.identity != CLUSTER_AGENT:
        return agent_unfinished(agent, call)
    found = [
        dag_dto(dag, peer.spell, details=details)
        for peer in (agent, *agent.others)
        if peer.listening
        for dag in peer.local.store.unfinished()
    ]
    with suppress(Fault):
        found += cluster_unfinished(agent, call)["contents"]
    return contents(found or None)


def cluster_dags(agent: "SimulatedAgent", call: Call) -> Json:
    """Return all DAGs the cluster ever had; those of an unknown type are skipped when details are asked."""
    details = call.request.show_details()
    _demand_cluster_agent(agent)
    dags = agent.cluster_engine(call.now).store.dags
    known = [dag for dag in dags if not (details and dag.unknown_type)]
    return _dags(known, agent.cluster_spell, details=details)


def agent_dags(agent: "SimulatedAgent", call: Call) -> Json:
    """Return all DAGs this agent ever had."""
    return _dags(agent.local.store.dags, agent.spell, details=call.request.show_details())


def cluster_maintenance(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the newest maintenance DAG of the cluster, finished or not; asks for no identity."""
    details = call.request.show_details()
    dag = agent.cluster_engine(call.now).store.last_maintenance()
    if dag is None:
        raise not_found("Cluster is not under maintenance")
    return detailed(dag, agent.cluster_spell, details=details)


def agent_maintenance(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the newest maintenance DAG of this agent, or of the FOLLOWER that forwarded the question."""
    details = call.request.show_details()
    owner = agent.peer(call.origin) if call.origin is not None else agent
    dag = owner.local.store.last_maintenance() if owner is not None else None
    if owner is None or dag is None:
        raise not_found("Agent is not under maintenance")
    return dag_dto(dag, owner.spell, details=details)


def agents_maintenance(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the newest maintenance DAGs of all agents; panics when this one never had any."""
    details = call.request.show_details()
    if agent.local.store.last_maintenance() is None:
        raise Panic
    peers = [agent, *(peer for peer in agent.others if peer.listening)]
    newest = [(peer, peer.local.store.last_maintenance()) for peer in peers]
    return contents([dag_dto(dag, peer.spell, details=details) for peer, dag in newest if dag])


def main_dags(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the DAGs that unfinished sub-DAGs name as theirs; inherits the panic of the list above."""
    subs = agents_maintenance(agent, call)["contents"]
    unfinished = [sub for sub in subs if sub["state"] != "SUCCEED"]
    named = [(sub["additional_data"] or {}).get("main_dag_id") for sub in unfinished]
    found = (_main_dag(agent, call, name) for name in dict.fromkeys(filter(None, named)))
    return contents([dag for dag in found if dag is not None])


def _main_dag(agent: "SimulatedAgent", call: Call, name: str) -> Json | None:
    generic = decode(name)
    if generic.host is None:
        with suppress(Fault):
            dag = agent.cluster_engine(call.now).store.dag(generic.row)
            return dag_dto(dag, agent.cluster_spell, details=True) if dag else None
        return None
    owner = agent.peer(generic.host)
    dag = owner.local.store.dag(generic.row) if owner else None
    return dag_dto(dag, owner.spell, details=True) if owner and dag else None


def _demand_cluster_agent(agent: "SimulatedAgent") -> None:
    if agent.identity != CLUSTER_AGENT:
        raise no_answer()


def demand_known_types(dags: Iterable[DagRow], *, details: bool) -> None:
    """Raise `Fault` for a DAG whose row names a task type that the agent does not know."""
    unknown = next((dag.unknown_type for dag in dags if dag.unknown_type), None)
    if details and unknown:
        raise Fault(500, "Common.Unexpected", f"task type {unknown} not register")


def detailed(row: DagRow, spell: Speller, *, details: bool) -> Json:
    """Return a DAG; one of an unknown type is told in short beside the error."""
    try:
        demand_known_types([row], details=details)
    except Fault as fault:
        raise fault.beside(dag_dto(row, spell, details=False)) from None
    return dag_dto(row, spell, details=details)


def _dags(dags: Iterable[DagRow], spell: Speller, *, details: bool) -> Json:
    return contents([dag_dto(dag, spell, details=details) for dag in dags])


def contents(items: list[Json] | None) -> Json:
    """Return a list as it is told."""
    return {"contents": items}
