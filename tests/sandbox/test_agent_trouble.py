"""What befalls simulated agents and clusters, held against the recordings of the same disturbances."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.core.dag import Host, Maintenance, Operator, State
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.keyring import demo_keys
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from bot.sandbox.agents.rows import DagRow
from tests.sandbox.asking import AGENT, HOSTS, NOW, cluster_of_three, get, post, two_steps
from tests.sandbox.recorded import exchanges

UNFINISHED = "/api/v1/task/dag/ob/unfinish"
STATUS = "/api/v1/status"


def at(seconds: float) -> datetime:
    """Return the instant so many seconds after the beginning."""
    return NOW + timedelta(seconds=seconds)


def plan(
    *parts: PartPlan, name: str = "Cluster scale out", kind: int = Maintenance.GLOBAL, key: str = ""
) -> DagPlan:
    """Return a DAG of one stage."""
    stage = StagePlan(name="Only", parts=parts or (PartPlan(),))
    return DagPlan(name=name, stages=(stage,), maintenance=Maintenance(kind), key=key)


def tenant(name: str, key: str, error: str | None = None) -> DagPlan:
    """Return a tenant DAG of one stage that gives its lock back when it fails."""
    stage = StagePlan(name=name, parts=(PartPlan(runs=(Work(error=error),)),), releases_lock=True)
    return DagPlan(name=name, stages=(stage,), maintenance=Maintenance.TENANT, key=key)


def only(dag: DagRow) -> tuple[State, Operator, int]:
    """Return state, operator and attempts of a DAG's first sub-task."""
    sub = dag.nodes[0].sub_tasks[0]
    return sub.state, sub.operator, sub.attempts


def refusal(act: Callable[[], object]) -> str:
    """Return the refusal of an act as creating code gets it."""
    with pytest.raises(Fault) as refused:
        act()
    return f"[{refused.value.error_code}]: {refused.value.message}"


def recorded_errors(situation: str, target: str) -> list[dict[str, Any]]:
    """Return the errors recorded for a target, each kind once, in order."""
    errors: list[dict[str, Any]] = []
    for exchange in exchanges(situation):
        error = (exchange.get("body") or {}).get("error")
        if exchange["target"] == target and error and error not in errors:
            errors.append(error)
    return errors


# --- agents ----------------------------------------------------------------------------------------------


def test_a_restart_goes_through_its_phases() -> None:
    """Nobody listens, no connection yet, no schema yet, then all is well; the process is another one."""
    cluster = cluster_of_three()
    agent = cluster.agents[0]
    before = get(agent, "/api/v1/info").data
    agent.stop(at(1))
    with pytest.raises(ConnectionRefusedError):
        get(agent, UNFINISHED, at(1))
    agent.start(at(2))
    answers = [get(agent, UNFINISHED, at(when)) for when in (2.1, 3.1, 4.1)]
    assert [a.error for a in answers[:2]] == recorded_errors("agent-restarts", UNFINISHED)
    assert [a.data for a in answers] == [{"contents": None}, {"contents": None}, {"contents": []}]
    after = get(agent, "/api/v1/info", at(5)).data
    assert after["pid"] != before["pid"]
    assert after["startAt"] > before["startAt"]


def test_the_database_counts_as_up_a_moment_too_early() -> None:
    """`obState` is 3 while the cluster's lists still fail."""
    cluster = cluster_of_three()
    agent = cluster.agents[0]
    agent.restart(at(1))
    states = [get(agent, STATUS, at(when)).data["obState"] for when in (1.1, 2.1, 3.1)]
    assert states == [1, 3, 3]


def test_a_restart_without_a_database_waits_for_it() -> None:
    """It stays without a connection, and recovers by itself."""
    cluster = cluster_of_three()
    agent = cluster.agents[0]
    cluster.lose_database(at(1))
    agent.restart(at(2))
    assert get(agent, UNFINISHED, at(60)).error["errCode"] == "Agent.OceanBase.NotHold"
    cluster.regain_database(at(61))
    assert get(agent, UNFINISHED, at(64)).status == 200


