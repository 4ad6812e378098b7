from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from bot.cli import freshness
from bot.clock import system_clock
from bot.core.dag import Maintenance
from bot.core.views import ClusterState
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from bot.store import clusters as cluster_rows
from bot.store.clusters import HealthRow
from bot.store.engine import database_url, make_engine
from bot.store.lock import lock_for
from tests.cli.agents import HOST, Served
from tests.cli.conftest import Program

CLUSTER_KEYS = ["name", "state", "agent", "checked_at", "error", "dags"]
DAG_KEYS = [
    "id", "name", "state", "operator", "outcome", "stage", "max_stage", "stage_name", "started_at",
    "elapsed_s", "eta_s", "stalled", "run",
]  # fmt: skip


def _plan(last: Work) -> DagPlan:
    """Return a DAG of two stages whose second one does `last`."""
    first = Work(lines=("get conf", "conf is <fine>"), seconds=1)
    stages = [("Check", first), ("Start observer", last)]
    return DagPlan(
        name="Scale out",
        maintenance=Maintenance.GLOBAL,
        stages=tuple(StagePlan(name=name, parts=(PartPlan(host=HOST, runs=(w,)),)) for name, w in stages),
    )


LATER = datetime(2100, 1, 1, tzinfo=UTC)
EARLIER = datetime(2020, 1, 1, tzinfo=UTC)
HANGS = _plan(Work(lines=("starting",), hangs=True))
FAILS = _plan(Work(error="no space left", seconds=1))


def _create(agent: Served, plan: DagPlan) -> None:
    agent.cluster.create(plan, system_clock())


def _wait_for(obdag: Program, member: str, value: object) -> dict[str, object]:
    """Ask until the first DAG says so; the simulated cluster lives a hundred times as fast as a real one."""
    for _ in range(200):
        dags = obdag("status", "--json").json["clusters"][0]["dags"]
        if dags and dags[0][member] == value:
            found: dict[str, object] = dags[0]
            return found
    pytest.fail(f"{member} never became {value!r}")


def test_status_of_a_quiet_cluster(obdag: Program, agent: Served) -> None:
    """Without a service the agents are asked directly, and the answer says so."""
    obdag.add(agent.url)
    result = obdag.ok("status")
    assert "nothing unfinished" in result.out
    assert "agents were asked directly" in result.out


def test_status_json_has_exactly_the_promised_keys(obdag: Program, agent: Served) -> None:
    """The members of `status --json`, for a DAG under way."""
    obdag.add(agent.url)
    _create(agent, HANGS)
    _wait_for(obdag, "stage_name", "Start observer")
    result = obdag.ok("status", "prod", "--json")
    [cluster] = result.json["clusters"]
    [dag] = cluster["dags"]
    assert list(result.json) == ["clusters"]
    assert list(cluster) == CLUSTER_KEYS
    assert list(dag) == DAG_KEYS
    assert (cluster["state"], cluster["agent"], cluster["error"]) == ("ok", agent.url, None)
    assert cluster["checked_at"].endswith("Z")
    assert datetime.fromisoformat(dag["started_at"]).utcoffset() is not None
    assert (dag["name"], dag["state"], dag["operator"], dag["outcome"]) == (
        "Scale out",
        "RUNNING",
        "RUN",
        None,
    )
    assert (dag["stage"], dag["max_stage"], dag["run"], dag["stalled"]) == (2, 2, 1, False)


def test_status_for_people(obdag: Program, agent: Served) -> None:
    """One line per DAG: id, name, state, stage."""
    obdag.add(agent.url)
    _create(agent, HANGS)
    dag = _wait_for(obdag, "stage", 2)
    assert f"  {dag['id']}  Scale out  running  2/2 Start observer" in obdag.ok("status").out


def test_failed_dag_is_trouble(obdag: Program, agent: Served) -> None:
    """A DAG that failed and stands in the list makes the exit status 1."""
    obdag.add(agent.url)
    _create(agent, FAILS)
    assert _wait_for(obdag, "state", "FAILED")["outcome"] is None
    assert obdag("status").status == 1


def test_unreachable_cluster_is_trouble(obdag: Program) -> None:
    """A cluster that cannot be read makes the exit status 1 and says why."""
    obdag.add("http://127.0.0.1:1", "--no-check")
    result = obdag("status", "--json")
    assert result.status == 1
    [cluster] = result.json["clusters"]
    assert (cluster["state"], cluster["dags"], cluster["checked_at"]) == ("unreachable", [], None)
    assert "connection refused" in cluster["error"]
    assert "connection refused" in obdag("status").out


