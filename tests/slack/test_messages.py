import json
import re
from datetime import timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import events as ev
from bot.core.dag import Operator, State
from bot.core.parts import parts
from bot.sandbox.validate import validate_message
from bot.slack.blocks import Message
from bot.slack.messages import Layout, brief, reply, root, root_text
from tests.slack.samples import EVENTS, FAILED, ROOTS, T0, Sample, at, ref, report, samples, snapshot, view
from tests.slack.write_golden import GOLDEN, as_json

STEMS = {
    "failed": r"fail",
    "succeeded": r"succeeded|finished|complete|done",
    "cancelled": r"cancel",
    "rolled_back": r"rolled back|rolling back",
    "passed": r"passed|skipped",
    "retried": r"retry|retried|attempt \d",
    "stalled": r"stalled|no progress",
    "cluster_unreachable": r"unreachable",
    "cluster_recovered": r"recovered",
}
ALSO = {"rollback_started": "rolled_back", "cancelling": "cancelled"}
SAYS_MORE = {("failed", "retried")}
"""A failure card counts attempts and names RETRY among the next steps."""


def visible(message: Message) -> str:
    """Return all that a person can read in a message."""
    return "\n".join([message.text, *_texts(list(message.blocks))])


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [v for k, v in value.items() if k in {"text", "title"} and isinstance(v, str)]
        return own + [t for v in value.values() for t in _texts(v)]
    return [t for v in value for t in _texts(v)] if isinstance(value, list) else []


def problems(message: Message) -> list[Any]:
    """Return why Slack would refuse a message."""
    return validate_message({"text": message.text, "blocks": list(message.blocks)}, update=True)


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_golden(sample: Sample) -> None:
    """Each message is as it was looked at and found good (`python -m tests.slack.write_golden`)."""
    assert as_json(sample.message) == (GOLDEN / f"{sample.name}.json").read_text(encoding="utf-8")


def test_there_is_no_golden_file_too_many() -> None:
    """A golden file of a sample that is gone proves nothing."""
    assert {f.stem for f in GOLDEN.glob("*.json")} == {sample.name for sample in samples()}


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_slack_takes_each_sample(sample: Sample) -> None:
    """No sample breaks one of Slack's rules."""
    assert problems(sample.message) == []


def test_every_kind_of_event_has_a_sample_and_words() -> None:
    """No kind can be added without words."""
    assert {type(event) for event in EVENTS.values()} == set(get_args(ev.AnyEvent))


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_each_event_has_its_stem_and_no_other(name: str) -> None:
    """People (and checks) recognise what happened by a word stem that stands nowhere else."""
    event = EVENTS[name]
    kind = ALSO.get(event.kind, event.kind)
    for part in parts(event) or ("whole",):
        text = visible(reply(event, part)).replace("Finish scale out", "")
        said = {stem for stem, words in STEMS.items() if re.search(words, text)}
        expected = {kind} & set(STEMS)
        assert said - {more for which, more in SAYS_MORE if which == kind} == expected


@pytest.mark.parametrize("name", sorted(ROOTS))
@pytest.mark.parametrize("layout", Layout)
def test_essentials_stand_outside_the_plan(name: str, layout: Layout) -> None:
    """A client that draws no plan block still shows DAG, cluster, `k/N` and state; so does the fallback."""
    seen = ROOTS[name]
    message = root(seen, layout=layout)
    ordinary = Message(message.text, tuple(b for b in message.blocks if b["type"] in {"header", "section"}))
    essentials = [seen.snapshot.name, seen.cluster, f"{seen.snapshot.stage}/{seen.snapshot.max_stage}"]
    for where in (visible(ordinary).removeprefix(message.text), message.text):
        assert all(word in where for word in essentials)


def test_success_reads_done() -> None:
    """The root of a DAG that succeeded shows all its stages as done."""
    assert root_text(ROOTS["succeeded"]).endswith("9/9 done · succeeded after 12 m 03 s")


def test_unknown_since_is_said() -> None:
    """What cannot be known is called unknown, with the time since when."""
    assert "unknown since 2026-05-09 03:04 UTC" in root(ROOTS["unknown-since"]).text


def test_a_long_plan_is_a_window_round_the_current_stage() -> None:
    """Of 80 stages those near the current one are shown, the others counted."""
    one = snapshot(4).stages
    assert one
    many = tuple(msgspec.structs.replace(one[0], position=n, name=f"Stage no {n}") for n in range(1, 81))
    shot = msgspec.structs.replace(snapshot(4), stage=40, max_stage=80, stages=many)
    native = next(b for b in root(view(shot)).blocks if b["type"] == "plan")
    titles = [task["title"] for task in native["tasks"]]
    assert titles[0] == "… 36 earlier stages"
    assert titles[-1] == "… 24 later stages"
    assert "40. Stage no 40" in titles
    classic = visible(root(view(shot), layout=Layout.CLASSIC))
    assert "… 36 earlier stages" in classic
    assert "40 *Stage no 40*" in classic


def test_a_changed_plan_has_a_new_block_id() -> None:
    """Slack asks for another `block_id` when a plan is edited; the same plan keeps its own."""
    ids = [root(view(snapshot(n))).blocks[2]["block_id"] for n in (3, 4, 4)]
    assert ids[0] != ids[1] == ids[2]


