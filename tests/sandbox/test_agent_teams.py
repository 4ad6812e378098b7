"""Several agents of a cluster: restarts, observers, passwords, sessions, identities, hand-over, upgrade."""

from datetime import datetime, timedelta

import pytest

from bot.core.dag import Host, Maintenance, State
from bot.obshell.envelope import PublicKey, decrypt_body, seal
from bot.sandbox.agents.agent import SimulatedAgent
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.identities import FOLLOWER, MASTER, TAKE_OVER_MASTER, UNIDENTIFIED
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from tests.sandbox.asking import (
    AGENT,
    HOSTS,
    KEYS,
    NOW,
    ROOT,
    Answer,
    cluster_of_three,
    get,
    header_members,
    post,
    sealed,
    send,
    two_steps,
)

UNFINISHED = "/api/v1/task/dag/ob/unfinish"
LOCAL = "/api/v1/task/dag/agent/unfinish"
ALL_LISTS = "/api/v1/task/dag/unfinish"
STATUS = "/api/v1/status"


def at(seconds: float) -> datetime:
    """Return the instant so many seconds after the beginning."""
    return NOW + timedelta(seconds=seconds)


def one(*runs: Work, host: Host | None = None, limit_s: float = 3600.0) -> DagPlan:
    """Return a DAG with one sub-task."""
    part = PartPlan(host=host, runs=runs, limit_s=limit_s)
    return DagPlan(name="One", stages=(StagePlan(name="Only", parts=(part,)),))


def locked(plan: DagPlan) -> DagPlan:
    """Return the same plan with a lock."""
    return DagPlan(name=plan.name, stages=plan.stages, maintenance=Maintenance.GLOBAL)


def lines(cluster: SimulatedCluster, dag_id: int) -> list[str]:
    """Return the lines of the first sub-task of a DAG."""
    row = cluster.engine.store.dag(dag_id)
    assert row is not None
    return [log.text for log in row.nodes[0].sub_tasks[0].logs]


# --- who coordinates -------------------------------------------------------------------------------------


def test_the_office_stays_with_who_took_over() -> None:
    """The agent that comes back does not get it again."""
    cluster = cluster_of_three()
    cluster.restart(cluster.agents[0], at(1))
    cluster.tick(at(9))
    assert cluster.engine.maintainer == HOSTS[1]
    cluster.hand_over(HOSTS[2], at(10))
    dag = cluster.create(one(Work(lines=("here",))), at(11))
    cluster.tick(at(30))
    assert dag.nodes[0].sub_tasks[0].host == HOSTS[2]


def test_a_cluster_whose_agents_all_died_stands_still() -> None:
    """Until one of them is back."""
    cluster = cluster_of_three()
    for agent in cluster.agents:
        agent.stop(at(1))
    assert cluster.engine.maintainer is None
    cluster.agents[2].start(at(5))
    assert cluster.engine.maintainer == HOSTS[2]


def test_an_agent_that_lost_its_observer_hands_over() -> None:
    """Its cluster's DAGs go on without it, and a DAG by id is still answered through it."""
    cluster = cluster_of_three()
    agent = cluster.agents[0]
    dag = cluster.create(two_steps("Elsewhere"), NOW)
    cluster.lose_observer(agent, at(0.5), process_too=True)
    assert get(agent, UNFINISHED, at(20)).error["errCode"] == "OB.Server.Process.NotExist"
    told = get(agent, f"/api/v1/task/dag/1{dag.id}", at(20))
    assert (told.data["state"], cluster.calls_between_agents, cluster.storms) == ("SUCCEED", 1, 0)
    cluster.regain_observer(agent, at(21))
    assert get(agent, UNFINISHED, at(21)).status == 200


def test_two_agents_without_an_observer_storm_although_a_third_has_one() -> None:
    """Each asks the other first."""
    cluster = cluster_of_three()
    cluster.create(two_steps(), NOW)
    for agent in cluster.agents[:2]:
        cluster.lose_observer(agent, at(1))
    answer = get(cluster.agents[0], "/api/v1/task/dag/11", at(2))
    assert (answer.delay_s, cluster.storms) == (150.0, 1)


