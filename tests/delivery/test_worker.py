"""The worker against a scripted chat service, on both databases, time driven by hand."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.core.dag import DagSnapshot, State
from bot.core.events import ClusterEvent, ClusterRecovered, ClusterUnreachable
from bot.core.stall import Policy
from bot.core.tracker import observe
from bot.core.views import ClusterState
from bot.delivery.notifier import NotSent, Reason, Refused, RetryAfter, Unclear, Unknowable
from bot.delivery.worker import Worker
from bot.metrics import Metrics
from bot.store import clusters as cluster_rows
from bot.store import outbox as outbox_rows
from bot.store.clusters import Cluster, HealthRow, Registration
from bot.store.commit import PollResult, commit_poll
from bot.store.dags import StoredDag
from bot.store.engine import Store
from bot.store.schema import outbox, threads
from tests.delivery.ledger import Killed, Ledger
from tests.factories import NOW, at, dag, sight, stage, sub_task

CHANNEL = "C0OPS"


class House:
    """A store with one cluster, a worker, and a clock that is moved by hand."""

    def __init__(self, store: Store, cluster: Cluster) -> None:
        self.store, self.cluster = store, cluster
        self.ledger = Ledger()
        self.now = NOW
        self.worker = self.another_worker()
        self._stored: dict[str, StoredDag] = {}

    def clock(self) -> datetime:
        """Return the time that was set."""
        return self.now

    def another_worker(self) -> Worker:
        """Return a worker as a restarted process has it: with nothing in memory."""
        return Worker(store=self.store, notifier=self.ledger, clock=self.clock, metrics=Metrics())

    async def see(self, snapshot: DagSnapshot) -> None:
        """Poll: the cluster shows this DAG."""
        stored = self._stored.get(snapshot.id)
        look = sight(snapshot, (self.now - NOW).total_seconds())
        observation = observe(stored.tracked if stored else None, look, Policy())
        await self._commit(
            PollResult(at=self.now, health=_ok(self.now), observations={snapshot.id: observation})
        )

    async def trouble(self, event: ClusterEvent) -> None:
        """Poll: the cluster has this to tell of itself."""
        await self._commit(PollResult(at=self.now, health=_ok(self.now), cluster_events=(event,)))

    async def _commit(self, result: PollResult) -> None:
        saved = await self.store.write(commit_poll, self.cluster, self._stored, result, None)
        self._stored.update(saved)

    async def deliver(self, seconds: float = 60.0, step: float = 0.5) -> None:
        """Let so much time pass, delivering whatever may be delivered."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            while await self.worker.deliver_one():
                pass
            self.now += timedelta(seconds=step)


def _ok(now: datetime) -> HealthRow:
    return HealthRow(state=ClusterState.OK, checked_at=now, attempted_at=now)


@pytest.fixture
async def house(store: Store) -> House:
    """Return a house with a cluster that tells one channel."""
    registration = Registration(name="prod", urls=("http://10.0.0.1:2886",), channel=CHANNEL)
    await store.write(cluster_rows.add, registration, NOW)
    (cluster,) = await store.read(cluster_rows.load)
    return House(store, cluster)


def failed() -> DagSnapshot:
    """Return a DAG that failed at its second stage."""
    broken = stage(2, State.FAILED, sub_tasks=(sub_task(State.FAILED, lines=("ERROR: [A.B]: no",)),))
    good = stage(1, State.SUCCEED)
    return dag(2, of=2, state=State.FAILED, stages=(good, broken), ended_at=at(9))


async def waiting(house: House) -> int:
    """Return how many notices wait."""
    return (await house.store.read(outbox_rows.backlog)).waiting


async def test_story_is_one_root_and_its_replies(house: House) -> None:
    """The root is posted once, replies follow in order in its thread, the root ends at the last state."""
    for snapshot in (dag(1), dag(2), dag(3), dag(3, state=State.SUCCEED)):
        await house.see(snapshot)
        await house.deliver(10)
    assert house.ledger.texts() == ["root of 11"]
    assert house.ledger.texts("1.000000") == [
        "stage_advanced stage-1",
        "stage_advanced stage-2",
        "stage_advanced stage-3",
        "succeeded whole",
    ]
    assert house.ledger.edits[-1] == ("1.000000", 3)
    assert await waiting(house) == 0


