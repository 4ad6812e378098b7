"""What an agent tells of itself and of log lines: values that the rest of obdag uses."""

from datetime import datetime

import msgspec

CLUSTER_AGENT = "CLUSTER AGENT"
"""The identity of an agent that can read its cluster's DAGs; all others cannot."""
DATABASE_USABLE = 3
"""`obState` of a database that takes connections; 0 no process, 1 no connection, 2 restricted."""


class LogRow(msgspec.Struct, frozen=True, kw_only=True):
    """One log line of a sub-task.

    `attempt` is the agent's `execute_times` in that run; `created_at` is when the row was stored, which after
    an outage is later than when it was written. `content` may hold line breaks and any character.
    """

    id: int
    attempt: int
    content: str
    created_at: datetime | None = None


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is; `identity` is verbatim (some have a blank inside), `""` stands for "not known yet".

    `started_ns` (nanoseconds since the epoch) and `pid` change when the agent restarts. `ob_version` is
    spelled differently while the database is down. `has_agent_password` says nothing about the root password.
    """

    identity: str
    ip: str = ""
    port: int = 0
    zone: str = ""
    version: str = ""
    ob_version: str = ""
    state: int = 0
    pid: int = 0
    started_ns: int = 0
    home: str = ""
    architecture: str = ""
    is_obproxy_agent: bool = False
    has_agent_password: bool = False
    supported_auth: tuple[str, ...] = ()

    @property
    def is_cluster_agent(self) -> bool:
        """Whether this agent can be asked for its cluster's DAGs."""
        return self.identity == CLUSTER_AGENT


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent is; `under_maintenance` is about the agent's own lock, not about cluster DAGs."""

    identity: str
    ob_state: int
    state: int = 0
    version: str = ""
    pid: int = 0
    started_ns: int = 0
    port: int = 0
    sql_port: int | None = None
    under_maintenance: bool = False

    @property
    def is_cluster_agent(self) -> bool:
        """Whether this agent can be asked for its cluster's DAGs."""
        return self.identity == CLUSTER_AGENT

    @property
    def database_usable(self) -> bool:
        """Whether the agent's database takes connections, as far as the agent sees."""
        return self.ob_state == DATABASE_USABLE
