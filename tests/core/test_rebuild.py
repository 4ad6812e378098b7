"""Telling a cluster that was built anew from the one before."""

from collections.abc import Callable

import msgspec
import pytest

from bot.core.dag import DagSnapshot, Operator, State
from bot.core.rebuild import rebuilt
from bot.core.stall import Policy
from bot.core.tracked import TrackedDag
from bot.core.tracker import observe
from tests.factories import at, dag, sight

FAILED = dag(2, state=State.FAILED, ended_at=at(50))
DONE = dag(3, state=State.SUCCEED, ended_at=at(90))


def known(*looks: DagSnapshot) -> dict[str, TrackedDag]:
    """Return what is remembered of a DAG after some looks."""
    tracked: TrackedDag | None = None
    for number, snapshot in enumerate(looks):
        tracked = observe(tracked, sight(snapshot, 10 * number), Policy()).tracked
    return {tracked.snapshot.id: tracked} if tracked else {}


def renamed(snapshot: DagSnapshot) -> DagSnapshot:
    """Return the DAG with other stages of the same names."""
    stages = tuple(msgspec.structs.replace(s, id=f"9{s.id}") for s in snapshot.stages or ())
    return msgspec.structs.replace(snapshot, stages=stages)


ANOTHER: dict[str, tuple[DagSnapshot, DagSnapshot]] = {
    "another name": (dag(1), dag(1, name="Drop tenant")),
    "another number of stages": (dag(1, of=3), dag(1, of=4)),
    "other stages": (dag(1), renamed(dag(1))),
    "one that ended runs": (DONE, dag(1, started_at=at(500), ended_at=at(499))),
    "one that failed is created": (FAILED, dag(1, started_at=at(500), ended_at=at(499))),
    "one that runs begins once more": (dag(2), dag(1, started_at=at(500), ended_at=at(499))),
    "an earlier start": (dag(1), dag(1, started_at=at(-100))),
}

THE_SAME: dict[str, tuple[DagSnapshot, DagSnapshot]] = {
    "it moves": (dag(1), dag(2)),
    "it is seen in summary": (dag(1), msgspec.structs.replace(dag(2), stages=None)),
    "it fails": (dag(2), FAILED),
    "it is retried": (FAILED, dag(2, state=State.READY, started_at=None, ended_at=None)),
    "its retry runs": (FAILED, dag(2, started_at=at(70), ended_at=None)),
    "its retry failed too": (FAILED, dag(2, state=State.FAILED, started_at=at(70), ended_at=at(80))),
    "it is undone": (FAILED, dag(2, operator=Operator.ROLLBACK, started_at=None, ended_at=None)),
    "it ends": (dag(3), DONE),
    "an agent of another zone tells its start": (dag(1), dag(1, started_at=at(-8 * 3600))),
    "an agent of a zone of quarters tells its start": (dag(1), dag(1, started_at=at(-5.75 * 3600))),
    "it was only accepted at the first look": (
        dag(1, state=State.READY, started_at=at(-1), ended_at=at(-1)),
        dag(1, started_at=at(5), ended_at=at(-1)),
    ),
    "it was retried between two looks": (dag(2), dag(2, started_at=at(500), ended_at=None)),
    "an agent of another zone tells both times": (
        dag(1),
        dag(1, started_at=at(3600), ended_at=at(3599)),
    ),
    "its times are not set": (dag(1), dag(1, started_at=None, ended_at=None)),
}


@pytest.mark.parametrize("name", ANOTHER)
def test_known_id_stands_for_another_dag(name: str) -> None:
    """What no DAG ever does proves that the ids began anew; the proof names the id."""
    old, new = ANOTHER[name]
    proof = rebuilt(known(old), [new])
    assert proof is not None
    assert new.id in proof


@pytest.mark.parametrize("name", THE_SAME)
def test_whatever_an_operator_does_it_is_the_same_dag(name: str) -> None:
    """No operator, zone or answer without details makes another cluster of it."""
    old, new = THE_SAME[name]
    assert rebuilt(known(old), [new]) is None


def test_nothing_known_proves_nothing() -> None:
    """New ids are new DAGs."""
    assert rebuilt({}, [dag(1)]) is None
    assert rebuilt(known(dag(1, id="11")), [dag(1, id="12", name="Drop tenant")]) is None


@pytest.mark.parametrize("identity", ["SINGLE", "MASTER"])
def test_agent_without_a_cluster_meanwhile_is_a_proof(identity: str) -> None:
    """After such an identity the cluster is a new one, also if its first DAGs look like none before."""
    proof = rebuilt(known(dag(1)), [], identity)
    assert proof is not None
    assert identity in proof


@pytest.mark.parametrize("later", [dag(2), FAILED, DONE])
def test_agent_that_was_taken_out_and_back_in_is_no_proof(later: DagSnapshot) -> None:
    """A known DAG that goes on speaks for the old cluster."""
    assert rebuilt(known(dag(1)), [later], "SINGLE") is None


@pytest.mark.parametrize("change", [lambda s: s, renamed], ids=["same", "other stages"])
def test_every_dag_is_looked_at(change: Callable[[DagSnapshot], DagSnapshot]) -> None:
    """One DAG that cannot be the same is enough, wherever it stands in the list."""
    tracked = {**known(dag(1, id="11")), **known(dag(1, id="12"))}
    seen = [dag(2, id="11"), change(dag(1, id="12"))]
    assert (rebuilt(tracked, seen) is not None) is (change is renamed)