async def test_posts_to_a_channel_are_a_second_apart(house: House) -> None:
    """Everything that happened at once is told at one post a second."""
    await house.see(dag(3, state=State.SUCCEED))
    for seconds in range(5):
        house.now = at(float(seconds))
        while await house.worker.deliver_one():
            pass
        assert len(house.ledger.posts) == seconds + 1
    assert await waiting(house) == 0


async def test_root_is_edited_at_most_every_three_seconds(house: House) -> None:
    """Quick changes are one edit that shows the newest state."""
    await house.see(dag(1))
    await house.deliver(1, step=1)
    for current in (1, 2, 3):
        house.now += timedelta(seconds=0.2)
        await house.see(dag(current))
    house.now = at(2.9)
    await house.worker.deliver_one()
    assert house.ledger.edits == []
    await house.deliver(10)
    assert house.ledger.edits == [("1.000000", 3)]


async def test_nothing_is_called_before_retry_after_has_passed(house: House) -> None:
    """A method over its limit rests as long as the service said, for the whole workspace."""
    await house.see(dag(1))
    house.ledger.script.append(RetryAfter("chat.postMessage", 30))
    await house.deliver(29.5)
    assert house.ledger.posts == []
    await house.deliver(2)
    assert house.ledger.texts() == ["root of 11"]


async def test_lost_answer_is_looked_up_not_repeated(house: House) -> None:
    """A message that was made although its answer was lost is adopted."""
    await house.see(dag(1))
    await house.deliver(2)
    await house.see(dag(2))
    house.ledger.script.append(Unclear("the connection broke"))
    await house.deliver(20)
    assert house.ledger.texts("1.000000") == ["stage_advanced stage-1"]
    assert await waiting(house) == 0


async def test_send_that_was_lost_is_repeated(house: House) -> None:
    """A message that was never made is sent again after the look-up."""
    await house.see(dag(1))
    house.ledger.lost_after = False
    house.ledger.script.append(Unclear("the connection broke"))
    await house.deliver(20)
    assert house.ledger.texts() == ["root of 11"]


async def test_root_whose_answer_was_lost_is_brought_up_to_date(house: House) -> None:
    """An adopted root shows what was known when it was sent, so it is edited."""
    await house.see(dag(1))
    house.ledger.script.append(Unclear("the connection broke"))
    await house.deliver(0.5)
    await house.see(dag(2))
    await house.deliver(20)
    assert house.ledger.texts() == ["root of 11"]
    assert house.ledger.edits[-1] == ("1.000000", 2)


async def test_killed_between_send_and_settle_nothing_comes_twice(house: House) -> None:
    """A process that dies after the send leaves a mark; the next one looks before it sends."""
    await house.see(failed())

    house.ledger.kill_next = True
    with pytest.raises(Killed):
        await house.worker.deliver_one()
    house.worker = house.another_worker()
    await house.deliver(30)
    assert house.ledger.texts() == ["root of 11"]
    assert house.ledger.texts("1.000000") == ["stage_advanced stage-1", "failed whole"]


@pytest.mark.parametrize(("snapshot", "told"), [(dag(2), 0), (failed(), 1)], ids=["stage reply", "failure"])
async def test_where_nobody_may_look_failures_repeat_and_the_rest_stay_silent(
    house: House, snapshot: DagSnapshot, told: int
) -> None:
    """Without a way to look, a failure is rather told twice, a stage reply rather not at all."""
    await house.see(dag(2, of=2) if told else dag(1))
    await house.deliver(10)
    await house.see(snapshot)
    house.ledger.lookup = Unknowable("missing_scope")
    house.ledger.lost_after = False
    before = len(house.ledger.posts)
    house.ledger.script.append(Unclear("the connection broke"))
    await house.deliver(20)
    assert len(house.ledger.posts) - before == told
    assert await waiting(house) == 0


async def test_failed_calls_are_tried_again_later_and_later(house: House) -> None:
    """A service in trouble is asked again after 1, 2, 4 ... seconds, and nothing is lost."""
    await house.see(dag(1))
    house.ledger.script.extend([NotSent(Reason.SERVICE, "503")] * 4)
    await house.deliver(14.5)
    assert house.ledger.posts == []
    await house.deliver(2)
    assert house.ledger.texts() == ["root of 11"]


