"""Compares the messages that people would see with what the simulated clusters lived through.

Knows nothing of how obdag words its messages beyond the stems by which people recognise them: it reads the
plain words of each message, sorts it by its stem, and counts. Every message must be accounted for.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import dropwhile

import msgspec

from bot.core.dag import Outcome
from bot.sandbox.agents.lived import Lived, LivedDag, LivedStage
from bot.sandbox.messages import Message
from bot.sandbox.reading import visible_text
from bot.sandbox.workspace import Workspace

STEMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("stage", re.compile(r"^\W*stage \d+/\d+", re.IGNORECASE)),
    ("failed", re.compile(r"\bfail", re.IGNORECASE)),
    ("resumed", re.compile(r"\b(resumed|moves again)\b", re.IGNORECASE)),
    ("stalled", re.compile(r"\b(stalled|no progress)\b", re.IGNORECASE)),
    ("retried", re.compile(r"\b(retry|retried|attempt \d)", re.IGNORECASE)),
    ("rolling back", re.compile(r"\brolling back\b", re.IGNORECASE)),
    ("cancelling", re.compile(r"\b(being cancelled|cancelling)\b", re.IGNORECASE)),
    (Outcome.ROLLED_BACK.value, re.compile(r"\brolled back\b", re.IGNORECASE)),
    (Outcome.PASSED.value, re.compile(r"\b(passed|skipped)\b", re.IGNORECASE)),
    (Outcome.CANCELLED.value, re.compile(r"\bcancel", re.IGNORECASE)),
    (Outcome.SUCCEEDED.value, re.compile(r"\b(succeeded|finished|complete|done)\b", re.IGNORECASE)),
    ("unreachable", re.compile(r"\bunreachable\b", re.IGNORECASE)),
    ("recovered", re.compile(r"\brecovered\b", re.IGNORECASE)),
)


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the channel with its replies, as plain words."""

    root: str
    replies: tuple[str, ...]
    edits: int = 0


def threads(workspace: Workspace, channel: str) -> list[Thread]:
    """Return what stands in a channel, by thread."""
    return [
        Thread(
            root=visible_text(root),
            replies=tuple(visible_text(reply) for reply in workspace.replies(channel, root.ts)),
            edits=root.edits,
        )
        for root in workspace.channel_messages(channel)
        if root.thread_ts is None and _is_ours(root)
    ]


def differences(lives: Sequence[Lived], seen: Sequence[Thread]) -> list[str]:
    """Return, one line each, where the messages differ from what happened; none when they agree."""
    return list(_differences(lives, list(seen)))


def kind(text: str) -> str:
    """Return what a message is about, by the stem in its first line."""
    first = text.splitlines()[0] if text else ""
    return next((name for name, stem in STEMS if stem.search(first)), "unknown")


def _is_ours(message: Message) -> bool:
    return message.by_app


def _differences(lives: Sequence[Lived], seen: list[Thread]) -> Iterator[str]:
    left = list(seen)
    for life in lives:
        for dag in life.dags:
            found = [t for t in left if _is_root_of(t, life, dag)]
            left = [t for t in left if t not in found]
            yield from _roots(life, dag, found)
        outages = [t for t in left if kind(t.root) == "unreachable" and life.cluster in t.root]
        left = [t for t in left if t not in outages]
        yield from _outages(life, outages)
    for thread in left:
        yield f"nothing that happened explains the message {thread.root.splitlines()[0]!r}"


def _is_root_of(thread: Thread, life: Lived, dag: LivedDag) -> bool:
    head = thread.root.splitlines()[0]
    is_id = re.search(rf"\bDAG {dag.id}\b", thread.root)
    return dag.name in head and life.cluster in head and is_id is not None


def _roots(life: Lived, dag: LivedDag, found: Sequence[Thread]) -> Iterator[str]:
    who = f"{dag.name} ({dag.id}) on {life.cluster}"
    if len(found) != 1:
        yield f"{who}: {len(found)} root messages instead of one"
        return
    (thread,) = found
    if f"{dag.stage}/{dag.max_stage}" not in thread.root:
        yield f"{who}: the root message does not stand at stage {dag.stage}/{dag.max_stage}"
    if dag.outcome is not None and not _says(dag.outcome.value, thread.root):
        yield f"{who}: the root message does not say that it ended as {dag.outcome.value}"
    yield from _replies(who, dag, thread)


