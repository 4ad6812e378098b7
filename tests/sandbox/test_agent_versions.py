"""What agents of older versions do otherwise, as their source says and as the table of features has it."""

from datetime import timedelta

import pytest

from bot.core.dag import Host
from bot.sandbox.agents.agent import SimulatedAgent, make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.identities import FOLLOWER, MASTER, SCALING_IN
from bot.sandbox.agents.release import LATEST, Release
from tests.sandbox.asking import (
    AGENT,
    HOSTS,
    NOW,
    PASSWORD,
    ROOT,
    get,
    header_members,
    post,
    sealed,
    send,
    two_steps,
)

UNFINISHED = "/api/v1/task/dag/ob/unfinish"
OVERVIEW = "/api/v1/task/dags/ob"
LOCAL = "/api/v1/task/dag/agent/unfinish"
V4230, V4240, V4250, V4260, V4300, V4310, V4400, V4420, V4500 = (
    Release.parse(text)
    for text in (
        "4.2.3.0",
        "4.2.4.0",
        "4.2.5.0",
        "4.2.6.0",
        "4.3.0.0",
        "4.3.1.0",
        "4.4.0.0",
        "4.4.2.0",
        "4.5.0.0",
    )
)
ALL = (V4230, V4240, V4250, V4260, V4300, V4310, V4400, V4420, V4500)
OLD = ALL[:5]


def cluster_of(release: Release) -> SimulatedCluster:
    """Return three agents of that version."""
    cluster = SimulatedCluster("lab", NOW, hosts=HOSTS, root_password=PASSWORD)
    make_agents(cluster, NOW, release=release)
    return cluster


@pytest.mark.parametrize("release", ALL, ids=str)
def test_every_version_takes_a_good_header_with_its_own_kind_of_key(release: Release) -> None:
    """512 bits before 4.4.2.0, 1024 since."""
    agent = cluster_of(release).agents[0]
    assert get(agent, UNFINISHED).data == {"contents": []}
    assert agent.key.size * 8 == (1024 if release in {V4420, V4500} else 512)
    assert get(agent, "/api/v1/info").data["version"] == f"{release}-0"


@pytest.mark.parametrize(
    ("member", "since"),
    [("obVersion", V4240), ("supportedAuth", V4250), ("security", V4260), ("isObproxyAgent", V4260)],
)
def test_what_agents_did_not_always_tell_of_themselves(member: str, since: Release) -> None:
    """The member is missing before, not empty."""
    told = {release: member in get(cluster_of(release).agents[0], "/api/v1/info").data for release in ALL}
    assert told == {release: release.numbers >= since.numbers for release in ALL}


@pytest.mark.parametrize("release", ALL, ids=str)
def test_the_kind_of_maintenance_is_told_since_4_3_1(release: Release) -> None:
    """Before, a watcher cannot tell which DAGs stay in the list when they fail."""
    cluster = cluster_of(release)
    cluster.create(two_steps(), NOW)
    (dag,) = get(cluster.agents[0], UNFINISHED).data["contents"]
    assert ("maintenance_type" in dag, "maintenance_key" in dag) == (ALL.index(release) >= 5,) * 2


@pytest.mark.parametrize("target", [OVERVIEW, "/api/v1/task/dags/agent", "/api/v1/task/sub_task/11/logs"])
@pytest.mark.parametrize("release", ALL, ids=str)
def test_overviews_and_logs_exist_since_4_3(release: Release, target: str) -> None:
    """An unknown route is a bad request to agents before 4.3.1.0."""
    answer = get(cluster_of(release).agents[0], target)
    if release in ALL[4:]:
        assert answer.status == 200
    else:
        assert (answer.status, answer.error) == (400, {"code": 1000, "message": "Bad request: 404 not found"})


@pytest.mark.parametrize("release", OLD, ids=str)
def test_old_agents_send_no_error_code_of_the_new_kind(release: Release) -> None:
    """A number, and always that."""
    agent = cluster_of(release).agents[0]
    for answer in (
        get(agent, "/api/v1/task/dag/1999"),
        get(agent, "/api/v1/task/dag/abc"),
        get(agent, UNFINISHED, password="wrong"),
        get(agent, f"{UNFINISHED}?show_details=maybe"),
        send(agent, "GET", UNFINISHED),
    ):
        assert set(answer.error) == {"code", "message"}


@pytest.mark.parametrize("release", OLD, ids=str)
def test_an_old_agent_that_is_no_cluster_agent_says_so(release: Release) -> None:
    """Cleanly, where newer ones do not answer at all."""
    agent = cluster_of(release).agents[0]
    agent.become(SCALING_IN)
    answer = get(agent, UNFINISHED)
    message = "Bad request: only cluster agent can get cluster unfinished dags"
    assert (answer.status, answer.error) == (400, {"code": 1000, "message": message})


