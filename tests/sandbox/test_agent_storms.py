"""One question for a DAG while no agent has a database: two of them call each other without end."""

from collections.abc import Callable

import pytest

from tests.sandbox import recorded
from tests.sandbox.alike import differences
from tests.sandbox.asking import Answer
from tests.sandbox.lab import Lab, Script
from tests.sandbox.recorded import Json

SITUATION = "dag-by-id-without-database"
ASKED = recorded.exchanges(SITUATION)
DAG = "/api/v1/task/dag/126"
CRIPPLED = {"127.0.0.1:2886", "127.0.0.1:2986"}


@pytest.fixture
def lab() -> Lab:
    """Return agents that all lost their database, with the DAG that is asked for."""
    made = Lab(SITUATION, Script(past=(("database-down", "126"),)))
    made.live(made.at(0.5))
    made.cluster.lose_database(made.at(0.5))
    return made


def asker(lab: Lab, seconds: float) -> Callable[[Json], Answer]:
    """Return what asks a recorded question at that time."""
    lab.live(lab.at(seconds))
    return lambda exchange: lab.look(exchange, lab.at(seconds))


def meanwhile() -> list[Json]:
    """Return what was asked while the storm raged and got an answer."""
    return [e for e in ASKED if e.get("note") == "meanwhile" and "failure" not in e]


def test_the_caller_gets_no_answer(lab: Lab) -> None:
    """Recorded are 150 seconds, after which it gave up."""
    (exchange,) = (e for e in ASKED if e["target"] == DAG)
    assert exchange["failure"] == "TimeoutError"
    assert asker(lab, 1.0)(exchange).delay_s >= 150
    assert lab.cluster.storms == 1
    assert lab.cluster.calls_between_agents > 20000


def test_every_recorded_answer_is_one_from_before_the_storm_or_from_in_it(lab: Lab) -> None:
    """The third agent is as before at all times."""
    before = [asker(lab, 0.9)(e) for e in meanwhile()]
    asker(lab, 1.0)(next(e for e in ASKED if e["target"] == DAG))
    during = [asker(lab, 11.0)(e) for e in meanwhile()]
    for exchange, calm, stormy in zip(meanwhile(), before, during, strict=True):
        possible = {calm.text: calm} | ({stormy.text: stormy} if exchange["agent"] in CRIPPLED else {})
        assert any(not list(differences(exchange, answer)) for answer in possible.values()), exchange["t"]


def test_the_storm_cripples_two_agents(lab: Lab) -> None:
    """They say that no observer runs, and fail for want of file descriptors."""
    asker(lab, 1.0)(next(e for e in ASKED if e["target"] == DAG))
    ask = asker(lab, 11.0)
    states = {e["agent"]: ask(e).data["obState"] for e in meanwhile() if e["target"].endswith("/status")}
    assert states == {"127.0.0.1:2886": 0, "127.0.0.1:2986": 0, "127.0.0.1:3086": 1}
    listed = ask(next(e for e in meanwhile() if "unfinish" in e["target"]))
    assert listed.error["errCode"] == "OB.Server.Process.CheckFailed"


def test_all_is_well_when_the_database_is_back(lab: Lab) -> None:
    """As recorded."""
    asker(lab, 1.0)(next(e for e in ASKED if e["target"] == DAG))
    lab.cluster.regain_database(lab.at(173))
    back = [e for e in ASKED if e.get("note") == "the database is back"]
    assert len(back) == 3
    ask = asker(lab, 173.3)
    assert not [text for exchange in back for text in differences(exchange, ask(exchange))]


def test_a_list_starts_no_storm(lab: Lab) -> None:
    """Nor do summaries, the status, or anything about an agent's own DAGs."""
    ask = asker(lab, 1.0)
    for target in (
        "dag/ob/unfinish",
        "dags/ob",
        "dag/agent/unfinish",
        "dag/unfinish",
        "node/146",
        "sub_task/158",
    ):
        ask({"agent": "127.0.0.1:2886", "target": f"/api/v1/task/{target}", "auth": "root"})
    assert (lab.cluster.storms, lab.cluster.calls_between_agents) == (0, 0)