def _replies(who: str, dag: LivedDag, thread: Thread) -> Iterator[str]:
    kinds = Counter(kind(reply) for reply in thread.replies)
    stages = [reply for reply in thread.replies if kind(reply) == "stage"]
    told = _told(dag, stages)
    wanted = {"failed": len(dag.failures), "retried": dag.retries, "stage": len(told)}
    for outcome in Outcome:
        if outcome not in {Outcome.FAILED, Outcome.FORGOTTEN}:
            wanted[outcome.value] = int(outcome is dag.outcome)
    for name, number in wanted.items():
        if kinds[name] != number:
            yield f"{who}: {kinds[name]} replies of the kind {name!r} instead of {number}"
    if not dag.stalls.holds(kinds["stalled"]):
        yield f"{who}: stalled was told {kinds['stalled']} times, it happened {dag.stalls}"
    if kinds["resumed"] > kinds["stalled"]:
        yield f"{who}: resumed was told without a stall"
    if kinds["unknown"]:
        yield f"{who}: {kinds['unknown']} replies that say nothing known"
    yield from _failures(who, dag, [r for r in thread.replies if kind(r) == "failed"])
    yield from _stages(who, dag, told, stages)


def _failures(who: str, dag: LivedDag, cards: Sequence[str]) -> Iterator[str]:
    for stage, card in zip(dag.failures, cards, strict=False):
        if stage not in card:
            yield f"{who}: the failure card does not name the stage {stage!r}"


def _told(dag: LivedDag, replies: Sequence[str]) -> Sequence[LivedStage]:
    """Return the stages that must have been told: all but the first ones that nobody was there to see."""
    return tuple(dropwhile(lambda s: not s.in_sight and not _replies_of(dag, s, replies), dag.stages))


def _replies_of(dag: LivedDag, stage: LivedStage, replies: Sequence[str]) -> list[str]:
    mark = re.compile(rf"\b{stage.position}/{dag.max_stage}\b")
    return [r for r in replies if mark.search(r.splitlines()[0]) and stage.name in r.splitlines()[0]]


def _stages(who: str, dag: LivedDag, stages: Sequence[LivedStage], replies: Sequence[str]) -> Iterator[str]:
    for stage in stages:
        found = _replies_of(dag, stage, replies)
        if len(found) != 1:
            yield f"{who}: {len(found)} replies for stage {stage.position} {stage.name!r} instead of one"
        else:
            yield from _lines(who, stage, found[0])
    positions = [re.search(r"(\d+)/\d+", r.splitlines()[0]) for r in replies]
    numbers = [int(p[1]) for p in positions if p]
    if numbers != sorted(numbers):
        yield f"{who}: the stage replies are out of order: {numbers}"


def _lines(who: str, stage: LivedStage, reply: str) -> Iterator[str]:
    said = reply.splitlines()[1:]
    for lines in stage.lines:
        if [line for line in said if line in lines] != list(lines):
            yield f"{who}: the reply of stage {stage.position} lacks its lines, in order: {list(lines)}"
    known = {line for lines in stage.lines for line in lines}
    for line in said:
        if line not in known and "(" in line:
            yield f"{who}: the reply of stage {stage.position} holds a foreign line {line!r}"


def _outages(life: Lived, found: Sequence[Thread]) -> Iterator[str]:
    if not life.outages.holds(len(found)):
        yield f"{life.cluster}: unreachable was told {len(found)} times, it happened {life.outages}"
    for thread in found:
        kinds = [kind(reply) for reply in thread.replies]
        if kinds not in ([], ["recovered"]):
            yield f"{life.cluster}: the thread of its outage holds {kinds}"


def _says(outcome: str, text: str) -> bool:
    stem = dict(STEMS)[outcome]
    return stem.search(text) is not None