async def test_refused_token_stops_sending_and_keeps_everything(house: House) -> None:
    """While the token is refused nothing is sent and nothing given up."""
    await house.see(failed())
    house.ledger.script.append(Refused(Reason.AUTH, "invalid_auth"))
    await house.deliver(55)
    assert house.ledger.posts == []
    await house.deliver(30)
    assert house.ledger.texts("1.000000") == ["stage_advanced stage-1", "failed whole"]


async def test_channel_that_refuses_is_noted_and_holds_up_nobody(house: House) -> None:
    """A notice that a channel refuses for good is kept as refused, with the reason."""
    await house.see(dag(1))
    await house.deliver(2)
    await house.see(dag(2))
    house.ledger.script.append(Refused(Reason.CHANNEL, "is_archived: unarchive the channel"))
    await house.deliver(2, step=2)
    await house.see(dag(3))
    await house.deliver(10)
    assert house.ledger.texts("1.000000") == ["stage_advanced stage-2"]
    backlog = await house.store.read(outbox_rows.backlog)
    assert (backlog.waiting, backlog.refused) == (0, 1)


async def test_deleted_root_is_posted_anew(house: House) -> None:
    """When somebody deleted the root, the next edit posts it again."""
    await house.see(dag(1))
    await house.deliver(5)
    house.ledger.script.append(Refused(Reason.THREAD_LOST, "message_not_found"))
    await house.see(dag(1, started_at=None, state=State.READY))
    await house.deliver(10)
    assert house.ledger.texts() == ["root of 11", "root of 11"]


async def test_trouble_and_recovery_share_a_thread(house: House) -> None:
    """The end of a trouble is told where its beginning was."""
    begun = ClusterUnreachable(cluster="prod", episode=1, at=NOW, since=NOW, error="refused")
    await house.trouble(begun)
    await house.deliver(5)
    over = ClusterRecovered(cluster="prod", episode=1, at=at(5), was="cluster_unreachable", since=NOW)
    await house.trouble(over)
    await house.trouble(over)
    await house.deliver(5)
    assert house.ledger.texts() == ["cluster_unreachable whole"]
    assert house.ledger.texts("1.000000") == ["cluster_recovered whole"]


async def test_failure_goes_before_the_routine_of_other_threads(house: House) -> None:
    """When a channel is behind, the thread with a failure is served first."""
    routine = [dag(3, id=f"2{n}") for n in range(3)]
    for snapshot in (*routine, dag(1, of=2)):
        await house.see(snapshot)
    await house.deliver(4, step=1)
    for snapshot in [dag(3, state=State.SUCCEED, id=f"2{n}") for n in range(3)]:
        await house.see(snapshot)
    house.now += timedelta(seconds=1)
    await house.see(failed())
    before = len(house.ledger.posts)
    await house.deliver(2, step=1)
    assert [text for _, _, text in house.ledger.posts[before:]] == ["stage_advanced stage-1", "failed whole"]


async def test_failure_behind_an_unposted_root_goes_first(house: House) -> None:
    """A DAG whose failure waits gets its root, its stage reply and its failure before new routine roots."""
    for number in range(20):
        await house.see(dag(1, id=f"2{number}"))
    await house.see(failed())
    await house.deliver(3, step=1)
    assert [text for _, _, text in house.ledger.posts] == [
        "root of 11",
        "stage_advanced stage-1",
        "failed whole",
    ]


async def test_unknown_event_of_a_newer_release_is_left_alone(house: House) -> None:
    """A notice that this release cannot read stays, unsent, for the one that wrote it."""
    await house.see(dag(1))
    await house.deliver(2)
    await house.see(dag(2))
    await house.store.write(lambda c: c.execute(outbox.update().values(event='{"kind":"from_the_future"}')))
    await house.deliver(10)
    assert house.ledger.texts("1.000000") == []
    assert await waiting(house) == 1


async def test_two_workers_do_not_send_one_notice_twice(house: House) -> None:
    """Of two claims on one notice, one wins."""
    await house.see(dag(1))
    jobs = await house.store.read(lambda c: [*c.execute(select(threads.c.id))])
    assert len(jobs) == 1
    first, second = house.worker, house.another_worker()
    due = [(await w._due(house.now))[0] for w in (first, second)]  # noqa: SLF001 - both saw it as due
    await first._work(due[0])  # noqa: SLF001 - the first claims it
    await second._work(due[1])  # noqa: SLF001 - and the second comes too late
    assert house.ledger.texts() == ["root of 11"]