@pytest.mark.parametrize("new_key", [True, False])
def test_a_restart_with_a_new_key(*, new_key: bool) -> None:
    """Headers for the old key are refused after it, and only then."""
    agent = cluster_of_three().agents[0]
    old = agent.key.public
    agent.restart(at(1), new_key=new_key)
    assert (agent.key.public != old) is new_key


def test_every_agent_of_a_cluster_has_a_key_of_its_own() -> None:
    """As many as there are made-up keys; both sizes are shipped."""
    keys = {agent.key.public for agent in cluster_of_three().agents}
    assert len(keys) == 3
    assert (len(demo_keys(512)), len(demo_keys(1024))) == (2, 4)


def test_an_interrupted_sub_task_fails_when_it_may_not_go_on() -> None:
    """With the recorded line."""
    cluster = cluster_of_three()
    dag = cluster.create(plan(PartPlan(host=HOSTS[0], runs=(Work(seconds=9),), resumable=False)), NOW)
    cluster.agents[0].stop(at(2.5))
    cluster.agents[0].start(at(2.6))
    cluster.tick(at(9))
    told = "ERROR: [Common.Unexpected]: Unexpected error: task unexpectedly interrupted and cannot continue"
    assert [log.text for log in dag.nodes[0].sub_tasks[0].logs] == [told]
    assert dag.state is State.FAILED


def test_a_resumed_sub_task_runs_again_from_its_start() -> None:
    """Under the same attempt, its first lines twice."""
    cluster = cluster_of_three()
    dag = cluster.create(plan(PartPlan(host=HOSTS[1], runs=(Work(lines=("b1", "b2"), seconds=4),))), NOW)
    cluster.agents[1].restart(at(4.5))
    cluster.tick(at(20))
    assert [log.text for log in dag.nodes[0].sub_tasks[0].logs] == ["b1", "b2", "b1", "b2"]
    assert (dag.state, only(dag)) == (State.SUCCEED, (State.SUCCEED, Operator.RUN, 1))


def test_a_sub_task_for_a_dead_agent_waits_ready_for_ever() -> None:
    """It is counted once, and goes on when the agent is back."""
    cluster = cluster_of_three()
    cluster.agents[2].stop(NOW)
    dag = cluster.create(plan(PartPlan(host=HOSTS[2])), NOW)
    cluster.tick(at(3600))
    assert (dag.state, only(dag)) == (State.RUNNING, (State.READY, Operator.RUN, 1))
    cluster.agents[2].start(at(3601))
    cluster.tick(at(3605))
    assert dag.state is State.SUCCEED


def test_another_agent_takes_over() -> None:
    """The cluster stands still for some seconds, then the next living agent coordinates and executes."""
    cluster = cluster_of_three()
    cluster.agents[0].stop(NOW)
    dag = cluster.create(plan(), NOW)
    cluster.tick(at(4.9))
    assert dag.state is State.READY
    cluster.tick(at(9))
    assert (dag.state, dag.nodes[0].sub_tasks[0].host) == (State.SUCCEED, HOSTS[1])


def test_eight_at_once() -> None:
    """One agent executes eight sub-tasks at a time; the others wait READY."""
    cluster = cluster_of_three()
    parts = tuple(PartPlan(host=HOSTS[0], runs=(Work(seconds=3),)) for _ in range(10))
    dag = cluster.create(plan(*parts), NOW)
    cluster.tick(at(1.5))
    states = [sub.state for sub in dag.nodes[0].sub_tasks]
    assert (states.count(State.RUNNING), states.count(State.READY)) == (8, 2)
    cluster.tick(at(20))
    assert dag.state is State.SUCCEED


def test_clocks_slowness_and_cuts() -> None:
    """A wrong clock expires headers and shows in the envelope; slow and cut answers are marked."""
    agent = cluster_of_three().agents[0]
    agent.clock_offset = timedelta(hours=1)
    assert get(agent, UNFINISHED).error["errCode"] == "Security.Authentication.Expired"
    assert get(agent, "/api/v1/time").data == "2026-11-25T11:48:56+08:00"
    agent.slow_s, agent.cut_answers = 60.0, 1
    first, second = (agent.respond("GET", "/api/v1/info", {}, b"", NOW) for _ in range(2))
    assert [(r.delay_s, r.cut) for r in (first, second)] == [(60.0, True), (60.0, False)]