def test_a_storm_can_begin_with_an_unknown_local_dag() -> None:
    """The others send the question back to where the id says."""
    cluster = cluster_of_three()
    agent = cluster.agents[0]
    name = f"/api/v1/task/dag/{agent.local_id(99)}"
    assert get(agent, name).error["message"] == "Task not found: record not found"
    cluster.lose_database(at(1))
    get(agent, name, at(2))
    assert cluster.storms == 1


# --- their own stores ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ip", ["127.0.0.1", "2001:db8::5"])
def test_local_dags_are_read_without_the_database(ip: str) -> None:
    """By list and by id, through any agent, under IPv4 and IPv6."""
    hosts = [Host(ip, port) for port in (2886, 2986)]
    cluster = SimulatedCluster("lab", NOW, hosts=hosts, root_password="lab-pass")
    first, second = (SimulatedAgent(host, NOW, cluster=cluster) for host in hosts)
    dag = second.local.create(two_steps("Own"), NOW)
    name = second.local_id(dag.id)
    assert name.startswith("2" if "." in ip else "3")
    cluster.lose_database(at(1))
    assert get(second, LOCAL, at(1.5)).data["contents"][0]["id"] == name
    assert get(first, ALL_LISTS, at(1.5)).data["contents"][0]["id"] == name
    assert get(first, f"/api/v1/task/dag/{name}", at(1.5)).data["name"] == "Own"
    assert cluster.storms == 0


def test_the_list_of_all_hides_every_error() -> None:
    """A dead agent, no database: fewer DAGs, never a failure, and null instead of none."""
    cluster = cluster_of_three()
    cluster.agents[1].local.create(two_steps("Own"), NOW)
    cluster.create(two_steps("Cluster's"), NOW)
    names = [dag["name"] for dag in get(cluster.agents[0], ALL_LISTS).data["contents"]]
    assert names == ["Own", "Cluster's"]
    cluster.agents[1].stop(at(0.5))
    cluster.lose_database(at(0.6))
    assert get(cluster.agents[0], ALL_LISTS, at(0.7)).data == {"contents": None}


# --- runs that end badly ---------------------------------------------------------------------------------


def test_an_hour_is_the_limit_of_a_run() -> None:
    """Two lines say so; the number in the first is the row in the agent's own store."""
    cluster = cluster_of_three()
    cluster.agents[0].local.store.count_from(sub_tasks=32)
    dag = cluster.create(one(Work(hangs=True), host=HOSTS[0]), NOW)
    states = []
    for seconds in (3599, 3605):
        cluster.tick(at(seconds))
        states.append(dag.state)
    assert states == [State.RUNNING, State.FAILED]
    assert lines(cluster, 1) == [
        "ERROR: [Common.Unexpected]: Unexpected error: task 32 timeout",
        "sub task timeout",
    ]


def test_a_line_can_be_late() -> None:
    """Behind one that was written after it."""
    cluster = cluster_of_three()
    dag = cluster.create(one(Work(lines=("first", "second"), seconds=2.0)), NOW)
    cluster.delay_line(dag, 1, "first", 1.5)
    cluster.tick(at(9))
    assert lines(cluster, 1) == ["second", "first"]


def test_a_line_too_long_for_the_cluster_is_kept_by_an_agent() -> None:
    """The column of the cluster's store holds 64 KiB; an agent's own store has no such limit."""
    cluster = cluster_of_three()
    long = "x" * 70000
    cluster.create(one(Work(lines=("before", long, "after"))), NOW)
    own = cluster.agents[0].local.create(one(Work(lines=(long,))), NOW)
    cluster.tick(at(9))
    assert lines(cluster, 1) == ["before", "after"]
    assert [log.text for log in own.nodes[0].sub_tasks[0].logs] == [long]


