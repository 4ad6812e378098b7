"""What is known of DAGs and stages by name."""

import pytest

from bot.core.catalogue import holds_lock, operators_after_failure, stall_time
from bot.core.dag import Maintenance, Operator, State
from tests.factories import dag


@pytest.mark.parametrize(
    "stage",
    [
        "Alter tenant locality",
        "Wait backup Finish",
        "Wait restore task finish",
        "Wait tenant purge finished",
        "Wait delete observer success",
        "Import script for tenant t1",
    ],
)
def test_stage_that_waits_in_the_database_may_be_silent_for_long(stage: str) -> None:
    """No alarm during a normal backup or data copy, and one before the agent ends the sub-task at 3600 s."""
    assert 600 < stall_time(stage, 600) < 3600


@pytest.mark.parametrize("stage", ["Add server for scale_out", "Something new", "", None])
def test_other_stages_follow_the_setting(stage: str | None) -> None:
    """Unknown stages get what the operator set."""
    assert stall_time(stage, 42) == 42


def test_longer_setting_wins() -> None:
    """A stage that is silent by nature never gets less than the operator allows."""
    assert stall_time("Wait backup Finish", 7200) == 7200


OPERATORS = [
    ("Cluster scale out", Operator.RUN, ("RETRY", "ROLLBACK")),
    ("Drop tenant", Operator.RUN, ("RETRY", "PASS")),
    ("Cancel restore t1", Operator.RUN, ("RETRY", "PASS")),
    ("OB stop service upgrade 4.3.5.0-1", Operator.RUN, ("RETRY",)),
    ("OB rolling upgrade 4.3.5.0-1", Operator.RUN, ("RETRY",)),
    ("Join to master", Operator.RUN, ()),
    ("Something new", Operator.RUN, ("RETRY", "ROLLBACK", "PASS")),
    ("Something new", Operator.ROLLBACK, ("ROLLBACK", "PASS")),
]


@pytest.mark.parametrize(("name", "operator", "expected"), OPERATORS)
def test_operators_that_make_sense(name: str, operator: Operator, expected: tuple[str, ...]) -> None:
    """Known DAGs name what they allow; an unknown one all, but no RETRY in the middle of its undoing."""
    assert operators_after_failure(dag(2, name=name, operator=operator, state=State.FAILED)) == expected


LOCKS = [
    ("Cluster scale out", Maintenance.GLOBAL, 2, True),
    ("Cluster scale in", Maintenance.GLOBAL, 1, False),
    ("Cluster scale in", Maintenance.GLOBAL, 2, True),
    ("Create tenant t1", Maintenance.TENANT, 2, False),
    ("Cancel restore t1", Maintenance.TENANT, 1, True),
    ("Set obcluster backup config for t1", Maintenance.TENANT, 1, True),
    ("Obcluster start full backup", Maintenance.NONE, 2, False),
    ("Anything", Maintenance.UNKNOWN, 2, None),
]


@pytest.mark.parametrize(("name", "maintenance", "current", "expected"), LOCKS)
def test_lock_of_a_failed_dag(
    name: str, maintenance: Maintenance, current: int, *, expected: bool | None
) -> None:
    """A failed DAG that blocks the cluster is told apart from one that only stands in the list."""
    snapshot = dag(current, name=name, maintenance=maintenance, state=State.FAILED)
    assert holds_lock(snapshot) is expected