def test_an_unplugged_agent_lives_on() -> None:
    """Its port is shut, its DAGs go on."""
    cluster = cluster_of_three()
    dag = cluster.create(two_steps(), NOW)
    cluster.agents[0].unplug(NOW)
    cluster.tick(at(10))
    assert dag.state is State.SUCCEED
    with pytest.raises(ConnectionRefusedError):
        get(cluster.agents[0], UNFINISHED, at(10))
    cluster.agents[0].plug(at(11))
    assert get(cluster.agents[0], UNFINISHED, at(11)).status == 200


# --- passwords -------------------------------------------------------------------------------------------


def test_an_old_password_works_until_the_new_one_is_used() -> None:
    """On each agent for itself."""
    cluster = cluster_of_three()
    cluster.change_root_password("new-pass")
    first, second = cluster.agents[:2]
    order = [(first, "lab-pass"), (first, "new-pass"), (first, "lab-pass"), (second, "lab-pass")]
    assert [get(a, UNFINISHED, password=p).status for a, p in order] == [200, 200, 401, 200]


def test_a_password_changed_while_the_agent_was_down() -> None:
    """The old one passes the gate but reaches no database, the new one is refused, until the next start."""
    cluster = cluster_of_three()
    agent = cluster.agents[0]
    agent.stop(at(1))
    cluster.change_root_password("new-pass")
    agent.start(at(2))
    assert get(agent, UNFINISHED, at(9)).error["errCode"] == "Agent.OceanBase.NotHold"
    refused = get(agent, UNFINISHED, at(9), password="new-pass")
    assert refused.error["errCode"] == "Security.Authentication.IncorrectOceanbasePassword"
    cluster.change_root_password("lab-pass")
    assert get(agent, UNFINISHED, at(10)).error["errCode"] == "Agent.OceanBase.NotHold"
    agent.restart(at(11))
    assert get(agent, UNFINISHED, at(14)).status == 200


def test_an_obproxy_id_without_an_agent_password() -> None:
    """Even the right header is of no use."""
    agent = cluster_of_three().agents[0]
    answer = get(agent, "/api/v1/task/dag/42130706433028861", header=AGENT)
    assert answer.error["errCode"] == "Security.Authentication.AgentPasswordNotInitialized"


# --- the database ----------------------------------------------------------------------------------------


def test_a_lost_database() -> None:
    """Which routes fail, with what, and which go on."""
    cluster = cluster_of_three()
    agent = cluster.agents[0]
    dag = cluster.create(two_steps("Lives on"), NOW)
    cluster.lose_database(at(3.1))
    asked = [e for e in exchanges("database-down") if 3.2 < e["t"] < 3.259 and e.get("password") != "wrong"]
    assert len(asked) >= 8
    for exchange in asked:
        answer = get(agent, exchange["target"], at(3.2))
        assert answer.status == exchange["status"], exchange["target"]
        assert answer.error == (exchange["body"].get("error") or {})
        assert ("data" in answer.json) == ("data" in exchange["body"])
    posted = post(agent, f"/api/v1/task/dag/1{dag.id}", {"operator": "CANCEL"}, at(3.3))
    assert posted.error["message"] == "Task not found: The current database is useless"
    cluster.lose_database(at(4), observer_too=True)
    assert get(agent, UNFINISHED, at(4)).error["errCode"] == "OB.Server.Process.NotExist"


def test_what_ran_without_the_database_is_written_when_it_is_back() -> None:
    """Lines and ends come late, with the time of the return."""
    cluster = cluster_of_three()
    work = Work(lines=("b1", "b2", "b3"), seconds=6)
    dag = cluster.create(plan(PartPlan(host=HOSTS[0], runs=(work,))), NOW)
    cluster.tick(at(1.5))
    cluster.lose_database(at(2))
    cluster.tick(at(20))
    assert [log.text for log in dag.nodes[0].sub_tasks[0].logs] == ["b1"]
    cluster.regain_database(at(21))
    cluster.tick(at(25))
    logs = dag.nodes[0].sub_tasks[0].logs
    assert [(log.text, log.at) for log in logs[1:]] == [("b2", at(21)), ("b3", at(21))]
    assert dag.state is State.SUCCEED