def test_lines_of_the_time_without_a_database_come_later_from_some_agents() -> None:
    """Each agent sends what it kept when it likes."""
    cluster = cluster_of_three()
    plan = DagPlan(
        name="Everywhere",
        stages=(
            StagePlan(
                name="Talk",
                parts=tuple(
                    PartPlan(host=host, runs=(Work(lines=("a", "b"), seconds=4.0),)) for host in HOSTS
                ),
            ),
        ),
    )
    dag = cluster.create(plan, NOW)
    cluster.tick(at(2))
    cluster.lose_database(at(2))
    cluster.regain_database(at(10), {HOSTS[1]: timedelta(seconds=3)})
    counts = [[len(sub.logs) for sub in dag.nodes[0].sub_tasks]]
    cluster.tick(at(13.1))
    counts.append([len(sub.logs) for sub in dag.nodes[0].sub_tasks])
    assert counts == [[2, 1, 2], [2, 2, 2]]


def test_the_late_result_of_a_cancelled_run_elsewhere_is_thrown_away() -> None:
    """Its lines come in all the same."""
    cluster = cluster_of_three()
    dag = cluster.create(locked(one(Work(lines=("a", "b"), seconds=6.0), host=HOSTS[1])), NOW)
    cluster.operate(dag, "CANCEL", at(2))
    cluster.tick(at(20))
    assert (dag.state, dag.nodes[0].sub_tasks[0].state) == (State.FAILED, State.FAILED)
    assert lines(cluster, 1) == ["a", "sub task cancelled", "b"]


def test_an_agent_that_never_comes_back_can_be_saved_by_hand() -> None:
    """Its own store holds a sub-task that was left READY; a person repairs it."""
    cluster = cluster_of_three()
    dag = cluster.create(locked(one(Work(lines=("s",) * 20, seconds=60.0), host=HOSTS[1])), NOW)
    for seconds, operator in ((2, "CANCEL"), (5, "RETRY"), (7.5, "CANCEL")):
        cluster.operate(dag, operator, at(seconds))
    cluster.tick(at(10))
    agent = cluster.agents[1]
    agent.stop(at(10))
    agent.start(at(11))
    assert not agent.running
    cluster.engine.crew.save(agent.host)
    agent.start(at(12))
    assert agent.running


# --- sessions and passwords ------------------------------------------------------------------------------


def login(agent: SimulatedAgent, now: datetime = NOW) -> str:
    """Log in and return the session."""
    return decrypt_body(post(agent, "/api/v1/login", {}, now).data.encode(), KEYS[:16], KEYS[16:]).decode()


def with_session(agent: SimulatedAgent, session: str, now: datetime) -> Answer:
    """Ask for the list with a session instead of a password."""
    members = header_members(UNFINISHED, now) | {"session_id": session, "Auth": ""}
    return send(agent, "GET", UNFINISHED, {ROOT: sealed(agent, members)}, b"", now)


def test_a_session_lives_half_an_hour_after_its_last_use() -> None:
    """Then it is expired once, and unknown from then on."""
    agent = cluster_of_three().agents[0]
    session = login(agent)
    assert len(session) == 64
    answers = [with_session(agent, session, at(seconds)) for seconds in (1799, 3500, 5301, 5302)]
    assert [answer.error.get("errCode", "").rpartition(".")[2] for answer in answers] == [
        "",
        "",
        "SessionExpired",
        "SessionInvalid",
    ]


def test_a_change_of_password_ends_all_sessions() -> None:
    """When the new one of root is used first, or an agent password is set."""
    cluster = cluster_of_three()
    first, second = cluster.agents[:2]
    sessions = [login(agent) for agent in (first, second)]
    cluster.change_root_password("new-pass")
    assert with_session(first, sessions[0], at(1)).status == 200
    assert get(first, UNFINISHED, at(2), password="new-pass").status == 200
    second.set_agent_password("agent-pass")
    answers = [with_session(agent, s, at(3)) for agent, s in zip((first, second), sessions, strict=True)]
    assert [answer.status for answer in answers] == [401, 401]


