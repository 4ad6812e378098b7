"""Each field three times: absent, null, of a wrong type."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.dag import DagSnapshot, Host, Maintenance, Operator, Stage, State, SubTask
from bot.obshell import shapes, wire
from bot.obshell.decoding import Malformed
from bot.obshell.values import AgentInfo, AgentStatus, LogRow
from bot.obshell.wire import Answer
from tests.obshell.helpers import dag, private_key, secret, wrapped

NEEDED = "needed"
UNUSED = "unused"
LOG = {
    "id": 7, "sub_task_id": 611, "execute_times": 2, "log_content": "hello", "is_sync": False,
    "create_time": "2026-05-09T10:00:01+08:00", "update_time": "2026-05-09T10:00:02+08:00",
}  # fmt: skip
MEMBER_OF = {
    "agent_info": [
        {
            "ip": "10.0.0.1",
            "port": 2886,
            "zone": "zone1",
            "identity": "CLUSTER AGENT",
            "version": "4.5.0.0-12026050812",
        }
    ],
    "obcluster_info": {"id": 1, "name": "lab", "version": "4.3.5.1", "topology": {}},
}
INFO = {
    "pid": 4120, "state": 2, "startAt": 1778291990123456789, "homePath": "/data/ob", "obVersion": "4.3.5.1",
    "architecture": "x86_64", "ip": "10.0.0.1", "port": 2886, "zone": "zone1", "identity": "CLUSTER AGENT",
    "version": "4.5.0.0-12026050812", "isObproxyAgent": True, "security": True, "supportedAuth": ["v2"],
}  # fmt: skip
STATUS = {
    "agent": {"ip": "10.0.0.1", "port": 2886, "identity": "CLUSTER AGENT"},
    "state": 2, "version": "4.5.0.0-0", "pid": 17305, "startAt": 1795574909156299688,
    "port": 2886, "obState": 3, "sqlPort": 2881,
    "underMaintenance": True,
}  # fmt: skip


def told(data: Any) -> Answer:
    """Return a good answer with that data."""
    return wire.answer(200, msgspec.json.encode(wrapped(data)))


class Kind(NamedTuple):
    """A kind of answer: a whole sample, how it is read, and what each field gives when it is not there.

    Expected is `NEEDED`, `UNUSED` (no effect on the value) or a pair: where in the value, and the default.
    """

    sample: Any
    read: Callable[[Any], Any]
    fields: dict[str, Any]


def stage(snapshot: DagSnapshot) -> Stage:
    """Return the only stage."""
    assert snapshot.stages is not None
    return snapshot.stages[0]


def task(snapshot: DagSnapshot) -> SubTask:
    """Return the only sub-task."""
    return stage(snapshot).sub_tasks[0]


DAG_FIELDS = {
    "id": NEEDED,
    "name": NEEDED,
    "stage": NEEDED,
    "max_stage": NEEDED,
    "state": NEEDED,
    "operator": NEEDED,
    "dag_id": UNUSED,
    "maintenance_type": (lambda it: it.maintenance, Maintenance.UNKNOWN),
    "maintenance_key": (lambda it: it.maintenance_key, ""),
    "start_time": (lambda it: it.started_at, None),
    "end_time": (lambda it: it.ended_at, None),
    "additional_data": (lambda it: it.main_dag_id, None),
    "additional_data.main_dag_id": (lambda it: it.main_dag_id, None),
    "nodes": (lambda it: it.stages, None),
    "nodes.0.id": NEEDED,
    "nodes.0.name": NEEDED,
    "nodes.0.state": NEEDED,
    "nodes.0.node_id": UNUSED,
    "nodes.0.operator": (lambda it: stage(it).operator, Operator.RUN),
    "nodes.0.start_time": (lambda it: stage(it).started_at, None),
    "nodes.0.end_time": (lambda it: stage(it).ended_at, None),
    "nodes.0.additional_data": UNUSED,
    "nodes.0.sub_tasks": (lambda it: stage(it).sub_tasks, ()),
    "nodes.0.sub_tasks.0.id": NEEDED,
    "nodes.0.sub_tasks.0.name": NEEDED,
    "nodes.0.sub_tasks.0.state": NEEDED,
    "nodes.0.sub_tasks.0.task_id": UNUSED,
    "nodes.0.sub_tasks.0.operator": (lambda it: task(it).operator, Operator.RUN),
    "nodes.0.sub_tasks.0.start_time": (lambda it: task(it).started_at, None),
    "nodes.0.sub_tasks.0.end_time": (lambda it: task(it).ended_at, None),
    "nodes.0.sub_tasks.0.additional_data": UNUSED,
    "nodes.0.sub_tasks.0.execute_times": (lambda it: task(it).attempts, 0),
    "nodes.0.sub_tasks.0.execute_agent": (lambda it: task(it).host, None),
    "nodes.0.sub_tasks.0.execute_agent.ip": NEEDED,
    "nodes.0.sub_tasks.0.execute_agent.port": NEEDED,
    "nodes.0.sub_tasks.0.task_logs": (lambda it: task(it).lines, None),
}


def undone() -> dict[str, Any]:
    """Return a DAG that is rolled back at every level: no operator is the default."""
    sample = dag(operator="ROLLBACK")
    sample["nodes"][0]["operator"] = sample["nodes"][0]["sub_tasks"][0]["operator"] = "ROLLBACK"
    return sample


KINDS = {
    "dag": Kind(undone(), lambda data: wire.dag(told(data)), DAG_FIELDS),
    "log": Kind(
        LOG,
        lambda data: wire.logs(told({"contents": [data]}))[0],
        {
            "id": NEEDED,
            "log_content": NEEDED,
            "sub_task_id": UNUSED,
            "execute_times": (lambda it: it.attempt, 0),
            "is_sync": UNUSED,
            "create_time": (lambda it: it.created_at, None),
            "update_time": UNUSED,
        },
    ),
    "members": Kind(
        MEMBER_OF,
        lambda data: wire.members(told(data))[0],
        {
            "agent_info": NEEDED,
            "agent_info.0.ip": NEEDED,
            "agent_info.0.port": NEEDED,
            "agent_info.0.zone": UNUSED,
            "agent_info.0.identity": UNUSED,
            "agent_info.0.version": UNUSED,
        },
    ),
    "info": Kind(
        INFO,
        lambda data: wire.info(told(data)),
        {
            "identity": NEEDED,
            "pid": (lambda it: it.pid, 0),
            "state": (lambda it: it.state, 0),
            "startAt": (lambda it: it.started_ns, 0),
            "homePath": (lambda it: it.home, ""),
            "obVersion": (lambda it: it.ob_version, ""),
            "architecture": (lambda it: it.architecture, ""),
            "ip": (lambda it: it.ip, ""),
            "port": (lambda it: it.port, 0),
            "zone": (lambda it: it.zone, ""),
            "version": (lambda it: it.version, ""),
            "isObproxyAgent": (lambda it: it.is_obproxy_agent, False),
            "security": (lambda it: it.has_agent_password, False),
            "supportedAuth": (lambda it: it.supported_auth, ()),
        },
    ),
    "status": Kind(
        STATUS,
        lambda data: wire.status(told(data)),
        {
            "agent": NEEDED,
            "agent.identity": NEEDED,
            "agent.ip": UNUSED,
            "agent.port": UNUSED,
            "obState": NEEDED,
            "state": (lambda it: it.state, 0),
            "version": (lambda it: it.version, ""),
            "pid": (lambda it: it.pid, 0),
            "startAt": (lambda it: it.started_ns, 0),
            "port": (lambda it: it.port, 0),
            "sqlPort": (lambda it: it.sql_port, None),
            "underMaintenance": (lambda it: it.under_maintenance, False),
        },
    ),
    "secret": Kind(
        secret(),
        lambda data: wire.public_key(told(data)),
        {"public_key": NEEDED, "ip": UNUSED, "port": UNUSED},
    ),
}
SHAPES: dict[str, list[tuple[str, type[msgspec.Struct]]]] = {
    "dag": [
        ("", shapes.DagDetail),
        ("additional_data.", shapes.AdditionalData),
        ("nodes.0.", shapes.NodeDetail),
        ("nodes.0.sub_tasks.0.", shapes.TaskDetail),
        ("nodes.0.sub_tasks.0.execute_agent.", shapes.ExecuteAgent),
    ],
    "log": [("", shapes.SubTaskLog)],
    "members": [("", shapes.ClusterInfo), ("agent_info.0.", shapes.Member)],
    "info": [("", shapes.Info)],
    "status": [("", shapes.Status), ("agent.", shapes.StatusAgent)],
    "secret": [("", shapes.Secret)],
}


ROWS = [(kind, path, want) for kind, (_, _, fields) in KINDS.items() for path, want in fields.items()]
"""Each field of each kind with what is expected of it."""


def place(sample: Any, path: str) -> tuple[Any, str]:
    """Return the object that holds a field, and the field's name."""
    *way, name = path.split(".")
    for step in way:
        sample = sample[int(step)] if step.isdigit() else sample[step]
    return sample, name


