"""What travels: one struct for each JSON object of an agent, with every member that agents send.

A member without a default is *needed*: it must be there, not null and of its type. The others may be absent
or null and then have the default of the value they go into. Members that are not named are ignored: newer
agents add some. `bot.obshell.wire` reads and converts them.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

ID_DIGITS = 80
Id = Annotated[str, Meta(pattern=rf"\A[0-9]{{1,{ID_DIGITS}}}\Z")]
"""Ids stay text: an agent with an IPv6 address gives ids of 46 digits and more."""
StageNumber = Annotated[int, Meta(ge=0, le=100_000)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Moment:
    """A time as agents spell it; `value` is None for their "not set", else an aware time in UTC."""

    __slots__ = ("value",)

    def __init__(self, value: datetime | None) -> None:
        self.value = value


class ErrorBody(msgspec.Struct):
    """The `error` of an answer; agents before 4.3.1.0 have no `errCode`, newer ones seldom a `code`."""

    code: int | None = None
    err_code: str | None = msgspec.field(name="errCode", default=None)
    message: str | None = None
    sub_errors: list[Any] | None = msgspec.field(name="subErrors", default=None)


class Envelope(msgspec.Struct):
    """What wraps every answer. `data` and `error` do not exclude each other: look at `successful` first."""

    successful: bool
    timestamp: Moment | None = None
    duration: int | None = None
    status: int | None = None
    trace_id: str | None = msgspec.field(name="traceId", default=None)
    data: msgspec.Raw = msgspec.Raw()
    error: ErrorBody | None = None


class ExecuteAgent(msgspec.Struct):
    """Who runs a sub-task."""

    ip: str
    port: int


class AdditionalData(msgspec.Struct):
    """What tasks tell of themselves; each has members of its own, only the link to the main DAG is ours."""

    main_dag_id: Id | None = None


class TaskDetail(msgspec.Struct):
    """A sub-task."""

    id: Id
    name: str
    state: str
    task_id: int | None = None
    operator: str | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    additional_data: AdditionalData | None = None
    execute_times: Count | None = None
    execute_agent: ExecuteAgent | None = None
    task_logs: list[str] | None = None


class NodeDetail(msgspec.Struct):
    """A stage."""

    id: Id
    name: str
    state: str
    node_id: int | None = None
    operator: str | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    additional_data: AdditionalData | None = None
    sub_tasks: list[TaskDetail] | None = None


class DagDetail(msgspec.Struct):
    """A DAG; `nodes` is null without details, `maintenance_*` is missing before 4.3.1.0."""

    id: Id
    name: str
    stage: StageNumber
    max_stage: StageNumber
    state: str
    operator: str
    dag_id: int | None = None
    maintenance_type: int | None = None
    maintenance_key: str | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    additional_data: AdditionalData | None = None
    nodes: list[NodeDetail] | None = None


class SubTaskLog(msgspec.Struct):
    """A log line; `sub_task_id` is a bare row number, `is_sync` is false in the cluster's store."""

    id: Count
    log_content: str
    sub_task_id: int | None = None
    execute_times: Count | None = None
    is_sync: bool | None = None
    create_time: Moment | None = None
    update_time: Moment | None = None


class DagList(msgspec.Struct):
    """The unfinished DAGs; null is how an agent that failed spells it, never an empty list."""

    contents: list[DagDetail]


class LogList(msgspec.Struct):
    """The log lines of a sub-task."""

    contents: list[SubTaskLog]


class Member(msgspec.Struct):
    """An agent of the cluster, as another one knows it."""

    ip: str
    port: int
    zone: str | None = None
    identity: str | None = None
    version: str | None = None


class ClusterInfo(msgspec.Struct):
    """What an agent knows of its cluster; the database's own topology (`obcluster_info`) is not ours."""

    agent_info: list[Member]


class Secret(msgspec.Struct):
    """The answer to the question for the public key."""

    public_key: str
    ip: str | None = None
    port: int | None = None


class Info(msgspec.Struct):
    """What an agent is; `supportedAuth` is missing before 4.2.5.0, the password members before 4.2.6.0."""

    identity: str
    pid: int | None = None
    state: int | None = None
    started_ns: int | None = msgspec.field(name="startAt", default=None)
    home: str | None = msgspec.field(name="homePath", default=None)
    ob_version: str | None = msgspec.field(name="obVersion", default=None)
    architecture: str | None = None
    ip: str | None = None
    port: int | None = None
    zone: str | None = None
    version: str | None = None
    is_obproxy_agent: bool | None = msgspec.field(name="isObproxyAgent", default=None)
    has_agent_password: bool | None = msgspec.field(name="security", default=None)
    supported_auth: list[str] | None = msgspec.field(name="supportedAuth", default=None)


class StatusAgent(msgspec.Struct):
    """Who answers a question for the status."""

    identity: str
    ip: str | None = None
    port: int | None = None


class Status(msgspec.Struct):
    """How an agent is; `sqlPort` is left out where there is no observer."""

    agent: StatusAgent
    ob_state: int = msgspec.field(name="obState")
    state: int | None = None
    version: str | None = None
    pid: int | None = None
    started_ns: int | None = msgspec.field(name="startAt", default=None)
    port: int | None = None
    sql_port: int | None = msgspec.field(name="sqlPort", default=None)
    under_maintenance: bool | None = msgspec.field(name="underMaintenance", default=None)