def test_questions_by_id_without_a_database_are_counted() -> None:
    """Real agents then call each other without end: a client must never do it."""
    cluster = cluster_of_three()
    dag = cluster.create(two_steps(), NOW)
    get(cluster.agents[0], f"/api/v1/task/dag/1{dag.id}")
    assert cluster.asked_by_id_while_down == 0
    cluster.lose_database(at(1))
    get(cluster.agents[0], f"/api/v1/task/dag/1{dag.id}", at(2))
    assert cluster.asked_by_id_while_down == 1


# --- single DAGs -----------------------------------------------------------------------------------------


def test_hung_work_makes_no_progress_until_it_is_released() -> None:
    """By a switch, or by its plan."""
    cluster = cluster_of_three()
    switched = cluster.create(plan(PartPlan(runs=(Work(seconds=4),)), kind=Maintenance.NONE), NOW)
    planned = cluster.create(plan(PartPlan(runs=(Work(hangs=True),)), kind=Maintenance.NONE), NOW)
    cluster.tick(at(2))
    cluster.hang(switched, 1, at(2))
    moments = len(cluster.history)
    cluster.tick(at(3000))
    written = cluster.history[moments:]
    assert [dag.state for dag in (switched, planned)] == [State.RUNNING, State.RUNNING]
    assert not written
    for dag in (switched, planned):
        cluster.release(dag, 1, at(3001))
    cluster.tick(at(3010))
    assert [dag.state for dag in (switched, planned)] == [State.SUCCEED, State.SUCCEED]


def test_a_chosen_attempt_fails() -> None:
    """The second run of a DAG that would succeed; a third one does."""
    cluster = cluster_of_three()
    dag = cluster.create(plan(), NOW)
    cluster.fail_attempt(dag, 1, 1, "out of luck")
    cluster.tick(at(5))
    assert (dag.state, dag.nodes[0].sub_tasks[0].logs[-1].text) == (
        State.FAILED,
        "ERROR: [Common.Unexpected]: Unexpected error: out of luck",
    )
    cluster.operate(dag, "RETRY", at(5))
    cluster.tick(at(10))
    assert (dag.state, only(dag)) == (State.SUCCEED, (State.SUCCEED, Operator.RUN, 3))


def test_an_error_line_can_be_late() -> None:
    """The state says FAILED before the line says why."""
    cluster = cluster_of_three()
    dag = cluster.create(plan(PartPlan(runs=(Work(error="slow to tell", error_late=2.0),))), NOW)
    cluster.tick(at(2.5))
    sub = dag.nodes[0].sub_tasks[0]
    assert (sub.state, sub.logs) == (State.FAILED, [])
    cluster.tick(at(4))
    assert sub.logs[0].text.endswith("slow to tell")


def test_an_unknown_task_type_breaks_detailed_lists() -> None:
    """A summary lists all; by id the summary comes beside the error; operators fail."""
    cluster = cluster_of_three()
    agent = cluster.agents[0]
    cluster.create(tenant("Good one", "t7"), NOW)
    bad = cluster.create(tenant("Bad one", "t8"), NOW)
    bad.unknown_type = "TaskOfAnotherVersion"
    name = f"/api/v1/task/dag/1{bad.id}"
    detailed = get(agent, UNFINISHED)
    assert (detailed.status, detailed.data) == (500, {"contents": None})
    assert len(get(agent, f"{UNFINISHED}?show_details=false").data["contents"]) == 2
    assert get(agent, "/api/v1/task/dag/unfinish").data == {"contents": None}
    alone = get(agent, name)
    assert (alone.status, alone.data["name"], alone.data["nodes"]) == (500, "Bad one", None)
    assert [d["name"] for d in get(agent, "/api/v1/task/dags/ob").data["contents"]] == ["Good one"]
    assert post(agent, name, {"operator": "PASS"}).error["errCode"] == "Common.Unexpected"


