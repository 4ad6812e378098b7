"""Asks a simulated agent as a client does, without sockets: seals header and body, reads the answer."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from bot.core.dag import Host
from bot.obshell.envelope import PublicKey, encrypt_body, seal
from bot.sandbox.agents.agent import SimulatedAgent, make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from bot.sandbox.agents.request import Response

NOW = datetime(2026, 11, 25, 2, 48, 56, tzinfo=UTC)
HOSTS = (Host("127.0.0.1", 2886), Host("127.0.0.1", 2986), Host("127.0.0.1", 3086))
PASSWORD = "lab-pass"
KEYS = bytes(range(32))
LIFE_S = 60
ROOT, AGENT = "X-OCS-Header", "X-OCS-Agent-Header"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as a client reads it; `json` is None where it is no JSON."""

    status: int
    headers: dict[str, str]
    text: str
    json: Any
    delay_s: float = 0.0

    @property
    def error(self) -> dict[str, Any]:
        """The error object, empty when there is none."""
        return dict((self.json or {}).get("error") or {})

    @property
    def data(self) -> Any:
        """The payload; raises KeyError where the member is missing."""
        return self.json["data"]


def cluster_of_three(now: datetime = NOW, *, agent_password: str | None = None) -> SimulatedCluster:
    """Return a cluster like the recorded one: three agents of one machine, root's password known."""
    cluster = SimulatedCluster("lab", now, hosts=HOSTS, root_password=PASSWORD)
    make_agents(cluster, now, agent_password=agent_password)
    return cluster


def two_steps(name: str = "Query me") -> DagPlan:
    """Return the small DAG of the recordings `query-parameters` and `ids`."""
    talks = PartPlan(runs=(Work(lines=("line one", "line two"), seconds=0.4),))
    quiet = PartPlan(runs=(Work(seconds=0.2),))
    return DagPlan(
        name=name,
        stages=(
            StagePlan(name="Only step", parts=(talks,)),
            StagePlan(name="Second step", parts=(quiet,)),
        ),
    )


def header_members(target: str, now: datetime, password: str = PASSWORD) -> dict[str, Any]:
    """Return the members of a good header."""
    expires = int(now.timestamp()) + LIFE_S
    keys = base64.b64encode(KEYS).decode()
    return {"Auth": password, "Ts": str(expires), "Uri": target, "Keys": keys}


def sealed(agent: SimulatedAgent, members: dict[str, Any]) -> str:
    """Return the header value for that agent's present key."""
    return seal(json.dumps(members).encode(), PublicKey.from_base64(agent.key.public))


def get(
    agent: SimulatedAgent, target: str, now: datetime = NOW, *, password: str = PASSWORD, header: str = ROOT
) -> Answer:
    """Ask with a good header."""
    value = sealed(agent, header_members(target, now, password))
    return send(agent, "GET", target, {header: value}, b"", now)


def post(
    agent: SimulatedAgent,
    target: str,
    body: Any,
    now: datetime = NOW,
    *,
    password: str = PASSWORD,
    header: str = ROOT,
) -> Answer:
    """Ask with a good header and a good body."""
    value = sealed(agent, header_members(target, now, password))
    cipher = encrypt_body(json.dumps(body).encode(), KEYS[:16], KEYS[16:])
    return send(agent, "POST", target, {header: value}, cipher, now)


def send(
    agent: SimulatedAgent,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    now: datetime = NOW,
) -> Answer:
    """Ask with exactly these headers and this body."""
    return read(agent.respond(method, target, headers or {}, body, now))


def read(response: Response) -> Answer:
    """Return what an agent sent as a client reads it."""
    kind = dict(response.headers)["Content-Type"]
    is_json = kind.startswith("application/json")
    return Answer(
        status=response.status,
        headers=dict(response.headers),
        text=response.body.decode(),
        json=json.loads(response.body) if is_json else None,
        delay_s=response.delay_s,
    )
