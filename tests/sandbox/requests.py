"""Makes the request of a recorded exchange anew: the same headers and bodies, right or wrong."""

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bot.obshell.envelope import PublicKey, encrypt_body, seal
from bot.sandbox.agents.agent import SimulatedAgent
from tests.sandbox.asking import AGENT, KEYS, LIFE_S, ROOT, header_members, sealed
from tests.sandbox.recorded import Json

Members = dict[str, Any]


def _with(**changes: Any) -> Callable[[Members, datetime], Members]:
    """Return a change of header members; None takes one away."""
    return lambda members, _: {k: v for k, v in (members | changes).items() if v is not None}


def _expiring(seconds: int) -> Callable[[Members, datetime], Members]:
    return lambda members, now: members | {"Ts": str(int(now.timestamp()) + seconds)}


def _numeric(members: Members, now: datetime) -> Members:
    return members | {"Ts": int(now.timestamp()) + LIFE_S}


def _other_case(members: Members, _: datetime) -> Members:
    return {name.upper(): value for name, value in members.items()} | {"unknown": [1]}


SPOILED_MEMBERS: dict[str, Callable[[Members, datetime], Members]] = {
    "good, without Keys": _with(Keys=None),
    "login without Keys": _with(Keys=None),
    "header of another uri (query differs)": _with(Uri="/api/v1/task/dag/ob/unfinish?show_details=false"),
    "Uri without the query": _with(Uri="/api/v1/task/dag/ob/unfinish"),
    "Uri of another route": _with(Uri="/api/v1/task/dag/ob/unfinish"),
    "Uri spelled otherwise": _with(Uri="/api/v1/task/dag/ob/unfinish?show%5Fdetails=false"),
    "expired": _expiring(-1),
    "agent header, expired": _expiring(-1),
    "expired and wrong: expiry first": _expiring(-1),
    "session, expired Ts": _expiring(-1),
    "life of 30 years": _expiring(30 * 365 * 86400),
    "Ts empty": _with(Ts=""),
    "Ts not a number": _with(Ts="soon"),
    "Ts a JSON number": _numeric,
    "Ts missing": _with(Ts=None),
    "Uri missing": _with(Uri=None),
    "Auth missing": _with(Auth=None),
    "member names in other case, unknown member": _other_case,
    "Keys too short, no body": _with(Keys=base64.b64encode(b"short").decode()),
    "Keys not base64": _with(Keys="***"),
    "Keys of 16 bytes": _with(Keys=base64.b64encode(KEYS[:16]).decode()),
}
SPOILED_VALUES = {
    "empty header": "",
    "not base64": "this is no base64",
    "base64 of 3 bytes": base64.b64encode(b"abc").decode(),
    "base64 of noise, not a multiple of the block": base64.b64encode(bytes(range(200))).decode(),
    "one block of noise": base64.b64encode(bytes(range(128))).decode(),
}
SPOILED_BODIES = {
    "no body": b"",
    "plain JSON body under a header": b'{"operator": "RETRY"}',
    "4 bytes of ciphertext": base64.b64encode(b"1234"),
    "no header, plain body": b'{"operator": "RETRY"}',
}
LANGUAGES = {
    ("routes-without-auth", 13): "zh-CN",
    ("routes-without-auth", 14): "zh-CN,zh;q=0.9",
    ("auth-header", 24): "zh-CN",
}
"""By situation and number of the exchange: other headers than the sealed one were not recorded."""
UNKNOWN_SESSION = "0" * 64


def headers(
    situation: str, number: int, exchange: Json, agent: SimulatedAgent, now: datetime, session: str
) -> dict[str, str]:
    """Return the headers of a recorded exchange, made for that agent at that time."""
    note = exchange.get("note") or ""
    language = LANGUAGES.get((situation, number))
    more = {"Accept-Language": language} if language else {}
    if exchange["auth"] == "none":
        return more | ({"X-OCS-Auth": "whatever"} if note == "v1 header name" else {})
    name = {"root": ROOT, "agent": AGENT}[exchange["auth"]]
    if note in SPOILED_VALUES:
        return {name: SPOILED_VALUES[note]}
    members = SPOILED_MEMBERS.get(note, _with())(_members(exchange, now, session), now)
    if note == "sealed with another agent's key":
        foreign = PublicKey.from_base64(agent.others[0].key.public)
        return {name: seal(json.dumps(members).encode(), foreign)}
    return more | {name: sealed(agent, members)}


def _members(exchange: Json, now: datetime, session: str) -> Members:
    note = exchange.get("note") or ""
    members = header_members(exchange["target"], now, exchange.get("password", "lab-pass"))
    if "session" in note:
        known = session if "unknown" not in note else UNKNOWN_SESSION
        members |= {"session_id": known} | ({} if "password" in note else {"Auth": ""})
    return members


def body(exchange: Json, session: str) -> bytes:
    """Return the sealed body of a recorded exchange."""
    note = exchange.get("note") or ""
    if note in SPOILED_BODIES:
        return SPOILED_BODIES[note]
    told = exchange.get("request_body")
    if told is None:
        return b""
    plain = json.dumps(told).replace("<session id>", session)
    return encrypt_body(plain.encode(), KEYS[:16], KEYS[16:])
