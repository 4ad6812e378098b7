"""From the id in a path to a row: whose store it names, and how that store is reached.

Recordings `ids`, `foreign-local-operators`, `own-observer-down`, `other-identities`.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from bot.sandbox.agents import forwarding
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.database import Database
from bot.sandbox.agents.dto import Speller
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.faults import Fault, not_found
from bot.sandbox.agents.ids import GenericId, cluster_id, decode
from bot.sandbox.agents.request import Response
from bot.sandbox.agents.rows import DagRow, NodeRow
from bot.sandbox.agents.store import Found

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

PREFIX = "Task not found"


def elsewhere(agent: "SimulatedAgent", call: Call, *, with_body: bool = True) -> Response | None:
    """Return the answer of the agent whose store the id is of, None if no other agent is asked."""
    generic = decode(call.id)
    if generic.host is None or generic.host == agent.host:
        return None
    if generic.obproxy:
        raise not_found("obproxy task not found")
    return forwarding.to_owner(generic.host, agent, call, with_body=with_body)


def find_dag(agent: "SimulatedAgent", call: Call) -> tuple[Engine, Speller, DagRow]:
    """Return the DAG that an id names; only DAGs check that the id is spelled as they spell it."""
    generic = decode(call.id)
    note_outage(agent, generic, call)
    engine, spell = _prefixed_store(agent, generic, call.now)
    row = engine.store.dag(generic.row)
    if row is None:
        raise not_found()
    if generic.obproxy or spell.generic_id(row.id) != call.id:
        raise not_found("dag id not match")
    return engine, spell, row


def find_node(agent: "SimulatedAgent", call: Call) -> tuple[Engine, Speller, tuple[DagRow, NodeRow]]:
    """Return the node that an id names, however it is spelled."""
    generic = decode(call.id)
    engine, spell = _prefixed_store(agent, generic, call.now)
    found = engine.store.node(generic.row)
    if found is None:
        raise not_found()
    return engine, spell, found


def find_sub_task(agent: "SimulatedAgent", call: Call) -> tuple[Speller, Found]:
    """Return the sub-task that an id names, which may be an agent's own copy of a cluster's."""
    generic = decode(call.id)
    engine, spell = _prefixed_store(agent, generic, call.now)
    found = _own_or_copy(agent, engine, spell, generic.row)
    if found is None:
        raise not_found()
    return found


def find_logged(agent: "SimulatedAgent", call: Call) -> tuple[Speller, Found] | None:
    """Return the sub-task whose lines an id asks for, None for an unknown one."""
    generic = decode(call.id)
    engine, spell = _store_of(agent, generic, call.now)
    return _own_or_copy(agent, engine, spell, generic.row)


def _own_or_copy(
    agent: "SimulatedAgent", engine: Engine, spell: Speller, row: int
) -> tuple[Speller, Found] | None:
    if (found := engine.store.sub_task(row)) is not None:
        return spell, found
    if (copy := engine.store.copies.get(row)) is not None:
        return msgspec.structs.replace(agent.spell, generic_id=cluster_id), copy
    return None


def note_outage(agent: "SimulatedAgent", generic: GenericId, call: Call) -> None:
    """Count questions for a cluster's DAG while its database is down, which no client may ask."""
    cluster = agent.cluster
    if cluster is not None and generic.host is None and cluster.database is not Database.UP:
        cluster.asked_by_id_while_down += call.request.method == "GET"


def _prefixed_store(agent: "SimulatedAgent", generic: GenericId, now: datetime) -> tuple[Engine, Speller]:
    try:
        return _store_of(agent, generic, now)
    except Fault as fault:
        raise fault.prefixed(PREFIX) from None


def _store_of(agent: "SimulatedAgent", generic: GenericId, now: datetime) -> tuple[Engine, Speller]:
    """Return the store that an id names: the cluster's, or the agent's own."""
    if generic.host is None:
        return agent.cluster_engine(now), agent.cluster_spell
    return agent.local, agent.spell
