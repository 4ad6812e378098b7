"""Events as they are stored: read back as written, years later and by the release before."""

import json
from typing import Any, get_args

import pytest
from msgspec.structs import fields, replace

from bot.core.dag import Operator, Outcome, State
from bot.core.events import (
    CLUSTER_EVENTS,
    DAG_EVENTS,
    AnyEvent,
    AuthFailed,
    Cancelled,
    Cancelling,
    ClockSkewed,
    ClusterDegraded,
    ClusterRecovered,
    ClusterUnreachable,
    DagEvent,
    DagRef,
    Digest,
    DigestLine,
    Discovered,
    Event,
    Failed,
    Finished,
    Forgotten,
    HostLines,
    LateLines,
    Missed,
    NotClusterAgent,
    Passed,
    Reminder,
    Resumed,
    Retried,
    RollbackStarted,
    RolledBack,
    StageAdvanced,
    StageReport,
    Stalled,
    Started,
    SubTaskEvidence,
    Succeeded,
    UnknownEvent,
    decode,
    encode,
    event_id,
)
from bot.core.parts import WHOLE, parts, report_of
from tests.factories import NOW, at

WORDS = {
    "started", "discovered", "stage_advanced", "late_lines", "retried", "rollback_started", "cancelling",
    "stalled", "resumed", "failed", "reminder", "succeeded", "rolled_back", "passed", "cancelled",
    "forgotten",
    "cluster_unreachable", "cluster_degraded", "cluster_recovered", "auth_failed", "not_cluster_agent",
    "clock_skewed", "digest",
}  # fmt: skip

REF = DagRef(
    cluster="prod", dag_id="11", name="Cluster scale out", run=2, stage=2, max_stage=9, stage_name="b"
)
LINES = (
    "plain",
    "<!channel> *bold*",
    "two\nlines",
    "",
    "  blanks  ",
    "\x1b[31m",
    "中文",
    "a\0b",
    "😀",
)
EVIDENCE = SubTaskEvidence(
    host="[::1]:2886",
    state=State.FAILED,
    attempt=2,
    since=NOW,
    error_code="A.B",
    last_lines=LINES,
    limit_left_s=1.5,
)
REPORTS = tuple(
    StageReport(
        position=position,
        name="a stage",
        operator=Operator.RETRY,
        duration_s=3.25,
        hosts=("10.0.0.1:2886",),
        logs=(HostLines(host=None, lines=LINES, sub_task_id="101"),),
        attempts=2,
    )
    for position in (2, 3)
)
TROUBLE: dict[str, Any] = {"cluster": "prod", "episode": 4, "at": NOW}
OF_DAG: dict[str, Any] = {"dag": REF, "at": NOW}
OUTAGE: dict[str, Any] = {
    "since": at(-30),
    "error": "refused",
    "agents": ("http://10.0.0.1:2886",),
    "open_dags": ("Scale out",),
}

SAMPLES: dict[type[Event], Event] = {
    type(event): event
    for event in (
        Started(**OF_DAG),
        Discovered(**OF_DAG, state=State.FAILED, operator=Operator.CANCEL),
        StageAdvanced(**OF_DAG, finished=REPORTS),
        LateLines(**OF_DAG, position=2, stage_name="a stage", known=3, logs=REPORTS[0].logs),
        Retried(**OF_DAG, passed_stage="a stage", away_s=400.0, missed=(Missed(kind="retried"),)),
        RollbackStarted(**OF_DAG),
        Cancelling(**OF_DAG),
        Stalled(**OF_DAG, episode=3, quiet_s=600.5, waiting=(EVIDENCE,)),
        Resumed(**OF_DAG, episode=3, quiet_s=700.0),
        Reminder(**OF_DAG, number=2, failed_at=at(3), holds_lock=True),
        Failed(
            **OF_DAG,
            operator=Operator.ROLLBACK,
            ended_at=at(1.000001),
            failures=(EVIDENCE,),
            operators=("RETRY",),
            holds_lock=False,
            listed=False,
            agent_url="http://10.0.0.1:2886",
            runbook="https://runbook.example.com",
        ),
        Succeeded(**OF_DAG, total_s=12.0, undone=("a stage",)),
        RolledBack(**OF_DAG, total_s=12.0),
        Passed(**OF_DAG, total_s=None),
        Cancelled(**OF_DAG, total_s=0.0, elsewhere=("10.0.0.2:2886",)),
        Forgotten(**OF_DAG, reason="record not found"),
        ClusterUnreachable(**TROUBLE, **OUTAGE),
        ClusterDegraded(**TROUBLE, **OUTAGE),
        AuthFailed(**TROUBLE, agent="http://10.0.0.1:2886", error="refused"),
        NotClusterAgent(**TROUBLE, agent="http://10.0.0.1:2886", identity="SINGLE", error="no"),
        ClusterRecovered(**TROUBLE, was="cluster_degraded", since=at(-60)),
        ClockSkewed(**TROUBLE, agent="http://10.0.0.1:2886", skew_s=-75.5),
        Digest(**TROUBLE, lines=(DigestLine(dag=REF, state=State.RUNNING, operator=Operator.CANCEL),)),
    )
}
"""One event of each kind, with everything in it that it can hold."""


