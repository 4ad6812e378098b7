"""The routes of who may come in: login, logout, the agent password.

An answer with a secret is sealed with the keys that the request's header brought (recordings `sessions`,
`single-agent-with-password`).
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.obshell.envelope import encrypt_body
from bot.sandbox.agents import gate
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.faults import OMITTED, Fault, denied
from bot.sandbox.agents.identities import SINGLE
from bot.sandbox.agents.request import Request
from bot.sandbox.agents.seals import AES_KEY_BYTES, OpenedHeader

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent


def login(agent: "SimulatedAgent", call: Call) -> str:
    """Return the sealed id of a new session."""
    if len(call.keys) < AES_KEY_BYTES:
        raise Fault(500, "Request.Body.Decrypt.AES.KeyAndIv.Invalid", "AES key and IV size error")
    session = agent.sessions.open(call.now)
    key, iv = call.keys[:AES_KEY_BYTES], call.keys[AES_KEY_BYTES:]
    return encrypt_body(session.encode(), key, iv).decode()


def logout(agent: "SimulatedAgent", call: Call) -> Any:
    """End the session that the body names; an unknown one is no error."""
    session = call.member("session_id")
    if isinstance(session, str):
        agent.sessions.close(session)
    return OMITTED


def set_password(agent: "SimulatedAgent", call: Call) -> Any:
    """Set the agent password; every session ends."""
    agent.set_agent_password(call.text("SetAgentPasswordParam", "password"))
    return OMITTED


def verify_for_password(
    agent: "SimulatedAgent", request: Request, header: OpenedHeader, now: datetime
) -> None:
    """Let those in who may set the agent password: all at a SINGLE agent without one."""
    if agent.identity == SINGLE and agent.agent_password is None:
        return
    if agent.agent_password is not None and not gate.has_agent_header(request):
        message = "Should use agent_password to verify: agent password has been set"
        raise denied("WithAgentPassword", f"Unauthorized: {message}")
    gate.verify(agent, request, header, now)
