"""What is said to be waiting: what delivery can still do something about, and nothing else."""

from bot.delivery.notifier import NotSent, Reason, Refused
from bot.store import outbox as outbox_rows
from bot.store.outbox import Backlog
from tests.delivery.test_worker import House, house
from tests.factories import NOW, at, dag

__all__ = ["house"]


async def backlog(house: House) -> Backlog:
    """Return what waits."""
    return await house.store.read(outbox_rows.backlog)


async def test_nothing_waits_in_a_quiet_house(house: House) -> None:
    """Without news there is neither a number nor an age."""
    assert await backlog(house) == Backlog(waiting=0, oldest=None, refused=0)


async def test_root_and_replies_wait_until_they_are_sent(house: House) -> None:
    """The age is that of the oldest, a root that was never posted included."""
    await house.see(dag(1))
    assert await backlog(house) == Backlog(waiting=1, oldest=NOW, refused=0)
    house.now = at(10)
    await house.see(dag(3))
    assert await backlog(house) == Backlog(waiting=3, oldest=NOW, refused=0)
    await house.deliver(10)
    assert await backlog(house) == Backlog(waiting=0, oldest=None, refused=0)


async def test_service_in_trouble_leaves_everything_waiting(house: House) -> None:
    """What will be tried again waits, however long it takes."""
    await house.see(dag(2))
    house.ledger.script.extend([NotSent(Reason.SERVICE, "503")] * 12)
    await house.deliver(200, step=5)
    assert await backlog(house) == Backlog(waiting=2, oldest=NOW, refused=0)


async def test_refused_root_does_not_keep_its_replies_waiting_for_ever(house: House) -> None:
    """A channel that refuses the root has refused the replies: nothing is stuck, and nothing is lost.

    With the next change the root is tried again, and the replies follow it in their order.
    """
    await house.see(dag(2))
    house.ledger.script.append(Refused(Reason.CHANNEL, "is_archived"))
    await house.deliver(300, step=5)
    assert await backlog(house) == Backlog(waiting=0, oldest=None, refused=1)
    await house.see(dag(3))
    assert (await backlog(house)).waiting == 3
    await house.deliver(10)
    assert house.ledger.texts() == ["root of 11"]
    assert house.ledger.texts("1.000000") == ["stage_advanced stage-1", "stage_advanced stage-2"]
    assert await backlog(house) == Backlog(waiting=0, oldest=None, refused=0)