def test_show_has_the_stages(obdag: Program, agent: Served) -> None:
    """`show --json` is the DAG and its stages; for people a line per stage."""
    obdag.add(agent.url)
    _create(agent, HANGS)
    dag = _wait_for(obdag, "stage", 2)
    shown = obdag.ok("show", "prod", str(dag["id"]), "--json").json
    assert list(shown) == [*DAG_KEYS, "stages"]
    assert [stage["name"] for stage in shown["stages"]] == ["Check", "Start observer"]
    assert shown["stages"][0]["state"] == "SUCCEED"
    assert shown["stages"][0]["hosts"] == ["10.0.0.1:2886"]
    text = obdag.ok("show", "prod", str(dag["id"])).out
    assert "Check" in text
    assert "succeed" in text


def test_show_of_a_finished_dag_asks_by_id(obdag: Program, agent: Served) -> None:
    """A DAG that left the list is looked up at the agent."""
    obdag.add(agent.url)
    _create(agent, _plan(Work(seconds=300)))
    dag = _wait_for(obdag, "name", "Scale out")
    while obdag.ok("status", "--json").json["clusters"][0]["dags"]:
        pass
    assert obdag.ok("show", "prod", str(dag["id"]), "--json").json["outcome"] == "succeeded"


@pytest.mark.parametrize("dag_id", ["1999", "21234567", "abc"])
def test_show_of_an_unknown_dag(obdag: Program, agent: Served, dag_id: str) -> None:
    """An id that nobody knows is one clear line."""
    obdag.add(agent.url)
    result = obdag("show", "prod", dag_id)
    assert f"has no DAG '{dag_id}'" in result.error
    assert result.status == 1


def test_foreign_id_is_not_sent_to_an_agent(obdag: Program, agent: Served) -> None:
    """An agent calls the address inside a local id, so an id that no agent gave is not sent."""
    obdag.add(agent.url)
    obdag("show", "prod", "21234567")
    assert not any("21234567" in target for target in agent.targets)


def test_logs(obdag: Program, agent: Served) -> None:
    """Lines come verbatim with stage and host, of all stages or of one."""
    obdag.add(agent.url)
    _create(agent, HANGS)
    dag = str(_wait_for(obdag, "stage", 2)["id"])
    lines = obdag.ok("logs", "prod", dag).out.splitlines()
    assert " 1  10.0.0.1:2886  conf is <fine>" in lines
    assert obdag.ok("logs", "prod", dag, "--stage", "1").out.splitlines() == lines[:2]


def test_status_without_clusters(obdag: Program) -> None:
    """An empty installation says what to do first; in JSON it is an empty list."""
    assert "obdag clusters add" in obdag.ok("status").out
    assert obdag.ok("status", "--json").json == {"clusters": []}


@pytest.fixture
def service(obdag: Program) -> Iterator[Engine]:
    """Pretend that a service runs on the database of the working directory."""
    obdag.ok("db", "upgrade")
    engine = make_engine(database_url("sqlite:///obdag.db"))
    lock = lock_for(engine)
    lock.acquire()
    yield engine
    lock.release()
    engine.dispose()


def _store_polled(engine: Engine, row: HealthRow) -> None:
    with engine.begin() as connection:
        cluster_rows.save_health(connection, 1, row)


def _wanted(engine: Engine) -> datetime | None:
    with engine.connect() as connection:
        cluster = cluster_rows.find(connection, "prod")
    assert cluster is not None
    return cluster.poll_wanted_at


def test_beside_a_service_only_the_service_asks(obdag: Program, agent: Served, service: Engine) -> None:
    """With a service running the command line wants a poll and shows the stored state with its age."""
    obdag.add(agent.url)
    asked = agent.logins
    # Polled later than now: nobody has to wait for the next poll.
    _store_polled(service, HealthRow(state=ClusterState.OK, checked_at=LATER, attempted_at=LATER))
    for command in (["status"], ["clusters", "check", "prod"]):
        result = obdag.ok(*command)
        assert "prod  ok" in result.out
        assert "asked directly" not in result.out
    assert "has no DAG '11'" in obdag("show", "prod", "11").error
    assert agent.logins == asked
    assert _wanted(service) is not None


def test_service_that_was_refused_is_not_waited_for(obdag: Program, agent: Served, service: Engine) -> None:
    """A cluster whose password was refused is not polled: its state is shown at once."""
    obdag.add(agent.url)
    _store_polled(service, HealthRow(state=ClusterState.AUTH_FAILED, error="the password is wrong"))
    result = obdag("clusters", "check", "prod")
    assert result.status == 1
    assert "auth_failed" in result.out
    assert "the password is wrong" in result.out


def test_service_that_does_not_poll_in_time(
    obdag: Program, agent: Served, service: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits long: the stored state is shown with its age."""
    monkeypatch.setattr(freshness, "WAIT_S", 0.05)
    obdag.add(agent.url)
    _store_polled(service, HealthRow(state=ClusterState.OK, checked_at=EARLIER, attempted_at=EARLIER))
    assert " d " in obdag.ok("status").out
    assert obdag.ok("status", "--json").json["clusters"][0]["checked_at"] == "2020-01-01T00:00:00Z"
