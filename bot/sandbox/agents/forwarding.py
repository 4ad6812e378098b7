"""What agents ask each other: a FOLLOWER its MASTER, all the owner of a local id, and peers for a DAG.

With the databases of several agents gone, each question for a DAG is passed on to the first other agent,
which passes it on to the first other agent, and so on until both have no file descriptors left (recording
`dag-by-id-without-database`).
"""

from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from bot.core.dag import Host
from bot.sandbox.agents import gate
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.database import Database
from bot.sandbox.agents.faults import Fault, Storm, denied
from bot.sandbox.agents.ids import decode
from bot.sandbox.agents.request import Response
from bot.sandbox.agents.seals import OpenedHeader

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

OPEN_FILES = 20000
"""How many calls the recorded agents could have open at the same time."""


def to_master(agent: "SimulatedAgent", call: Call, header: OpenedHeader) -> Response:
    """Return the answer of a FOLLOWER's MASTER, to whom it passes the client's header (`follower-agent`)."""
    if gate.has_agent_header(call.request):
        message = "Header not found when auto-forwarding request to master"
        raise Fault(500, "Request.Forward.Header.NotExist", message)
    master = agent.peer(agent.master) if agent.master is not None else None
    if master is None:
        raise denied("Unauthorized", "Authentication failed")
    plain = msgspec.structs.replace(call.request, body=call.body)
    return master.respond_to_agent(plain, call.now, header=header, origin=agent.host)


def to_owner(host: Host, agent: "SimulatedAgent", call: Call, *, with_body: bool = True) -> Response:
    """Return the answer of the agent whose store an id is of; raises `Fault` if it cannot be reached."""
    owner = agent.peer(host)
    if owner is None:
        _fail_to_dial(host, call)
    plain = msgspec.structs.replace(call.request, body=call.body if with_body else b"")
    return owner.respond_to_agent(plain, call.now)


def _fail_to_dial(host: Host, call: Call) -> NoReturn:
    verb = call.request.method.capitalize()
    message = f'{verb} "http://{host}{call.request.target}": dial tcp {host}: connect: connection refused'
    raise Fault(500, "Common.Unexpected", message)


def from_peers(agent: "SimulatedAgent", call: Call, own: Fault) -> Any:
    """Return the DAG that this agent cannot read, as another agent tells it; raises its `own` error if none.

    Raises `Storm` when agents without a database go on asking each other: each asks the first other one, and
    for an unknown DAG of its own store every one sends it back.
    """
    first = next((peer for peer in agent.others if peer.listening), None)
    if first is not None and decode(call.id).host is not None:
        _storm((agent, first), own)
    found = _ask_others(agent, call, own, (agent,))
    if found is None:
        raise own
    return found


def _ask_others(
    agent: "SimulatedAgent", call: Call, own: Fault, asked: tuple["SimulatedAgent", ...]
) -> Any | None:
    for peer in agent.others:
        if not peer.listening:
            continue
        _count(agent, 1)
        if peer in asked:
            _storm((agent, peer), own)
        if peer.ob_state(call.now) != Database.UP.value:
            found = _ask_others(peer, call, own, (*asked, peer))
        else:
            found = _data(peer.respond_to_agent(call.request, call.now))
        if found is not None:
            return found
    return None


def _data(response: Response) -> Any | None:
    envelope = msgspec.json.decode(response.body)
    return envelope["data"] if envelope["successful"] else None


def _count(agent: "SimulatedAgent", calls: int) -> None:
    if agent.cluster is not None:
        agent.cluster.calls_between_agents += calls


def _storm(agents: tuple["SimulatedAgent", ...], own: Fault) -> NoReturn:
    """Let agents call each other until they have no file descriptors left; both are crippled then."""
    for agent in agents:
        _count(agent, OPEN_FILES)
        if agent.link is not None:
            agent.link.out_of_files = True
    if agents[0].cluster is not None:
        agents[0].cluster.storms += 1
    raise Storm(own)
