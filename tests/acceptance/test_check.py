"""The comparison of messages with what was lived: it agrees with a true story and notices a spoilt one."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from bot.sandbox.agents.lived import Lived, Watch, lived
from bot.sandbox.agents.player import Player
from bot.sandbox.agents.scenarios import SCENARIOS
from bot.sandbox.check import Thread, differences, threads
from tests.acceptance.timeline import HOSTS, Timeline, timeline
from tests.watch.replay import START

Story = tuple[list[Lived], list[Thread]]


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Timeline]:
    """Return a timeline with a registered cluster."""
    async with timeline(tmp_path) as opened:
        await opened.register()
        yield opened


async def played(line: Timeline, name: str, *, blind_s: float = 0.0) -> Story:
    """Play a story to its end; return what was lived and what was seen."""
    player = Player(line.cluster, SCENARIOS[name].on(HOSTS))
    for _ in range(160):
        player.play(line.clock())
        await line.wait(0.5)
    watch = Watch(since=START, until=line.clock(), interval_s=1.0, stall_after_s=60.0, blind_s=blind_s)
    return [lived(line.cluster, watch)], threads(line.workspace, line.channel)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_true_story_agrees(line: Timeline, name: str) -> None:
    """What the product told of each story is what the simulated cluster lived."""
    lives, seen = await played(line, name)
    assert differences(lives, seen) == []
    (dag,) = lives[0].dags
    assert dag.stages
    assert len(seen) == 1


def _without(number: int) -> Callable[[Thread], Thread]:
    return lambda t: msgspec.structs.replace(
        t, replies=tuple(r for n, r in enumerate(t.replies) if n != number)
    )


def _twice(number: int) -> Callable[[Thread], Thread]:
    return lambda t: msgspec.structs.replace(t, replies=(*t.replies[: number + 1], *t.replies[number:]))


def _line_lost(thread: Thread) -> Thread:
    first = "\n".join(thread.replies[0].splitlines()[:-1])
    return msgspec.structs.replace(thread, replies=(first, *thread.replies[1:]))


def _out_of_order(thread: Thread) -> Thread:
    second, first = thread.replies[:2]
    return msgspec.structs.replace(thread, replies=(first, second, *thread.replies[2:]))


def _stale(thread: Thread) -> Thread:
    return msgspec.structs.replace(thread, root=thread.root.replace("6/6", "5/6"))


SPOILT: dict[str, Callable[[Thread], Thread]] = {
    "a stage reply is missing": _without(0),
    "the failure is missing": _without(2),
    "the retry is missing": _without(3),
    "the outcome is missing": _without(-1 % 9),
    "a stage reply comes twice": _twice(1),
    "the failure comes twice": _twice(2),
    "a log line is lost": _line_lost,
    "stages out of order": _out_of_order,
    "the root is stale": _stale,
}


async def test_spoilt_story_is_noticed(line: Timeline) -> None:
    """One message less, one more, one changed: each makes a difference."""
    lives, (thread,) = await played(line, "upgrade")
    assert len(thread.replies) == 9
    for name, spoil in SPOILT.items():
        assert differences(lives, [spoil(thread)]), name
    assert differences(lives, []), "no root"
    assert differences(lives, [thread, thread]), "two roots"
    stranger = msgspec.structs.replace(thread, root="something else entirely")
    assert differences(lives, [thread, stranger]), "a message that nothing explains"


async def test_only_the_first_stages_may_have_gone_by_unseen(line: Timeline) -> None:
    """A watcher that was down when a DAG began may discover it late, and tells each stage from then on."""
    lives, (thread,) = await played(line, "upgrade", blind_s=30.0)
    assert differences(lives, [thread]) == []
    assert differences(lives, [_without(0)(thread)]) == []
    assert differences(lives, [_without(1)(thread)]), "the second stage, but not the first"
    late = _without(0)(_without(0)(thread))
    assert differences(lives, [late]) == []
    assert differences(lives, [_without(len(late.replies) - 1)(late)]), "the outcome"
