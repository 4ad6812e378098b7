"""The route from which a client learns the other agents of a cluster; its shape is that of obshell's source.

With the database down it tells what the agent itself remembers, an empty description of the cluster beside.
"""

from typing import TYPE_CHECKING

from bot.sandbox.agents.call import Call
from bot.sandbox.agents.dto import Json
from bot.sandbox.agents.faults import Fault, identity_unknown
from bot.sandbox.agents.identities import MASTER, SCALING_IN, SINGLE, UNIDENTIFIED
from bot.sandbox.agents.open_api import OB_VERSION, SQL_PORT_STEP

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

RPC_PORT_STEP = -4


def info(agent: "SimulatedAgent", call: Call) -> Json:
    """Return the agents of the cluster and what the database knows of it."""
    if agent.identity in {SINGLE, SCALING_IN}:
        return _told([agent], _nothing())
    if agent.identity == UNIDENTIFIED:
        raise identity_unknown(agent.identity)
    members = sorted((agent, *agent.others), key=agent.neighbours.index)
    if agent.identity == MASTER:
        return _told(members, _nothing())
    try:
        agent.cluster_engine(call.now)
    except Fault:
        return _told(members, _nothing(agent))
    return _told(members, _cluster(agent, members))


def _told(agents: list["SimulatedAgent"], cluster: Json) -> Json:
    return {"agent_info": [_agent(agent) for agent in agents], "obcluster_info": cluster}


def _agent(agent: "SimulatedAgent") -> Json:
    return {
        "ip": agent.host.ip,
        "port": agent.host.port,
        "zone": agent.zone_name,
        "identity": agent.identity,
        "version": agent.release.told,
    }


def _nothing(agent: "SimulatedAgent | None" = None) -> Json:
    """Return what is told of a cluster that cannot be asked; name and number are remembered."""
    known = agent is not None and agent.cluster is not None
    return {
        "id": 1 if known else 0,
        "name": agent.cluster.name if agent is not None and agent.cluster is not None else "",
        "version": "",
        "topology": None,
        "is_shared_storage": False,
    }


def _cluster(agent: "SimulatedAgent", members: list["SimulatedAgent"]) -> Json:
    zones: dict[str, list[Json]] = {}
    for at, member in enumerate(members):
        zones.setdefault(member.zone_name, []).append(_server(member, with_root=at == 0))
    return _nothing(agent) | {"version": OB_VERSION, "topology": zones}


def _server(agent: "SimulatedAgent", *, with_root: bool) -> Json:
    return {
        "svr_ip": agent.host.ip,
        "svr_port": agent.host.port + RPC_PORT_STEP,
        "sql_port": agent.host.port + SQL_PORT_STEP,
        "agent_port": agent.host.port,
        "with_rootserver": "YES" if with_root else "NO",
        "status": "ACTIVE",
        "build_version": f"{OB_VERSION}_101000042025031818",
    }
