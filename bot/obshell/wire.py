"""Bytes of an agent to values; raises `Malformed` with the path of the field that is wrong.

States and operators that we do not know become `OTHER`, "not set" times None.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec

from bot.core.dag import DagSnapshot, Host, Maintenance, Operator, Stage, State, SubTask
from bot.obshell import shapes
from bot.obshell.decoding import Malformed, decoded, decoder
from bot.obshell.envelope import InvalidKey, PublicKey
from bot.obshell.shapes import Moment
from bot.obshell.values import AgentInfo, AgentStatus, LogRow

T = TypeVar("T")

STATES: dict[str, State] = {state.value: state for state in State}
OPERATORS: dict[str | None, Operator] = {None: Operator.RUN, **{one.value: one for one in Operator}}
MAINTENANCE: dict[int | None, Maintenance] = {kind.value: kind for kind in Maintenance}


class Answer(NamedTuple):
    """An agent's answer: the HTTP status and what wraps the data."""

    status: int
    envelope: shapes.Envelope

    @property
    def error(self) -> shapes.ErrorBody | None:
        """The agent's refusal, or None for success; `data` may be there beside it and means nothing then."""
        if self.status == HTTPStatus.OK and self.envelope.successful:
            return None
        return self.envelope.error or shapes.ErrorBody()

    @property
    def told_at(self) -> datetime | None:
        """The agent's clock when it answered.

        None if the answer does not say: after a panic of the request it carries the time of the agent's
        start, and no trace id (recording `query-parameters`).
        """
        panicked = self.status == HTTPStatus.INTERNAL_SERVER_ERROR and not self.envelope.trace_id
        return None if panicked else _time(self.envelope.timestamp)


def answer(status: int, body: bytes) -> Answer:
    """Read the wrapping of an answer."""
    return Answer(status, decoded(_ENVELOPE, body, "answer"))


def unfinished(told: Answer) -> tuple[DagSnapshot, ...]:
    """Return the DAGs of a list; `contents: null` is how a failing agent spells it, never an empty list."""
    return tuple(map(_dag, _data(_DAGS, told).contents))


def dag(told: Answer) -> DagSnapshot:
    """Return one DAG."""
    return _dag(_data(_DAG, told))


def logs(told: Answer) -> tuple[LogRow, ...]:
    """Return the log lines of a sub-task in the order sent, which is no promise."""
    return tuple(map(_log, _data(_LOGS, told).contents))


def members(told: Answer) -> tuple[Host, ...]:
    """Return the agents of a cluster."""
    return tuple(Host(member.ip, member.port) for member in _data(_CLUSTER, told).agent_info)


def info(told: Answer) -> AgentInfo:
    """Return what an agent is."""
    known = _known(_data(_INFO, told))
    return AgentInfo(**known | {"supported_auth": tuple(known.get("supported_auth", ()))})


def status(told: Answer) -> AgentStatus:
    """Return how an agent is."""
    known = _known(_data(_STATUS, told))
    return AgentStatus(identity=known.pop("agent").identity, **known)


def time(told: Answer) -> datetime:
    """Return an agent's clock."""
    moment = _data(_TIME, told).value
    if moment is None:
        raise Malformed("data: not a time of our days")
    return moment


def public_key(told: Answer) -> PublicKey:
    """Return the key that an agent's headers are sealed with."""
    try:
        return PublicKey.from_base64(_data(_SECRET, told).public_key)
    except InvalidKey as error:
        raise Malformed(f"data.public_key: {error}") from error


def _dag(shape: shapes.DagDetail) -> DagSnapshot:
    nodes, extra = shape.nodes, shape.additional_data
    return DagSnapshot(
        id=shape.id,
        name=shape.name,
        stage=shape.stage,
        max_stage=shape.max_stage,
        state=STATES.get(shape.state, State.OTHER),
        operator=OPERATORS.get(shape.operator, Operator.OTHER),
        started_at=_time(shape.start_time),
        ended_at=_time(shape.end_time),
        maintenance=MAINTENANCE.get(shape.maintenance_type, Maintenance.UNKNOWN),
        maintenance_key=shape.maintenance_key or "",
        main_dag_id=extra.main_dag_id if extra else None,
        stages=None if nodes is None else tuple(_stage(at, node) for at, node in enumerate(nodes, start=1)),
    )


def _stage(position: int, shape: shapes.NodeDetail) -> Stage:
    """Return a stage; its position is not sent, it follows from the order."""
    return Stage(
        position=position,
        id=shape.id,
        name=shape.name,
        state=STATES.get(shape.state, State.OTHER),
        operator=OPERATORS.get(shape.operator, Operator.OTHER),
        started_at=_time(shape.start_time),
        ended_at=_time(shape.end_time),
        sub_tasks=tuple(map(_sub_task, shape.sub_tasks or ())),
    )


def _sub_task(shape: shapes.TaskDetail) -> SubTask:
    agent, lines = shape.execute_agent, shape.task_logs
    return SubTask(
        id=shape.id,
        name=shape.name,
        state=STATES.get(shape.state, State.OTHER),
        operator=OPERATORS.get(shape.operator, Operator.OTHER),
        started_at=_time(shape.start_time),
        ended_at=_time(shape.end_time),
        attempts=shape.execute_times or 0,
        host=Host(agent.ip, agent.port) if agent else None,
        lines=None if lines is None else tuple(lines),
    )


def _log(shape: shapes.SubTaskLog) -> LogRow:
    return LogRow(
        id=shape.id,
        attempt=shape.execute_times or 0,
        content=shape.log_content,
        created_at=_time(shape.create_time),
    )


def _known(shape: msgspec.Struct) -> dict[str, Any]:
    """Return the members that were sent, so that the others take the defaults of the value."""
    return {name: sent for name in shape.__struct_fields__ if (sent := getattr(shape, name)) is not None}


def _time(moment: Moment | None) -> datetime | None:
    return moment.value if moment else None


_ENVELOPE = decoder(shapes.Envelope)
_DAGS = decoder(shapes.DagList)
_DAG = decoder(shapes.DagDetail)
_LOGS = decoder(shapes.LogList)
_CLUSTER = decoder(shapes.ClusterInfo)
_INFO = decoder(shapes.Info)
_STATUS = decoder(shapes.Status)
_TIME = decoder(Moment)
_SECRET = decoder(shapes.Secret)


def _data(shape: msgspec.json.Decoder[T], told: Answer) -> T:
    raw = bytes(told.envelope.data)
    if not raw:
        raise Malformed("data: missing")
    return decoded(shape, raw, "data")
