"""What the recordings leave open about single answers of a simulated agent."""

from datetime import timedelta

from bot.core.dag import Host
from bot.sandbox.agents.agent import SimulatedAgent, make_newcomer
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.identities import SCALING_IN, UNIDENTIFIED
from tests.sandbox.asking import HOSTS, NOW, PASSWORD, cluster_of_three, get, send, two_steps

INFO = "/api/v1/info"
MEMBERS = "/api/v1/ob/info"


def agent_with_dag() -> SimulatedAgent:
    """Return a cluster agent that can be asked for DAG 11."""
    cluster = cluster_of_three()
    cluster.create(two_steps(), NOW)
    return cluster.agents[0]


def test_a_panic_is_answered_with_the_time_of_the_start() -> None:
    """That answer was made when the process began; its time says nothing of now."""
    later = NOW + timedelta(seconds=6)
    answer = get(agent_with_dag(), "/api/v1/task/dag/11?show_details=no", later)
    assert answer.json["timestamp"] == "2026-11-25T10:48:56+08:00"


def test_the_trace_id_of_the_request_is_given_back() -> None:
    """Else it is made up; the bare status route has none at all."""
    agent = agent_with_dag()
    assert send(agent, "GET", INFO, {"X-OBSHELL-Trace-ID": "mine"}).json["traceId"] == "mine"
    assert len(send(agent, "GET", INFO).json["traceId"]) == 16
    assert send(agent, "GET", "/api/v1/status").json["traceId"] == ""


def test_text_is_escaped_as_go_does() -> None:
    """`<`, `>` and `&` never stand bare in an answer, other letters do."""
    assert "\\u003c\\u0026\\u003eä" in get(agent_with_dag(), "/api/v1/task/dag/<&>ä").text


def test_a_slash_too_many_is_redirected_and_the_signature_does_not_fit_there() -> None:
    """A client that follows is refused."""
    agent = agent_with_dag()
    answer = get(agent, "/api/v1/task/dag/ob/unfinish/")
    assert (answer.status, answer.headers["Location"]) == (301, "/api/v1/task/dag/ob/unfinish")


def test_the_zone_of_the_database_shifts_all_times_of_its_dags() -> None:
    """They are its wall clock, labelled with the agent's zone; nothing else is shifted."""
    cluster = SimulatedCluster("lab", NOW, hosts=HOSTS, root_password=PASSWORD, shift=timedelta(hours=-8))
    agent = SimulatedAgent(HOSTS[0], NOW, cluster=cluster)
    cluster.create(two_steps(), NOW)
    agent.local.create(two_steps(), NOW)
    told = get(agent, "/api/v1/task/dag/11")
    assert told.data["start_time"] == "2026-11-25T02:48:56+08:00"
    assert told.json["timestamp"] == "2026-11-25T10:48:56+08:00"
    local = get(agent, f"/api/v1/task/dag/{agent.local_id(1)}").data
    assert local["start_time"] == "2026-11-25T10:48:56+08:00"


def test_the_members_of_a_cluster_are_told_to_who_may_ask() -> None:
    """Each with its address, zone and version; the shape is that of obshell's source."""
    agent = cluster_of_three().agents[1]
    assert get(agent, MEMBERS, password="wrong").status == 401
    told = get(agent, MEMBERS).data
    assert [(m["port"], m["zone"], m["identity"]) for m in told["agent_info"]] == [
        (2886, "zone1", "CLUSTER AGENT"),
        (2986, "zone2", "CLUSTER AGENT"),
        (3086, "zone3", "CLUSTER AGENT"),
    ]
    assert set(told["obcluster_info"]) == {"id", "name", "version", "topology", "is_shared_storage"}
    assert [
        server["agent_port"] for zone in told["obcluster_info"]["topology"].values() for server in zone
    ] == [
        2886,
        2986,
        3086,
    ]


def test_members_are_remembered_without_the_database() -> None:
    """But not what only the database knows."""
    cluster = cluster_of_three()
    cluster.lose_database(NOW)
    told = get(cluster.agents[0], MEMBERS).data
    assert len(told["agent_info"]) == 3
    assert told["obcluster_info"]["topology"] is None


def test_an_agent_without_a_cluster_names_itself_alone() -> None:
    """So does one on its way out; one without an identity knows nothing."""
    alone = SimulatedAgent(Host("10.0.0.9", 2886), NOW)
    cluster = cluster_of_three()
    leaving, unknown = cluster.agents[1:]
    leaving.become(SCALING_IN)
    unknown.become(UNIDENTIFIED)
    newcomer = make_newcomer(cluster, Host("10.0.0.8", 2886), NOW)
    for agent in (alone, leaving, newcomer):
        (member,) = get(agent, MEMBERS).data["agent_info"]
        assert (member["ip"], member["port"]) == (agent.host.ip, agent.host.port)
    assert get(unknown, MEMBERS, password="").error["errCode"] == "Agent.Identify.Unknown"


def test_a_destroyed_cluster_is_founded_again_with_ids_from_one() -> None:
    """In between its agents are SINGLE; keys are others, no DAG is left."""
    cluster = cluster_of_three()
    cluster.create(two_steps("Before"), NOW)
    agent = cluster.agents[0]
    key = agent.key.public
    cluster.destroy(NOW + timedelta(seconds=5))
    assert get(agent, INFO).data["identity"] == "SINGLE"
    assert get(agent, "/api/v1/task/dag/11").error["errCode"] == "Agent.OceanBase.NotHold"
    cluster.found_again(NOW + timedelta(seconds=60), root_password="another")
    later = NOW + timedelta(seconds=61)
    assert cluster.spell.generic_id(cluster.create(two_steps("After"), later).id) == "11"
    assert get(agent, "/api/v1/task/dag/11", later, password="another").data["name"] == "After"
    assert agent.key.public != key