def spelled(path: str) -> str:
    """Return a path as errors spell it: `nodes.0.id` is `nodes[0].id`."""
    return "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path.split(".")).lstrip(".")


def changed(kind: str, path: str, value: Any) -> Any:
    """Return the sample of a kind with one field changed."""
    sample = copy.deepcopy(KINDS[kind].sample)
    holder, name = place(sample, path)
    holder[name] = value
    return sample


def check(kind: str, path: str, want: Any, sample: Any) -> None:
    """Check what a sample without a field gives."""
    read = KINDS[kind].read
    if want is NEEDED:
        with pytest.raises(Malformed) as caught:
            read(sample)
        assert spelled(path) in str(caught.value)
    elif want is UNUSED:
        assert read(sample) == read(KINDS[kind].sample)
    else:
        where, default = want
        assert where(read(KINDS[kind].sample)) != default, "the sample must differ from the default"
        assert where(read(sample)) == default


@pytest.mark.parametrize(("kind", "path", "want"), ROWS)
def test_absent(kind: str, path: str, want: Any) -> None:
    """A field that is not sent."""
    sample = copy.deepcopy(KINDS[kind].sample)
    holder, name = place(sample, path)
    del holder[name]
    check(kind, path, want, sample)


@pytest.mark.parametrize(("kind", "path", "want"), ROWS)
def test_null(kind: str, path: str, want: Any) -> None:
    """A field that is null."""
    check(kind, path, want, changed(kind, path, None))