@pytest.mark.parametrize(
    ("release", "key", "password", "expired", "header"),
    [
        (V4230, *["err.unauthorized"] * 4),
        (V4240, *["Verification failed"] * 4),
        (V4250, *["Verification failed"] * 4),
        (
            V4260,
            "Verification failed: header decrypt failed",
            "Verification failed: access denied",
            "Verification failed: auth expired",
            "Verification failed: header not found",
        ),
        (
            V4300,
            "Verification failed: header decrypt failed",
            "Verification failed: access denied",
            "Verification failed: auth expired",
            "Verification failed: header not found",
        ),
    ],
    ids=str,
)
def test_old_agents_refuse_all_with_one_number(
    release: Release, key: str, password: str, expired: str, header: str
) -> None:
    """Before 4.2.6.0 nothing tells a wrong key from a wrong password."""
    agent = cluster_of(release).agents[0]
    late = header_members(UNFINISHED, NOW - timedelta(hours=1))
    answers = (
        send(agent, "GET", UNFINISHED, {ROOT: "AAAA"}),
        get(agent, UNFINISHED, password="wrong"),
        send(agent, "GET", UNFINISHED, {ROOT: sealed(agent, late)}),
        send(agent, "GET", UNFINISHED),
    )
    assert [(a.status, a.error["code"], a.error["message"]) for a in answers] == [
        (401, 10008, text) for text in (key, password, expired, header)
    ]


@pytest.mark.parametrize("release", OLD, ids=str)
def test_the_words_of_old_agents(release: Release) -> None:
    """Numbers of tasks, operators, arguments and the database."""
    cluster = cluster_of(release)
    agent = cluster.agents[0]
    cluster.create(two_steps(), NOW)
    answers = [
        get(agent, "/api/v1/task/dag/1999"),
        get(agent, "/api/v1/task/dag/abc"),
        post(agent, "/api/v1/task/dag/11", {"operator": "RETRY"}),
    ]
    cluster.lose_database(NOW)
    answers.append(get(agent, UNFINISHED))
    assert [(a.status, a.error["code"]) for a in answers] == [
        (404, 2300),
        (400, 1001),
        (500, 1010),
        (500, 1002),
    ]
    assert answers[0].error["message"] == "Task not found: record not found"
    assert answers[3].error["message"] == "Unexpected error: oceanbase db is useless"
    assert answers[3].data == {"contents": None}


def test_the_agent_header_is_not_known_before_4_2_6() -> None:
    """It counts as none there; later it is refused for the password that nobody set."""
    for release, code in ((V4250, 10008), (V4500, 10008)):
        agent = cluster_of(release).agents[0]
        answer = get(agent, UNFINISHED, header=AGENT)
        assert (answer.status, answer.error["code"]) == (401, code)
    old = cluster_of(V4250).agents[0]
    both = {ROOT: sealed(old, header_members(UNFINISHED, NOW)), AGENT: "nonsense"}
    assert send(old, "GET", UNFINISHED, both).status == 200


def test_a_slow_agent_before_4_2_6_compares_with_the_time_when_it_comes_to_it() -> None:
    """Later ones with the time of arrival: the same header is expired there, and good here."""
    statuses = []
    for release in (V4250, V4260):
        agent = cluster_of(release).agents[0]
        agent.slow_s = 90.0
        statuses.append(get(agent, UNFINISHED).status)
    assert statuses == [401, 200]


@pytest.mark.parametrize("release", ALL, ids=str)
def test_sessions_exist_since_4_4(release: Release) -> None:
    """Before, a session id in the header is not looked at."""
    agent = cluster_of(release).agents[0]
    members = header_members(UNFINISHED, NOW) | {"session_id": "0" * 64}
    answer = send(agent, "GET", UNFINISHED, {ROOT: sealed(agent, members)})
    login = post(agent, "/api/v1/login", {})
    assert (answer.status, login.status) == ((401, 200) if release in ALL[6:] else (200, login.status))
    assert (login.status == 200) is (release in ALL[6:])


def test_followers_forward_since_4_2_4() -> None:
    """Before, they refuse all who come without the token of a MASTER."""
    statuses = []
    for release in (V4230, V4240):
        neighbours: list[SimulatedAgent] = []
        agents = [
            SimulatedAgent(Host("10.0.0.1", port), NOW, neighbours=neighbours, release=release)
            for port in (2886, 2986)
        ]
        agents[0].become(MASTER)
        agents[1].become(FOLLOWER, master=agents[0].host)
        statuses.append(get(agents[1], LOCAL, password="").status)
    assert statuses == [401, 200]


def test_an_upgrade_changes_the_key_once() -> None:
    """From 512 to 1024 bits; headers for the old key are refused, and a plain restart changes nothing."""
    cluster = cluster_of(V4400)
    agent = cluster.agents[0]
    old = sealed(agent, header_members(UNFINISHED, NOW))
    cluster.upgrade(agent, NOW, LATEST)
    refused = send(agent, "GET", UNFINISHED, {ROOT: old})
    assert refused.error["errCode"] == "Security.Authentication.Header.DecryptFailed"
    assert refused.error["code"] == 1
    key = agent.key.public
    agent.restart(NOW + timedelta(seconds=9))
    assert agent.key.public == key
    assert len({other.key.public for other in cluster.agents}) >= 2


def test_a_version_has_four_numbers() -> None:
    """Anything else is refused."""
    assert str(Release.parse("4.2.6.1")) == "4.2.6.1"
    with pytest.raises(ValueError, match="unpack"):
        Release.parse("4.5")
