"""DAGs that lead other DAGs: Start OB, Stop OB and Cluster scale out, with the pauses of their sub-DAGs."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from bot.core.dag import Host, State
from bot.sandbox.agents.agent import SimulatedAgent, make_newcomer
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.ob_dags import start_ob, stop_ob
from bot.sandbox.agents.scale_out import scale_out
from tests.sandbox.asking import HOSTS, NOW, PASSWORD, cluster_of_three, get

LOCAL = "/api/v1/task/dag/agent/unfinish"
CLUSTER = "/api/v1/task/dag/ob/unfinish"
NEWCOMER = Host("127.0.0.1", 3186)
STEP_S = 0.5


def at(seconds: float) -> datetime:
    """Return the instant so many seconds after the beginning."""
    return NOW + timedelta(seconds=seconds)


def lived(cluster: SimulatedCluster, until: float, look: Callable[[datetime], Any]) -> list[Any]:
    """Return what was seen, each time that it changed."""
    seen: list[Any] = []
    for n in range(int(until / STEP_S)):
        cluster.tick(at(n * STEP_S))
        value = look(at(n * STEP_S))
        if not seen or seen[-1] != value:
            seen.append(value)
    return seen


def listed(cluster: SimulatedCluster, agent: int, now: datetime) -> Iterator[tuple[str, str, int]]:
    """Give name, state and stage of the DAGs in the own list of one of the agents."""
    for dag in get(cluster.agents[agent], LOCAL, now).data["contents"]:
        yield dag["name"], dag["state"], dag["stage"]


def own_list(newcomer: SimulatedAgent, now: datetime) -> list[dict[str, Any]]:
    """Return the own DAGs of an agent that learns root's password only when it is a member."""
    password = PASSWORD if newcomer.identity == "CLUSTER AGENT" else ""
    return list(get(newcomer, LOCAL, now, password=password).data["contents"])


def test_start_ob_leads_a_sub_dag_on_every_agent() -> None:
    """It waits for them to pause, lets them go on, waits for their last stage, and passes them."""
    cluster = cluster_of_three()
    main = start_ob(cluster, cluster.agents[0], NOW)
    seen = lived(cluster, 30, lambda now: [state for _, state, _ in listed(cluster, 1, now)])
    assert seen == [[], ["READY"], ["RUNNING"], ["FAILED"], ["READY"], ["RUNNING"], ["FAILED"], []]
    assert main.state is State.SUCCEED
    done = get(cluster.agents[1], "/api/v1/task/dags/agent", at(30)).data["contents"]
    assert [(dag["name"], dag["state"], dag["operator"]) for dag in done] == [
        ("Start observer", "SUCCEED", "PASS")
    ]


def test_main_and_sub_dags_name_each_other() -> None:
    """The main DAG all its sub-DAGs by agent, each of those the main DAG."""
    cluster = cluster_of_three()
    main = start_ob(cluster, cluster.agents[0], NOW)
    cluster.tick(at(4))
    told = get(cluster.agents[0], f"/api/v1/task/dag/{cluster.agents[0].local_id(main.id)}", at(4)).data
    assert set(told["additional_data"]["sub_dags"]) == {str(host) for host in HOSTS}
    for host, name in told["additional_data"]["sub_dags"].items():
        sub = get(cluster.agents[0], f"/api/v1/task/dag/{name}", at(4)).data
        assert sub["additional_data"] == {"main_dag_id": told["id"]}
        assert sub["nodes"][0]["sub_tasks"][0]["execute_agent"]["port"] == int(host.rpartition(":")[2])
    assert told["maintenance_type"] == 1


def test_main_dags_are_found_through_their_paused_sub_dags() -> None:
    """On any agent, while a sub-DAG is unfinished."""
    cluster = cluster_of_three()
    start_ob(cluster, cluster.agents[0], NOW)
    cluster.tick(at(4))
    found = get(cluster.agents[2], "/api/v1/task/dag/agent/main_dags", at(4)).data["contents"]
    assert [dag["name"] for dag in found] == ["Start OB"]
    assert get(cluster.agents[2], "/api/v1/task/dag/agent/main_dags", at(40)).data["contents"] == []


def test_stop_ob_takes_the_database_and_start_ob_brings_it_back() -> None:
    """Local DAGs go on and can be read without it."""
    cluster = cluster_of_three()
    main = stop_ob(cluster, cluster.agents[0], NOW)
    cluster.tick(at(30))
    assert main.state is State.SUCCEED
    assert get(cluster.agents[0], CLUSTER, at(30)).error["errCode"] == "OB.Server.Process.NotExist"
    assert get(cluster.agents[0], "/api/v1/task/dags/agent", at(30)).status == 200
    start_ob(cluster, cluster.agents[1], at(31))
    cluster.tick(at(60))
    assert get(cluster.agents[0], CLUSTER, at(60)).data == {"contents": []}