WRONG: dict[type, list[Any]] = {
    str: [5, True, ["x"], {}],
    int: ["1", True, 1.5, {}],
    bool: [1, "true"],
    list: [{}, "x", [5.5]],
    dict: [[], "x", 1],
    type(None): ["x", 1],
}


@pytest.mark.parametrize(("kind", "path", "_want"), ROWS)
def test_wrong_type(kind: str, path: str, _want: Any) -> None:
    """Whatever the field is for, a wrong type is refused, and the error names it."""
    holder, name = place(KINDS[kind].sample, path)
    for wrong in WRONG[type(holder[name])]:
        with pytest.raises(Malformed) as caught:
            KINDS[kind].read(changed(kind, path, wrong))
        assert spelled(path) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_holds_every_field(kind: str) -> None:
    """A field that is added to a shape needs a row."""
    fields = {prefix + name for prefix, shape in SHAPES[kind] for name in shape.__struct_encode_fields__}
    assert fields == set(KINDS[kind].fields)


ENVELOPE: list[tuple[str, Any]] = [
    ("successful", NEEDED),
    ("timestamp", lambda it: it.told_at is None),
    ("duration", lambda it: it.error is None),
    ("status", lambda it: it.error is None),
    ("traceId", lambda it: it.error is None and it.told_at is not None),
    ("data", lambda it: it.error is None),
    ("error", lambda it: it.error is None),
]


@pytest.mark.parametrize(("name", "want"), ENVELOPE)
@pytest.mark.parametrize("null", [True, False])
def test_wrapping_without_a_member(name: str, want: Any, *, null: bool) -> None:
    """Only `successful` is needed to read an answer."""
    body = wrapped({}, error=None)
    if null:
        body[name] = None
    else:
        body.pop(name, None)
    if want is NEEDED:
        with pytest.raises(Malformed, match=r"answer\.successful"):
            wire.answer(200, msgspec.json.encode(body))
    else:
        assert want(wire.answer(200, msgspec.json.encode(body)))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("successful", 1),
        ("timestamp", 5),
        ("timestamp", "soon"),
        ("duration", "1"),
        ("status", "200"),
        ("traceId", 5),
        ("error", "text"),
        ("error", {"errCode": 5}),
        ("error", {"code": "5"}),
        ("error", {"message": 5}),
        ("error", {"subErrors": {}}),
    ],
)
def test_wrapping_with_a_wrong_type(name: str, wrong: Any) -> None:
    """A wrong type in the wrapping is no agent's answer."""
    with pytest.raises(Malformed, match=rf"answer\.{name}"):
        wire.answer(200, msgspec.json.encode(wrapped({}) | {name: wrong}))


@pytest.mark.parametrize("error", [{}, {"code": None, "errCode": None, "message": None, "subErrors": None}])
def test_an_error_object_may_be_empty(error: dict[str, Any]) -> None:
    """All members of an error may be absent or null."""
    answer = wire.answer(500, msgspec.json.encode(wrapped(error=error)))
    assert answer.error == shapes.ErrorBody()