def test_there_is_a_sample_of_every_kind() -> None:
    """The three lists of kinds agree, so that the tests below leave none out."""
    assert set(SAMPLES) == {*DAG_EVENTS, *CLUSTER_EVENTS} == set(get_args(AnyEvent))


def test_kinds_are_the_product_s_words() -> None:
    """The words that people know, and no others: they stand in databases for years."""
    assert {sample.kind for sample in SAMPLES.values()} == WORDS


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_event_is_read_back_as_written(kind: type[Event]) -> None:
    """Nothing of an event is lost in the database, log lines least of all."""
    sample = SAMPLES[kind]
    text = encode(sample)
    assert decode(text) == sample
    assert json.loads(text)["kind"] == sample.kind
    assert json.loads(text)["version"] == 1


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_members_of_a_newer_release_are_passed_over(kind: type[Event]) -> None:
    """A row with more members than this release knows is readable all the same."""
    stored = json.loads(encode(SAMPLES[kind]))
    stored |= {"version": 2, "from_the_future": {"a": [1]}}
    stored.get("dag", {})["tint"] = "blue"
    read = decode(json.dumps(stored))
    assert read.version == 2
    assert json.loads(encode(read)) == {**json.loads(encode(SAMPLES[kind])), "version": 2}


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_optional_members_may_be_absent(kind: type[Event]) -> None:
    """What an older release did not write yet has a default: only the members of its first day are needed."""
    stored = json.loads(encode(SAMPLES[kind]))
    needed = {field.encode_name for field in fields(kind) if field.required} | {"kind"}
    read = decode(json.dumps({name: value for name, value in stored.items() if name in needed}))
    assert read.kind == SAMPLES[kind].kind


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"from_the_future","at":"2026-05-09T02:00:00Z"}',
        '{"at":"2026-05-09T02:00:00Z"}',
        '{"kind":"started","at":"2026-05-09T02:00:00Z"}',
        '{"kind":"started","at":"yesterday","dag":{}}',
        "[]",
        "",
        "not JSON",
    ],
)
def test_what_this_release_cannot_read_is_unknown(text: str) -> None:
    """A kind or a shape of a newer release, or damage, is one kind of error, which is left for others."""
    with pytest.raises(UnknownEvent, match="cannot be read"):
        decode(text)


def test_every_fact_has_a_key_of_its_own() -> None:
    """Cluster, generation, DAG, run, kind and ordinal all make another key."""
    first, second = REPORTS
    events: list[Event] = [*SAMPLES.values()]
    events += [Failed(**OF_DAG, ended_at=at(2)), Failed(**OF_DAG)]
    events += [Stalled(**OF_DAG, episode=4, quiet_s=1), Resumed(**OF_DAG, episode=4, quiet_s=1)]
    events += [
        StageAdvanced(**OF_DAG, finished=(first,)),
        AuthFailed(**TROUBLE | {"episode": 5}, agent="a", error="e"),
    ]
    events += [Started(dag=_ref(run=3), at=NOW), Started(dag=_ref(dag_id="12"), at=NOW)]
    keys = [event_id(cluster, generation, e) for cluster in (1, 11) for generation in (1, 2) for e in events]
    assert len(set(keys)) == len(keys)
    assert StageAdvanced(**OF_DAG, finished=(first, second)).ordinal == "3"


def test_key_does_not_depend_on_when_it_was_noticed() -> None:
    """The same fact seen by two processes, or again after a crash, has the same key."""
    for kind in DAG_EVENTS:
        sample = SAMPLES[kind]
        assert isinstance(sample, DagEvent)
        later = decode(encode(sample).replace(NOW.isoformat().replace("+00:00", "Z"), "2026-05-10T00:00:00Z"))
        assert event_id(1, 1, later) == event_id(1, 1, sample)


def test_ends_name_their_outcome() -> None:
    """Each end of a DAG carries the outcome of the same word."""
    ends = [kind for kind in DAG_EVENTS if issubclass(kind, Finished)]
    assert {kind.outcome.value for kind in ends} == {SAMPLES[kind].kind for kind in ends}
    assert {kind.outcome for kind in ends} == set(Outcome) - {Outcome.FAILED}


def test_parts_of_events() -> None:
    """Starts are told by the root alone, each finished stage by a reply of its own, the rest in one post."""
    advanced = SAMPLES[StageAdvanced]
    for kind, sample in SAMPLES.items():
        expected = {Started: (), Discovered: (), StageAdvanced: ("stage-2", "stage-3")}.get(kind, (WHOLE,))
        assert parts(sample) == expected
    assert isinstance(advanced, StageAdvanced)
    assert [report_of(advanced, part).position for part in parts(advanced)] == [2, 3]
    with pytest.raises(KeyError):
        report_of(advanced, "stage-9")


def _ref(**members: Any) -> DagRef:
    return replace(REF, **members)
