"""Every recorded answer that needs no running DAG, asked again of the simulated agent."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.core.dag import Host
from bot.obshell.envelope import PublicKey, encrypt_body, seal
from bot.sandbox.agents.agent import SimulatedAgent
from tests.sandbox.asking import (
    AGENT,
    HOSTS,
    KEYS,
    LIFE_S,
    NOW,
    PASSWORD,
    ROOT,
    Answer,
    cluster_of_three,
    header_members,
    sealed,
    send,
    two_steps,
)
from tests.sandbox.replay import exchanges

ASKED = NOW + timedelta(seconds=6)
EXPIRED = str(int(ASKED.timestamp()) - 1)
VARIABLE = {
    "start_time",
    "end_time",
    "create_time",
    "update_time",
    "startAt",
    "pid",
    "homePath",
    "public_key",
}
TIME_TARGET = "/api/v1/time"

Members = dict[str, Any]
SITUATIONS = (
    "routes-without-auth",
    "empty-lists",
    "auth-header",
    "auth-password",
    "auth-agent-password",
    "bodies",
    "bodies-existing-dag",
    "query-parameters",
    "ids",
    "single-agent",
    "single-agent-with-password",
)


def _skipped(situation: str, exchange: dict[str, Any]) -> bool:
    """Whether the simulated agent does not play that part of a real one.

    It answers in English only, keeps no local copies of the cluster's sub-tasks, and sets no password itself.
    """
    message = ((exchange.get("body") or {}).get("error") or {}).get("message", "")
    copies = situation == "ids" and "sub_task/22130706433028861" in exchange["target"]
    before = situation == "single-agent-with-password" and exchange.get("note") == "before"
    return not message.isascii() or copies or before or exchange["target"] == "/api/v1/agent/password"


CASES = [
    pytest.param(situation, exchange, id=f"{situation}-{n}")
    for situation in SITUATIONS
    for n, exchange in enumerate(exchanges(situation))
    if not _skipped(situation, exchange)
]


def _with(**changes: Any) -> Callable[[Members], Members]:
    """Return a change of header members; None takes one away."""
    return lambda members: {k: v for k, v in (members | changes).items() if v is not None}


def _other_case(members: Members) -> Members:
    return {name.upper(): value for name, value in members.items()} | {"unknown": [1]}


SPOILED_MEMBERS: dict[str, Callable[[Members], Members]] = {
    "good, without Keys": _with(Keys=None),
    "header of another uri (query differs)": _with(Uri="/api/v1/task/dag/ob/unfinish?show_details=false"),
    "Uri without the query": _with(Uri="/api/v1/task/dag/ob/unfinish"),
    "Uri spelled otherwise": _with(Uri="/api/v1/task/dag/ob/unfinish?show%5Fdetails=false"),
    "expired": _with(Ts=EXPIRED),
    "agent header, expired": _with(Ts=EXPIRED),
    "expired and wrong: expiry first": _with(Ts=EXPIRED),
    "life of 30 years": _with(Ts=str(int(ASKED.timestamp()) + 30 * 365 * 86400)),
    "Ts empty": _with(Ts=""),
    "Ts not a number": _with(Ts="soon"),
    "Ts a JSON number": _with(Ts=int(ASKED.timestamp()) + LIFE_S),
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


@pytest.mark.parametrize(("situation", "exchange"), CASES)
def test_answers_as_recorded(situation: str, exchange: dict[str, Any]) -> None:
    """The same status, type of content, error and data, whatever was asked."""
    agent = _agent(situation)
    answer = _ask(agent, exchange)
    assert answer.status == exchange["status"]
    assert answer.headers == exchange["headers"]
    if "text" in exchange:
        assert answer.text == exchange["text"]
        return
    expected = exchange["body"]
    assert answer.error == (expected.get("error") or {})
    assert list(answer.json) == list(expected)
    assert (answer.json["traceId"] == "") == (expected["traceId"] == "")
    if exchange["target"] != TIME_TARGET:
        assert _told(answer.json.get("data")) == _told(expected.get("data"))


def test_the_cases_are_nearly_all_that_was_recorded() -> None:
    """No more is left out than what the simulated agent says it does not do."""
    recorded = sum(len(exchanges(situation)) for situation in SITUATIONS)
    assert recorded - len(CASES) <= 7


def test_a_panic_is_answered_with_the_time_of_the_start() -> None:
    """That answer was made when the process began; its time says nothing of now."""
    agent = _agent("query-parameters")
    target = "/api/v1/task/dag/11?show_details=no"
    answer = send(agent, "GET", target, {ROOT: sealed(agent, header_members(target, ASKED))}, b"", ASKED)
    assert answer.json["timestamp"] == "2026-11-25T10:48:56+08:00"


def test_the_trace_id_of_the_request_is_given_back() -> None:
    """Else it is made up; the bare status route has none at all."""
    agent = _agent("routes-without-auth")
    assert send(agent, "GET", "/api/v1/info", {"X-OBSHELL-Trace-ID": "mine"}).json["traceId"] == "mine"
    assert len(send(agent, "GET", "/api/v1/info").json["traceId"]) == 16


def test_text_is_escaped_as_go_does() -> None:
    """`<`, `>` and `&` never stand bare in an answer, other letters do."""
    agent = _agent("ids")
    target = "/api/v1/task/dag/<&>ä"
    answer = send(agent, "GET", target, {ROOT: sealed(agent, header_members(target, ASKED))}, b"", ASKED)
    assert "\\u003c\\u0026\\u003eä" in answer.text


def _agent(situation: str) -> SimulatedAgent:
    """Return an agent in the state in which the recorded one was asked."""
    if situation.startswith("single-agent"):
        password = "agent-pass" if situation == "single-agent-with-password" else None
        return SimulatedAgent(Host("127.0.0.1", 3186), NOW, agent_password=password)
    security = situation == "auth-agent-password"
    cluster = cluster_of_three(agent_password="agent-pass" if security else None)
    agent = cluster.agents[0]
    if situation in {"query-parameters", "ids", "bodies-existing-dag"}:
        cluster.create(two_steps(), NOW)
    if security:
        agent.local.create(two_steps("Local"), NOW)
    assert agent.host == HOSTS[0]
    return agent


def _ask(agent: SimulatedAgent, exchange: dict[str, Any]) -> Answer:
    method, target = exchange["method"], exchange["target"]
    headers = _headers(agent, exchange)
    return send(agent, method, target, headers, _body(exchange), ASKED)


def _headers(agent: SimulatedAgent, exchange: dict[str, Any]) -> dict[str, str]:
    note = exchange.get("note") or ""
    if exchange["auth"] == "none":
        return {"X-OCS-Auth": "whatever"} if note == "v1 header name" else {}
    name = {"root": ROOT, "agent": AGENT}[exchange["auth"]]
    if note in SPOILED_VALUES:
        return {name: SPOILED_VALUES[note]}
    members = header_members(exchange["target"], ASKED, exchange.get("password", PASSWORD))
    members = SPOILED_MEMBERS.get(note, _with())(members)
    if note == "sealed with another agent's key":
        assert agent.cluster is not None
        foreign = PublicKey.from_base64(agent.cluster.agents[1].key.public)
        return {name: seal(json.dumps(members).encode(), foreign)}
    return {name: sealed(agent, members)}


def _body(exchange: dict[str, Any]) -> bytes:
    note = exchange.get("note") or ""
    if note in SPOILED_BODIES:
        return SPOILED_BODIES[note]
    body = exchange.get("request_body")
    return b"" if body is None else encrypt_body(json.dumps(body).encode(), KEYS[:16], KEYS[16:])


def _told(value: Any) -> Any:
    """Return data without what differs from run to run; the order of members counts."""
    if isinstance(value, dict):
        return [(name, None if name in VARIABLE else _told(member)) for name, member in value.items()]
    return [_told(item) for item in value] if isinstance(value, list) else value