def test_status_and_success_must_agree_for_success() -> None:
    """An error beside data, or either sign of failure alone, is a failure."""
    body = msgspec.json.encode(wrapped({"contents": []}))
    assert wire.answer(200, body).error is None
    assert wire.answer(500, body).error == shapes.ErrorBody()
    failed = msgspec.json.encode(wrapped({"contents": []}) | {"successful": False})
    assert wire.answer(200, failed).error == shapes.ErrorBody()


@pytest.mark.parametrize(
    "read", [wire.unfinished, wire.dag, wire.logs, wire.members, wire.info, wire.status, wire.time]
)
def test_an_answer_without_data_is_malformed(read: Callable[[Answer], Any]) -> None:
    """Neither absent nor null data are an empty list."""
    with pytest.raises(Malformed, match="data: missing"):
        read(wire.answer(200, msgspec.json.encode(wrapped())))
    with pytest.raises(Malformed, match="data"):
        read(wire.answer(200, msgspec.json.encode(wrapped() | {"data": None})))


@pytest.mark.parametrize("read", [wire.unfinished, wire.logs])
@pytest.mark.parametrize("data", [{}, {"contents": None}, {"contents": {}}, {"contents": [None]}])
def test_contents_must_be_a_list(read: Callable[[Answer], Any], data: Any) -> None:
    """`contents: null` is how an agent that failed spells nothing."""
    with pytest.raises(Malformed, match=r"data\.contents"):
        read(told(data))
    assert read(told({"contents": []})) == ()


def test_a_dag_is_read_whole() -> None:
    """Every member in its place."""
    started = datetime(2026, 5, 9, 2, 0, 1, 204310, tzinfo=UTC)
    ended = datetime(2026, 5, 9, 2, 0, 0, 900000, tzinfo=UTC)
    assert wire.unfinished(told({"contents": [dag()]})) == (
        DagSnapshot(
            id="157",
            name="Drop tenant",
            stage=1,
            max_stage=1,
            state=State.RUNNING,
            operator=Operator.RUN,
            started_at=started,
            ended_at=ended,
            maintenance=Maintenance.TENANT,
            maintenance_key="t1",
            main_dag_id="22130706433028867",
            stages=(
                Stage(
                    position=1,
                    id="1240",
                    name="Drop tenant",
                    state=State.RUNNING,
                    started_at=started,
                    ended_at=ended,
                    sub_tasks=(
                        SubTask(
                            id="1611",
                            name="Drop tenant",
                            state=State.RUNNING,
                            started_at=started,
                            ended_at=ended,
                            attempts=1,
                            host=Host("10.0.0.1", 2886),
                            lines=("Drop tenant t1",),
                        ),
                    ),
                ),
            ),
        ),
    )


def test_logs_info_status_and_key_are_read_whole() -> None:
    """Every member in its place."""
    assert wire.logs(told({"contents": [LOG]})) == (
        LogRow(id=7, attempt=2, content="hello", created_at=datetime(2026, 5, 9, 2, 0, 1, tzinfo=UTC)),
    )
    info = wire.info(told(INFO))
    assert info == AgentInfo(
        identity="CLUSTER AGENT",
        ip="10.0.0.1",
        port=2886,
        zone="zone1",
        version="4.5.0.0-12026050812",
        ob_version="4.3.5.1",
        state=2,
        pid=4120,
        started_ns=1778291990123456789,
        home="/data/ob",
        architecture="x86_64",
        is_obproxy_agent=True,
        has_agent_password=True,
        supported_auth=("v2",),
    )
    status = wire.status(told(STATUS))
    assert status == AgentStatus(
        identity="CLUSTER AGENT",
        ob_state=3,
        state=2,
        version="4.5.0.0-0",
        pid=17305,
        started_ns=1795574909156299688,
        port=2886,
        sql_port=2881,
        under_maintenance=True,
    )
    assert (info.is_cluster_agent, status.is_cluster_agent, status.database_usable) == (True, True, True)
    assert wire.public_key(told(secret())).bits == private_key(512).size * 8


