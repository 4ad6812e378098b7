"""The routes that need no header: who the agent is, how it is, its key, its clock."""

from typing import TYPE_CHECKING

from bot.sandbox.agents.call import Call
from bot.sandbox.agents.database import Database
from bot.sandbox.agents.dto import Json, go_time
from bot.sandbox.agents.identities import WITHOUT_DATABASE
from bot.sandbox.agents.release import Feature

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

RUNNING = 2
SQL_PORT_STEP = -5
"""The recorded agent on 2886 had its observer's SQL on 2881."""
OB_VERSION = "4.3.5.1"
OB_BUILD = "101000042025031818"
INFO_SINCE = {
    "obVersion": Feature.FORWARDING,
    "isObproxyAgent": Feature.AGENT_PASSWORD,
    "security": Feature.AGENT_PASSWORD,
    "supportedAuth": Feature.SUPPORTED_AUTH,
}
"""What agents did not always tell of themselves."""


def info(agent: "SimulatedAgent", call: Call) -> Json:
    """Return what the agent is; the spelling of the version depends on the database."""
    database_up = agent.ob_state(call.now) == Database.UP.value
    told = {
        "pid": agent.process.pid,
        "state": RUNNING,
        "startAt": agent.process.start_nanoseconds,
        "homePath": agent.home,
        "obVersion": OB_VERSION if database_up else f"{OB_VERSION}-{OB_BUILD}",
        "architecture": "x86_64",
        "ip": agent.host.ip,
        "port": agent.host.port,
        "zone": agent.zone_name,
        "identity": agent.identity,
        "version": agent.release.told,
        "isObproxyAgent": False,
        "security": agent.agent_password is not None,
        "supportedAuth": ["v2"],
    }
    missing = {name for name, feature in INFO_SINCE.items() if not agent.release.has(feature)}
    return {name: value for name, value in told.items() if name not in missing}


def status(agent: "SimulatedAgent", call: Call) -> Json:
    """Return how the agent and its database are; an agent without an observer has no SQL port."""
    without = agent.link is None or agent.identity in WITHOUT_DATABASE
    sql_port = {} if without else {"sqlPort": agent.host.port + SQL_PORT_STEP}
    return {
        "agent": {"ip": agent.host.ip, "port": agent.host.port, "identity": agent.identity},
        "state": RUNNING,
        "version": agent.release.told,
        "pid": agent.process.pid,
        "startAt": agent.process.start_nanoseconds,
        "port": agent.host.port,
        "obState": agent.ob_state(call.now),
        **sql_port,
        "underMaintenance": agent.local.locks.held,
    }


def secret(agent: "SimulatedAgent", _call: Call) -> Json:
    """Return the public key that headers must be sealed with."""
    return {"ip": agent.host.ip, "port": agent.host.port, "public_key": agent.key.public}


def time(agent: "SimulatedAgent", call: Call) -> str:
    """Return the agent's own time."""
    return go_time(call.request.arrived, agent.spell.zone)


def git_info(_agent: "SimulatedAgent", _call: Call) -> Json:
    """Return what the agent was built from."""
    return {
        "branch": "master",
        "commitId": "61ee14767de8b661dbbb3fbbd4fa6ae2bfb1c45b",
        "shortCommitId": "61ee147",
        "commitTime": "Fri May 8 09:06:47 2026 +0000",
    }
