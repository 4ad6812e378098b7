"""Who may ask: the order of checks and the table of passwords of a real agent.

Facts from the recordings `auth-header`, `auth-password`, `auth-agent-password`, `single-agent`,
`single-agent-with-password` and `sessions`. Nobody can log in here, so every session id is an invalid one.
"""

import re
from collections.abc import Callable
from typing import Protocol

from bot.sandbox.agents.faults import Fault, denied
from bot.sandbox.agents.request import Request
from bot.sandbox.agents.seals import OpenedHeader

ROOT_HEADER = "x-ocs-header"
AGENT_HEADER = "x-ocs-agent-header"
OBPROXY_PATH = re.compile(r"/api/v1/task/(?:dag|node|sub_task)/[45][^/]*(?:/logs)?")
SINGLE = "SINGLE"
CLUSTER_AGENT = "CLUSTER AGENT"


class Keeper(Protocol):
    """What the gate must know of an agent; passwords are compared by the agent itself."""

    @property
    def identity(self) -> str:
        """The agent's identity, in its own words."""
        ...

    @property
    def agent_password(self) -> str | None:
        """The agent password, None when none was ever set."""
        ...

    def knows_root(self, password: str) -> bool:
        """Whether that is root's password: known, or accepted by the database."""
        ...


def sealed_value(request: Request) -> str | None:
    """Return the value of the header that counts, None when there is none; an empty one counts as none."""
    return request.headers.get(AGENT_HEADER) or request.headers.get(ROOT_HEADER) or None


def verify(keeper: Keeper, request: Request, header: OpenedHeader | None) -> None:
    """Let the request pass; raises `Fault` with the agent's refusal."""
    if header is None:
        message = "X-OCS-Agent-Header or X-OCS-Header not found in http request header"
        raise Fault(400, "Request.Header.NotFound", message)
    by_agent_password = bool(request.headers.get(AGENT_HEADER))
    obproxy = OBPROXY_PATH.fullmatch(request.path) is not None
    if obproxy and not by_agent_password:
        raise _wrong_header("this route only support agent password")
    if header.uri != request.target:
        raise denied("Header.UriMismatch", "URI mismatch")
    if header.session_id and keeper.identity == CLUSTER_AGENT:
        _demand_life(header, request, prefix="")
        raise denied("SessionInvalid", "Session is invalid")
    if by_agent_password:
        _verify_agent_header(keeper, request, header, obproxy=obproxy)
    else:
        _verify_root_header(keeper, request, header)


def _verify_root_header(keeper: Keeper, request: Request, header: OpenedHeader) -> None:
    if keeper.identity == SINGLE:
        if keeper.agent_password is not None:
            raise _wrong_header("agent password has been set")
        return
    _verify_password(header, request, keeper.knows_root, "IncorrectOceanbasePassword", "OceanBase")


def _verify_agent_header(keeper: Keeper, request: Request, header: OpenedHeader, *, obproxy: bool) -> None:
    expected = keeper.agent_password
    if expected is not None:
        _verify_password(header, request, expected.__eq__, "IncorrectAgentPassword", "Agent")
    elif obproxy:
        message = "Unauthorized: Agent password is not initialized"
        raise denied("AgentPasswordNotInitialized", message)
    elif keeper.identity != SINGLE:
        message = "Should use oceanbase_password to verify: agent password is not initialized"
        raise denied("WithOceanBasePassword", f"Unauthorized: {message}")


def _verify_password(
    header: OpenedHeader, request: Request, accepts: Callable[[str], bool], kind: str, whose: str
) -> None:
    """Check life, then password: an expired header says nothing about its password."""
    if header.password:
        _demand_life(header, request, prefix="Unauthorized: ")
    if not accepts(header.password):
        raise denied(kind, f"Unauthorized: {whose} password is incorrect")


def _demand_life(header: OpenedHeader, request: Request, *, prefix: str) -> None:
    text = header.expires
    if re.fullmatch(r"[+-]?[0-9]+", text) is None:
        cause = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise denied("Timestamp.Invalid", f"{prefix}Invalid timestamp: {text}, err: {cause}")
    if int(text) < int(request.arrived.timestamp()):
        raise denied("Expired", f"{prefix}Authentication expired")


def _wrong_header(why: str) -> Fault:
    return denied("WithAgentPassword", f"Unauthorized: Should use agent_password to verify: {why}")