def test_a_main_dag_that_fails_vanishes() -> None:
    """One observer does not start: the sub-DAGs are passed, the main DAG is in no list any more."""
    cluster = cluster_of_three()
    main = start_ob(cluster, cluster.agents[0], NOW, failing={HOSTS[1]: "no space left"})
    cluster.tick(at(40))
    assert main.state is State.FAILED
    assert get(cluster.agents[0], LOCAL, at(40)).data == {"contents": []}
    told = get(cluster.agents[0], f"/api/v1/task/dag/{cluster.agents[0].local_id(main.id)}", at(40)).data
    reason = told["nodes"][4]["sub_tasks"][0]["task_logs"][-1]
    assert reason == (
        "ERROR: [Task.SubDag.NotAllSucceed]: Sub DAG of agents: [127.0.0.1:2986] failed, main DAG failed"
    )


def test_a_dead_agent_gets_no_sub_dag() -> None:
    """The main DAG says so and fails; those of the others are passed."""
    cluster = cluster_of_three()
    cluster.agents[2].stop(NOW)
    main = start_ob(cluster, cluster.agents[0], NOW)
    cluster.tick(at(40))
    assert (main.state, main.node.name) == (State.FAILED, "Make sure all agents are ready")
    assert get(cluster.agents[1], LOCAL, at(40)).data == {"contents": []}


def test_a_sub_dag_outlives_a_main_dag_whose_agent_died() -> None:
    """It stays FAILED and holds its agent's lock."""
    cluster = cluster_of_three()
    start_ob(cluster, cluster.agents[0], NOW)
    cluster.tick(at(2.8))
    cluster.agents[0].stop(at(2.8))
    cluster.tick(at(60))
    assert [state for _, state, _ in listed(cluster, 1, at(60))] == ["FAILED"]
    assert get(cluster.agents[1], "/api/v1/status", at(60)).data["underMaintenance"] is True


def test_scale_out_goes_through_both_stores() -> None:
    """The local DAG pauses twice in FAILED; in the end the newcomer is a member."""
    cluster = cluster_of_three()
    newcomer = make_newcomer(cluster, NEWCOMER, NOW)
    main = scale_out(cluster, newcomer, NOW)
    seen = lived(cluster, 60, lambda now: [dag["state"] for dag in own_list(newcomer, now)])
    assert sum(states == ["FAILED"] for states in seen) == 2
    assert main.state is State.SUCCEED
    info = get(newcomer, "/api/v1/info", at(60)).data
    assert (info["identity"], info["zone"]) == ("CLUSTER AGENT", "zone4")
    assert get(newcomer, CLUSTER, at(60)).status == 200
    members = get(cluster.agents[0], "/api/v1/ob/info", at(60)).data["agent_info"]
    assert [member["port"] for member in members] == [2886, 2986, 3086, 3186]


def test_the_newcomer_knows_the_dag_of_its_own_scale_out_only() -> None:
    """It asks the coordinator for that one, and says of all others that nothing fits."""
    cluster = cluster_of_three()
    newcomer = make_newcomer(cluster, NEWCOMER, NOW)
    main = scale_out(cluster, newcomer, NOW)
    cluster.tick(at(8))
    own = get(newcomer, f"/api/v1/task/dag/1{main.id}", at(8), password="")
    assert (own.status, own.data["name"]) == (200, "Cluster scale out")
    assert (
        get(newcomer, "/api/v1/task/dag/1999", at(8), password="")
        .error["message"]
        .endswith("not found or not match")
    )


def test_a_failed_scale_out_goes_on_when_it_is_retried() -> None:
    """The failure of the local DAG fails the cluster's; a RETRY retries both."""
    cluster = cluster_of_three()
    newcomer = make_newcomer(cluster, NEWCOMER, NOW)
    main = scale_out(cluster, newcomer, NOW, error="no space left")
    cluster.tick(at(40))
    assert (main.state, main.node.name) == (State.FAILED, "Wait remote start finish")
    cluster.operate(main, "RETRY", at(40))
    cluster.tick(at(60))
    local = newcomer.local.store.dags[0]
    assert [
        sub.attempts for node in local.nodes if node.name == "Start observer" for sub in node.sub_tasks
    ] == [3]