def test_a_foreign_local_dag_is_asked_of_its_owner() -> None:
    """Also operators; with the owner dead the dial error comes through."""
    cluster = cluster_of_three()
    owner = cluster.agents[1]
    dag = owner.local.create(two_steps("Local"), NOW)
    name = f"/api/v1/task/dag/{owner.local_id(dag.id)}"
    assert get(cluster.agents[0], name).data["name"] == "Local"
    assert post(cluster.agents[0], name, {"operator": "CANCEL"}, at(0.5)).status == 200
    owner.stop(at(1))
    recorded = recorded_errors("foreign-local-operators", "/api/v1/task/dag/22130706433029861")
    assert get(cluster.agents[0], name, at(2)).error == recorded[0]


# --- locks -----------------------------------------------------------------------------------------------


def test_a_global_dag_keeps_others_out_while_it_is_listed() -> None:
    """Even when it failed; a tenant DAG keeps global ones out, and its own tenant's."""
    cluster = cluster_of_three()
    cluster.create(plan(PartPlan(runs=(Work(error="broken"),))), NOW)
    cluster.tick(at(5))
    assert refusal(lambda: cluster.create(plan(name="Another global"), at(5))) == (
        "[OB.Cluster.UnderMaintenanceWithDag]: Create task 'Another global' failed: OceanBase cluster is "
        "under maintenance by DAG: Cluster scale out, please try again later"
    )
    cluster.create(plan(kind=Maintenance.NONE), at(5))
    tenants = cluster_of_three()
    tenants.create(tenant("Drop tenant", "t2"), NOW)
    tenants.create(tenant("Drop tenant", "t3"), NOW)
    assert refusal(lambda: tenants.create(tenant("Drop tenant", "t2"), NOW)) == (
        "[OB.Tenant.UnderMaintenance]: Create task 'Drop tenant' failed: Tenant 't2' is under maintenance, "
        "please try again later."
    )
    assert "UnderMaintenanceWithDag" in refusal(lambda: tenants.create(plan(), NOW))


def stale_and_newer() -> tuple[SimulatedCluster, DagRow, DagRow]:
    """Return a tenant DAG that failed and gave its lock back, and a newer one that holds it."""
    cluster = cluster_of_three()
    stale = cluster.create(tenant("Drop tenant", "t1", error="broken"), NOW)
    cluster.tick(at(5))
    newer = cluster.create(tenant("Modify tenant primary zone", "t1"), at(5))
    return cluster, stale, newer


def test_a_lock_given_back_is_taken_again_for_a_retry() -> None:
    """Refused while a newer DAG holds it, and for ever after."""
    cluster, stale, newer = stale_and_newer()
    assert not stale.finished
    held = refusal(lambda: cluster.operate(stale, "RETRY", at(5.5)))
    assert held == "[OB.Tenant.UnderMaintenance]: Tenant 't1' is under maintenance, please try again later."
    cluster.tick(at(10))
    assert newer.state is State.SUCCEED
    assert refusal(lambda: cluster.operate(stale, "ROLLBACK", at(10))) == (
        "[Task.Expired]: t1 has already executed task 12. '11: Drop tenant' cannot be executed. "
        "Please submit a new request"
    )
    cluster.operate(stale, "PASS", at(10))
    assert (stale.state, stale.operator) == (State.SUCCEED, Operator.PASS)


def test_a_pass_steals_the_lock_of_a_newer_dag() -> None:
    """A third DAG of the same tenant then runs beside the second."""
    cluster, stale, newer = stale_and_newer()
    cluster.operate(stale, "PASS", at(5.5))
    third = cluster.create(tenant("Drop tenant", "t1"), at(5.6))
    cluster.tick(at(6.5))
    assert [dag.state for dag in (newer, third)] == [State.RUNNING, State.RUNNING]


def test_a_single_dag_of_an_unknown_host_never_starts() -> None:
    """The engine has no such agent to send it to."""
    cluster = cluster_of_three()
    dag = cluster.create(plan(PartPlan(host=Host("127.0.0.1", 9999))), NOW)
    cluster.tick(at(100))
    assert only(dag) == (State.READY, Operator.RUN, 1)