def test_words_and_members_of_newer_agents_are_no_errors() -> None:
    """An unknown state, operator or lock is `OTHER` or unknown; unknown members are ignored."""
    sample = dag(state="PAUSED", operator="UNDO", maintenance_type=9, color="blue")
    sample["nodes"][0] |= {"state": "PAUSED", "operator": "UNDO"}
    sample["nodes"][0]["sub_tasks"][0] |= {"state": "", "operator": ""}
    snapshot = wire.dag(told(sample))
    assert (snapshot.state, snapshot.operator) == (State.OTHER, Operator.OTHER)
    assert snapshot.maintenance is Maintenance.UNKNOWN
    assert (stage(snapshot).state, stage(snapshot).operator) == (State.OTHER, Operator.OTHER)
    assert (task(snapshot).state, task(snapshot).operator) == (State.OTHER, Operator.OTHER)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-05-09T10:00:01.20431+08:00", datetime(2026, 5, 9, 2, 0, 1, 204310, tzinfo=UTC)),
        ("2026-05-09T10:00:01.123456789+08:00", datetime(2026, 5, 9, 2, 0, 1, 123456, tzinfo=UTC)),
        ("2026-05-09T10:00:01.9999999Z", datetime(2026, 5, 9, 10, 0, 1, 999999, tzinfo=UTC)),
        ("2026-05-08T22:00:01-04:00", datetime(2026, 5, 9, 2, 0, 1, tzinfo=UTC)),
        ("1970-01-01T08:00:00+08:00", None),
        ("1970-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00+08:00", None),
        ("1969-12-31T19:00:00-05:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T08:05:43+08:05", None),
        ("0000-01-01T00:00:00Z", None),
    ],
)
def test_times(text: str, at: datetime | None) -> None:
    """UTC, cut to microseconds; "not set" is None in any zone."""
    assert wire.dag(told(dag(start_time=text))).started_at == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-05-09",
        "2026-05-09T10:00:01",
        "2026-05-09 10:00:01Z",
        "2026-13-09T10:00:01Z",
        "2026-05-09T10:00:01.1234567890Z",
        "2026-05-09T10:00:01Z\n",
        "9999-12-31T23:00:00-05:00",
        "٢٠٢٦-05-09T10:00:01Z",
    ],
)
def test_what_is_no_time_is_malformed(text: str) -> None:
    """The error names the field and does not repeat the text."""
    with pytest.raises(Malformed, match=r"data\.nodes\[0\]\.end_time") as caught:
        wire.dag(told(changed("dag", "nodes.0.end_time", text)))
    assert not text or text not in str(caught.value)


def test_the_clock_of_an_agent() -> None:
    """`/time` is a bare text; an agent without a clock of our days is no agent."""
    assert wire.time(told("2026-05-09T10:00:01+08:00")) == datetime(2026, 5, 9, 2, 0, 1, tzinfo=UTC)
    with pytest.raises(Malformed, match="data"):
        wire.time(told("1970-01-01T00:00:00Z"))
    with pytest.raises(Malformed, match="data"):
        wire.time(told(5))


@pytest.mark.parametrize("text", ["", "1a", "-1", " 1", "1\n", "١", "1" * 81, "../info"])
@pytest.mark.parametrize(
    "path", ["id", "additional_data.main_dag_id", "nodes.0.id", "nodes.0.sub_tasks.0.id"]
)
def test_ids_are_decimal_digits(path: str, text: str) -> None:
    """An id goes into later requests: nothing else may."""
    with pytest.raises(Malformed) as caught:
        wire.dag(told(changed("dag", path, text)))
    assert spelled(path) in str(caught.value)
    assert wire.dag(told(dag(id="3" * 80))).id == "3" * 80


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("dag", "stage", -1),
        ("dag", "max_stage", 10**9),
        ("dag", "nodes.0.sub_tasks.0.execute_times", -1),
        ("log", "id", 2**63),
        ("log", "execute_times", 2**70),
    ],
)
def test_absurd_numbers_are_malformed(kind: str, path: str, value: int) -> None:
    """What no agent counts to would only break us later."""
    with pytest.raises(Malformed) as caught:
        KINDS[kind].read(changed(kind, path, value))
    assert spelled(path) in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html>",
        b"[]",
        b"null",
        b'{"successful":true} x',
        b'{"data":' + b"[" * 100_000,
        b'{"a":"\xff"}',
    ],
    ids=["empty", "HTML", "list", "null", "more", "deep", "not UTF-8"],
)
def test_what_is_no_answer_is_malformed(body: bytes) -> None:
    """Whatever comes, it is this one error."""
    with pytest.raises(Malformed):
        wire.answer(200, body)


@settings(max_examples=100)
@given(
    noise=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(dag())), inner, max_size=5)
        ),
        max_leaves=8,
    )
)
def test_any_json_is_read_or_malformed(noise: Any) -> None:
    """No JSON in the place of a DAG gives any other error."""
    body = json.dumps(wrapped() | {"data": noise}).encode()
    try:
        wire.dag(wire.answer(200, body))
    except Malformed as error:
        assert str(error).startswith("data")  # noqa: PT017 - both ends are allowed