def test_a_single_agent_takes_its_password_sealed_once_more() -> None:
    """Plain too; a wrong one in neither way."""
    agent = SimulatedAgent(Host("10.0.0.9", 2886), NOW, agent_password="agent-pass")
    key = PublicKey.from_base64(agent.key.public)
    told = [
        get(agent, LOCAL, password=password, header=AGENT).status
        for password in ("agent-pass", seal(b"agent-pass", key), seal(b"wrong", key), "wrong")
    ]
    assert told == [200, 200, 401, 401]


@pytest.mark.parametrize("identity", [MASTER, UNIDENTIFIED])
def test_an_agent_that_knows_no_root_password(identity: str) -> None:
    """The empty one fits; with an agent password, only that."""
    agent = SimulatedAgent(Host("10.0.0.9", 2886), NOW)
    agent.become(identity)
    assert get(agent, LOCAL, password="").status == 200
    agent.set_agent_password("agent-pass")
    refused = get(agent, LOCAL, password="").error
    assert refused["errCode"] == "Security.Authentication.WithAgentPassword"
    assert refused["message"].endswith("oceanbase password is not initialized")
    assert get(agent, LOCAL, password="agent-pass", header=AGENT).status == 200


def test_no_identity_without_a_database_has_one() -> None:
    """A cluster agent that is taken over keeps it, one that loses its identity does not."""
    cluster = cluster_of_three()
    cluster.create(two_steps(), NOW)
    agent = cluster.agents[0]
    agent.become(TAKE_OVER_MASTER)
    assert get(agent, "/api/v1/task/dag/11").status == 200
    agent.become(UNIDENTIFIED)
    assert get(agent, "/api/v1/task/dag/11", password="").error["errCode"] == "Agent.OceanBase.NotHold"
    assert get(agent, ALL_LISTS, password="").error["errCode"] == "Agent.Identify.Unknown"


def test_a_follower_says_of_a_dead_master_that_authentication_failed() -> None:
    """With correct credentials; its status is told all the same."""
    neighbours: list[SimulatedAgent] = []
    master, follower = (
        SimulatedAgent(Host("10.0.0.1", port), NOW, neighbours=neighbours) for port in (2886, 2986)
    )
    master.become(MASTER)
    follower.become(FOLLOWER, master=master.host)
    master.stop(at(1))
    refused = get(follower, LOCAL, at(2), password="")
    assert refused.error["errCode"] == "Security.Authentication.Unauthorized"
    assert get(follower, STATUS, at(2)).data["agent"]["identity"] == "FOLLOWER"


# --- languages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("zh-CN", "未找到任务: record not found"),
        ("zh", "未找到任务: record not found"),
        ("en", "Task not found: record not found"),
        ("fr", "Task not found: record not found"),
        ("zh-CN,zh;q=0.9", "Task not found: record not found"),
    ],
)
def test_messages_follow_one_single_tag(tag: str, message: str) -> None:
    """Codes never change."""
    agent = cluster_of_three().agents[0]
    target = "/api/v1/task/dag/1999"
    headers = {ROOT: sealed(agent, header_members(target, NOW)), "Accept-Language": tag}
    error = send(agent, "GET", target, headers).error
    assert (error["errCode"], error["message"]) == ("Task.NotFound", message)


def test_an_error_without_a_class_gets_its_prefix_with_a_language_only() -> None:
    """Without the header it is bare."""
    cluster = cluster_of_three()
    cluster.create(two_steps(), NOW).unknown_type = "TaskOfAnotherVersion"
    agent = cluster.agents[0]
    headers = {ROOT: sealed(agent, header_members(UNFINISHED, NOW))}
    told = [
        send(agent, "GET", UNFINISHED, headers | more).error["message"]
        for more in ({}, {"Accept-Language": "en"}, {"Accept-Language": "zh"})
    ]
    bare = "task type TaskOfAnotherVersion not register"
    assert told == [bare, f"Unexpected error: {bare}", f"非预期错误：{bare}"]