def test_log_lines_are_verbatim_and_in_order() -> None:
    """A stage's lines stand as they were written, outside of any markup, each host under its name."""
    event = EVENTS["stage_advanced"]
    message = reply(event, "stage-3")
    quoted = [e for b in message.blocks if b["type"] == "rich_text" for e in b["elements"]]
    assert [e["elements"][0]["text"] for e in quoted] == [
        "10.0.0.7:2886",
        "10.0.0.7: step 0 of 2 <ok> & *bold*\n10.0.0.7: step 1 of 2 <ok> & *bold*",
        "10.0.0.8:2886",
        "10.0.0.8: step 0 of 2 <ok> & *bold*\n10.0.0.8: step 1 of 2 <ok> & *bold*",
    ]


def test_long_logs_keep_both_ends_and_say_how_to_see_all() -> None:
    """First and last lines inline, the number of the others, and the command that shows them all."""
    text = visible(reply(EVENTS["stage_advanced-long"], "stage-4"))
    assert "step 0 of 200" in text
    assert "step 199 of 200" in text
    assert re.search(r"… 1\d\d lines left out …", text)
    assert "obdag logs ob-prod 1123 --stage 4" in text


def test_passwords_are_masked_in_a_failure() -> None:
    """No password of a log line reaches Slack, in blocks or fallback."""
    assert "hunter2" not in visible(reply(FAILED, "whole"))


def test_brief_is_the_text_alone() -> None:
    """When Slack refuses the blocks, the fallback text says it all."""
    message = reply(FAILED, "whole")
    assert brief(message) == Message(message.text)
    assert "OB.Server.Start.Failed" in message.text


texts = st.text(min_size=0, max_size=5_000) | st.text(
    alphabet="&<>`*_~|\n\x1b\U0001f468\u200d", max_size=6_000
)
lines = st.lists(texts, max_size=40).map(tuple)


@settings(max_examples=60, deadline=None)
@given(
    name=texts,
    stage_name=texts,
    current=st.integers(0, 99),
    total=st.integers(0, 99),
    layout=st.sampled_from(Layout),
)
def test_any_names_make_a_root_that_slack_takes(
    name: str, stage_name: str, current: int, total: int, layout: Layout
) -> None:
    """Whatever a DAG and its stages are called, the root keeps the limits and has a fallback."""
    base = snapshot(4).stages
    assert base
    stages = tuple(msgspec.structs.replace(base[3], position=n, name=stage_name) for n in range(1, total + 1))
    shot = msgspec.structs.replace(snapshot(4), name=name, stage=current, max_stage=total, stages=stages)
    message = root(view(shot), layout=layout)
    assert problems(message) == []
    assert message.text.strip()
    assert "<!" not in message.text


@settings(max_examples=60, deadline=None)
@given(host=st.none() | texts, logged=st.lists(lines, max_size=5))
def test_any_lines_make_a_reply_that_slack_takes(host: str | None, logged: list[tuple[str, ...]]) -> None:
    """Whatever sub-tasks log, the reply keeps the limits and names its stage."""
    logs = tuple(ev.HostLines(host=host, lines=some) for some in logged)
    finished = msgspec.structs.replace(report(3), logs=logs)
    message = reply(ev.StageAdvanced(at=T0, dag=ref(4), finished=(finished,)), "stage-3")
    assert problems(message) == []
    assert "Stage 3/9 · Create observer dirs" in message.text


@settings(max_examples=60, deadline=None)
@given(text=texts, logged=lines, count=st.integers(0, 30))
def test_any_evidence_makes_a_card_that_slack_takes(text: str, logged: tuple[str, ...], count: int) -> None:
    """Whatever failed and however, the card keeps the limits and says that it failed."""
    found = ev.SubTaskEvidence(host=text, state=State.FAILED, attempt=2, error_code=text, last_lines=logged)
    failed = msgspec.structs.replace(FAILED, failures=(found,) * count, runbook=text, agent_url=text)
    stalled = ev.Stalled(at=T0, dag=ref(), episode=1, quiet_s=1e9, waiting=(found,) * count)
    for event, stem in ((failed, "failed"), (stalled, "stalled")):
        message = reply(event, "whole")
        assert problems(message) == []
        assert stem in message.text


@given(text=texts)
@settings(max_examples=40, deadline=None)
def test_any_error_makes_trouble_that_slack_takes(text: str) -> None:
    """Whatever an error says, the message about a cluster keeps the limits."""
    since = at(0) - timedelta(days=400)
    event = ev.ClusterUnreachable(
        at=T0, cluster=text, episode=1, since=since, error=text, agents=(text,) * 9, open_dags=(text,) * 9
    )
    dag = msgspec.structs.replace(ref(), name=text, stage_name=text)
    digest = ev.Digest(
        at=T0,
        cluster=text,
        episode=1,
        lines=(ev.DigestLine(dag=dag, state=State.FAILED, operator=Operator.RUN),) * 60,
    )
    assert problems(reply(event, "whole")) == []
    assert problems(reply(digest, "whole")) == []


def test_a_message_beyond_the_limits_cannot_be_made() -> None:
    """The value itself refuses what Slack would refuse."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    for wrong in (("", ()), ("x" * 3_901, ()), ("x", (block,) * 5), ("x", ({"type": "divider"},) * 51)):
        with pytest.raises(ValueError, match="message"):
            Message(*wrong)


def test_golden_files_are_json() -> None:
    """A golden file is a payload as Slack would get it."""
    assert all({"text", "blocks"} == json.loads(f.read_text("utf-8")).keys() for f in GOLDEN.glob("*.json"))
