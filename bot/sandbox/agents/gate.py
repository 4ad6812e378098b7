"""Who may ask: the order of checks and the table of passwords of a real agent.

Facts from the recordings `auth-header`, `auth-password`, `auth-agent-password`, `single-agent`,
`single-agent-with-password`, `join-self` and `sessions`.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from bot.obshell.envelope import DecryptionError, PrivateKey
from bot.sandbox.agents.faults import Fault, denied
from bot.sandbox.agents.identities import CLUSTER_AGENT, FOLLOWER, SINGLE
from bot.sandbox.agents.release import Feature, Release
from bot.sandbox.agents.request import Request
from bot.sandbox.agents.seals import OpenedHeader
from bot.sandbox.agents.sessions import Sessions

ROOT_HEADER = "x-ocs-header"
AGENT_HEADER = "x-ocs-agent-header"
OBPROXY_PATH = re.compile(r"/api/v1/task/(?:dag|node|sub_task)/[45][^/]*(?:/logs)?")


class Keeper(Protocol):
    """What the gate must know of an agent; passwords are compared by the agent itself."""

    @property
    def identity(self) -> str:
        """The agent's identity, in its own words."""
        ...

    @property
    def release(self) -> Release:
        """Its version."""
        ...

    @property
    def agent_password(self) -> str | None:
        """The agent password, None when none was ever set."""
        ...

    @property
    def root_known(self) -> bool:
        """Whether it knows a password of root."""
        ...

    @property
    def sessions(self) -> Sessions:
        """Who is logged in."""
        ...

    @property
    def key(self) -> PrivateKey:
        """Its key."""
        ...

    @property
    def slow_s(self) -> float:
        """How many seconds it needs for an answer."""
        ...

    def knows_root(self, password: str) -> bool:
        """Whether that is root's password: known, or accepted by the database."""
        ...


def sealed_value(request: Request, release: Release) -> str | None:
    """Return the value of the header that counts, None when there is none; an empty one counts as none."""
    agent = request.headers.get(AGENT_HEADER) if release.has(Feature.AGENT_PASSWORD) else None
    return agent or request.headers.get(ROOT_HEADER) or None


def check(request: Request, header: OpenedHeader | None) -> OpenedHeader:
    """Return the header if it is there and made for this request; raises `Fault`."""
    if header is None:
        message = "X-OCS-Agent-Header or X-OCS-Header not found in http request header"
        raise Fault(400, "Request.Header.NotFound", message)
    if _is_obproxy(request) and not has_agent_header(request):
        raise _with_agent_password("this route only support agent password")
    if header.uri != request.target:
        raise denied("Header.UriMismatch", "URI mismatch")
    return header


def has_agent_header(request: Request) -> bool:
    """Whether the agent password is to be used."""
    return bool(request.headers.get(AGENT_HEADER))


def verify(keeper: Keeper, request: Request, header: OpenedHeader, now: datetime) -> None:
    """Let the request pass; raises `Fault` with the agent's refusal.

    A FOLLOWER lets no client in: it forwards, or before 4.2.4.0 refuses.
    """
    if keeper.identity == FOLLOWER:
        raise denied("IncorrectToken", "Unauthorized: Incorrect token")
    known = keeper.release.has(Feature.SESSIONS) and keeper.identity == CLUSTER_AGENT
    if header.session_id and known:
        _demand_life(keeper, header, request, prefix="")
        keeper.sessions.use(header.session_id, now)
    elif has_agent_header(request) and keeper.release.has(Feature.AGENT_PASSWORD):
        _verify_agent_header(keeper, request, header)
    else:
        _verify_root_header(keeper, request, header)


def _is_obproxy(request: Request) -> bool:
    return OBPROXY_PATH.fullmatch(request.path) is not None


def _verify_root_header(keeper: Keeper, request: Request, header: OpenedHeader) -> None:
    if keeper.identity == SINGLE:
        if keeper.agent_password is not None:
            raise _with_agent_password("agent password has been set")
        return
    if not keeper.root_known and keeper.agent_password is not None:
        raise _with_agent_password("oceanbase password is not initialized")
    _verify_password(keeper, header, request, keeper.knows_root, "Oceanbase")


def _verify_agent_header(keeper: Keeper, request: Request, header: OpenedHeader) -> None:
    expected = keeper.agent_password
    if expected is not None:
        accepted = {expected, header.password if _opens_to(keeper, header.password, expected) else expected}
        _verify_password(keeper, header, request, accepted.__contains__, "Agent")
    elif _is_obproxy(request):
        message = "Unauthorized: Agent password is not initialized"
        raise denied("AgentPasswordNotInitialized", message)
    elif keeper.root_known:
        message = "Should use oceanbase_password to verify: agent password is not initialized"
        raise denied("WithOceanBasePassword", f"Unauthorized: {message}")


def _opens_to(keeper: Keeper, value: str, password: str) -> bool:
    """Whether a value is the password, sealed once more, as a SINGLE agent takes it too."""
    if keeper.identity != SINGLE:
        return False
    try:
        return keeper.key.decrypt(base64.b64decode(value, validate=True)) == password.encode()
    except (binascii.Error, DecryptionError, ValueError):
        return False


def _verify_password(
    keeper: Keeper, header: OpenedHeader, request: Request, accepts: Callable[[str], bool], whose: str
) -> None:
    """Check life, then password: an expired header says nothing about its password."""
    if header.password:
        _demand_life(keeper, header, request, prefix="Unauthorized: ")
    if not accepts(header.password):
        name = {"Oceanbase": "OceanBase"}.get(whose, whose)
        raise denied(f"Incorrect{whose}Password", f"Unauthorized: {name} password is incorrect")


def _demand_life(keeper: Keeper, header: OpenedHeader, request: Request, *, prefix: str) -> None:
    """Refuse an expired header; before 4.2.6.0 a slow agent compares with the time when it comes to it."""
    text = header.expires
    if re.fullmatch(r"[+-]?[0-9]+", text) is None:
        cause = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise denied("Timestamp.Invalid", f"{prefix}Invalid timestamp: {text}, err: {cause}")
    waited = 0.0 if keeper.release.has(Feature.AGENT_PASSWORD) else keeper.slow_s
    if int(text) < int(request.arrived.timestamp() + waited):
        raise denied("Expired", f"{prefix}Authentication expired")


def _with_agent_password(why: str) -> Fault:
    return denied("WithAgentPassword", f"Unauthorized: Should use agent_password to verify: {why}")
