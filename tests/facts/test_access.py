"""Headers, passwords, keys and clocks: what is refused, what that proves, and what is never sent."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bot.core.events import AuthFailed, ClockSkewed
from bot.core.views import ClusterState
from bot.sandbox.agents.identities import FOLLOWER
from bot.sandbox.agents.ob_dags import start_ob
from bot.sandbox.agents.release import LATEST, Release
from tests.facts.world import HOSTS, World, breaking, plan, stage, work

Worlds = Callable[..., Awaitable[World]]
OLDEST = Release((4, 2, 3, 0))
RELEASES = (
    OLDEST,
    Release((4, 2, 5, 0)),
    Release((4, 2, 6, 0)),
    Release((4, 3, 0, 0)),
    Release((4, 3, 1, 0)),
    Release((4, 4, 2, 0)),
    LATEST,
)
SEALED = ("x-ocs-header", "x-ocs-agent-header")


def logins(world: World) -> int:
    """Return how many requests carried a password."""
    return sum(any(name in asked.headers for name in SEALED) for asked in world.asked)


async def test_the_header_is_for_the_target_as_it_is_sent(world_of: Worlds) -> None:
    """Every request's header names its whole target, query and all: no agent finds another."""
    world = await world_of(scope="all", registered=2)
    world.create(plan(stage("Copy", work("one", "two"), hosts=HOSTS), breaking()))
    start_ob(world.cluster, world.agents[0], world.clock())
    await world.wait(60)
    assert {"?" in asked.target for asked in world.asked} == {True, False}
    assert "failed" in await world.told()
    assert await world.state() is ClusterState.OK


@pytest.mark.parametrize("seconds", [-3600, -45, 45, 3600])
async def test_another_clock_of_an_agent_is_no_refusal(world_of: Worlds, seconds: float) -> None:
    """A header is good until an instant of the agent's clock: the difference is measured and made up for."""
    world = await world_of()
    for agent in world.agents:
        agent.clock_offset = timedelta(seconds=seconds)
    await world.wait(100)
    told = await world.events()
    assert [e.kind for e in told] == (["clock_skewed"] if abs(seconds) > 60 else [])
    assert all(isinstance(e, ClockSkewed) and round(e.skew_s) == seconds for e in told)
    assert await world.state() is ClusterState.OK


async def test_a_wrong_root_password_is_sent_once(world_of: Worlds) -> None:
    """Each is a failed login at the database: polling stops until an operator sets another."""
    world = await world_of(registered=3)
    world.cluster.change_root_password("another")
    for agent in world.agents:
        agent.knows_root("another")
    before = logins(world)
    await world.wait(300)
    assert logins(world) == before + 1
    (event,) = await world.events()
    assert isinstance(event, AuthFailed)
    assert await world.state() is ClusterState.AUTH_FAILED


async def test_the_old_password_is_good_until_the_new_one_was_used(world: World) -> None:
    """After a change in the database each agent switches by itself: until then nothing is wrong."""
    world.cluster.change_root_password("another")
    await world.wait(60)
    assert await world.told() == []
    assert await world.state() is ClusterState.OK


async def test_a_refused_password_without_a_database_proves_nothing(world: World) -> None:
    """A correct new password cannot be compared then: the cluster is degraded, and polled on."""
    world.cluster.change_root_password("another")
    world.password = "another"
    world.cluster.lose_database(world.clock())
    await world.wait(200)
    assert await world.told() == ["cluster_degraded"]
    world.cluster.regain_database(world.clock())
    await world.wait(70)
    assert await world.told() == ["cluster_degraded", "cluster_recovered"]


@pytest.mark.parametrize("user", ["root", "agent"])
async def test_an_agent_says_which_password_it_wants(world_of: Worlds, user: str) -> None:
    """With an agent password either header works; the declared one is used."""
    world = await world_of(user=user, agent_password="s3cret-of-the-lab")
    await world.wait(10)
    assert await world.state() is ClusterState.OK
    used = {name for asked in world.asked for name in SEALED if name in asked.headers}
    assert used == {"x-ocs-header" if user == "root" else "x-ocs-agent-header"}


async def test_a_follower_with_a_dead_master_blames_no_password(world: World) -> None:
    """It refuses correct credentials with 401: the cluster is out of reach, and polled on."""
    world.agents[0].become(FOLLOWER, master=HOSTS[1])
    world.agents[1].stop(world.clock())
    await world.wait(60)
    assert "auth_failed" not in await world.told()
    before = logins(world)
    await world.wait(200)
    assert logins(world) > before


async def test_a_follower_cannot_forward_the_agents_own_header(world_of: Worlds) -> None:
    """Its 500 says that it is no agent of a running cluster, and nothing of the password."""
    world = await world_of(user="agent", agent_password="s3cret-of-the-lab")
    world.agents[0].become(FOLLOWER, master=HOSTS[1])
    await world.wait(30)
    assert await world.told() == ["not_cluster_agent"]


async def test_a_new_key_is_fetched_once(world_of: Worlds) -> None:
    """An agent that restarts may have another key, of another size: it is read again, and no poll fails."""
    world = await world_of(key_bits=512)
    await world.wait(10)
    world.agents[0].restart(world.clock(), new_key=True)
    await world.wait(30)
    keys = [asked for asked in world.asked if asked.path == "/api/v1/secret"]
    assert len(keys) == 2
    assert await world.told() == []
    assert await world.state() is ClusterState.OK


async def test_an_upgrade_of_the_agent_is_no_rebuilt_cluster(world_of: Worlds) -> None:
    """From 512 to 1024 bits and another version: its DAGs go on in their story."""
    world = await world_of(release=OLDEST)
    world.create(plan(stage("Copy", work("c", seconds=30)), stage("Next", work("n"))))
    await world.wait(10)
    for agent in world.agents:
        world.cluster.upgrade(agent, world.clock(), LATEST)
    await world.wait(60)
    told = await world.told()
    assert "forgotten" not in told
    assert told[-1] == "succeeded"
    assert (await world.registered()).generation == 1


@pytest.mark.parametrize("release", RELEASES, ids=str)
async def test_every_version_is_understood(world_of: Worlds, release: Release) -> None:
    """From 4.2.3.0 on: what an agent lacks is asked for once, what it calls otherwise is understood."""
    world = await world_of(release=release, key_bits=release.key_bits, scope="all")
    dag = world.create(plan(stage("Copy", work("one", "two")), breaking()))
    await world.wait(15)
    world.operate(dag, "RETRY")
    await world.wait(15)
    told = await world.told()
    assert told == ["stage_advanced", "failed", "retried", "stage_advanced", "succeeded"]
    assert await world.state() is ClusterState.OK
    world.cluster.change_root_password("another")
    for agent in world.agents:
        agent.knows_root("another")
    await world.wait(30)
    assert (await world.told())[-1] == "auth_failed"


@pytest.mark.parametrize("release", RELEASES, ids=str)
async def test_a_new_key_blames_no_password_in_any_version(world_of: Worlds, release: Release) -> None:
    """The oldest agents refuse a stale key and a wrong password with the same words."""
    world = await world_of(release=release, key_bits=512)
    await world.wait(10)
    for agent in world.agents:
        agent.restart(world.clock(), new_key=True)
    await world.wait(90)
    assert await world.told() == []
    assert await world.state() is ClusterState.OK


@pytest.mark.parametrize("release", RELEASES, ids=str)
async def test_a_lost_database_is_told_as_one_in_any_version(world_of: Worlds, release: Release) -> None:
    """Also where the agent has only words for it, and no code."""
    world = await world_of(release=release, key_bits=512, registered=3)
    world.create(plan(stage("Copy", work("c", seconds=30))))
    await world.wait(10)
    world.cluster.lose_database(world.clock())
    await world.wait(60)
    assert await world.told() == ["cluster_degraded"]
    assert await world.state() is ClusterState.DEGRADED
    assert world.cluster.asked_by_id_while_down == 0


async def test_only_these_questions_are_asked(world_of: Worlds) -> None:
    """Everything that obdag ever sends: reading, by few paths, in one spelling.

    So it never meets the panics of `/node` and of a mis-spelt `show_details`, lists that swallow errors or
    hang, answers to creations, redirects, sessions, or translated errors; and it changes nothing anywhere.
    """
    world = await world_of(scope="all", registered=3)
    dag = world.create(plan(stage("Copy", work("one", "two"), hosts=HOSTS), breaking()))
    start_ob(world.cluster, world.agents[1], world.clock())
    await world.wait(60)
    world.operate(dag, "RETRY")
    world.cluster.lose_database(world.clock())
    await world.wait(60)
    world.cluster.regain_database(world.clock())
    world.agents[0].restart(world.clock(), new_key=True)
    await world.wait(700, step=2)
    assert {asked.method for asked in world.asked} == {"GET"}
    paths = {_kind(asked.path) for asked in world.asked}
    assert paths == {
        "/api/v1/secret",
        "/api/v1/info",
        "/api/v1/ob/info",
        "/api/v1/task/dag/ob/unfinish",
        "/api/v1/task/dag/agent/unfinish",
        "/api/v1/task/dags/ob",
        "/api/v1/task/dag/{id}",
        "/api/v1/task/sub_task/{id}/logs",
    }
    queries = {asked.target.partition("?")[2] for asked in world.asked}
    assert queries == {"", "show_details=true", "show_details=false"}
    names = {name for asked in world.asked for name in asked.headers}
    assert "accept-language" not in names
    assert {asked.headers["accept-encoding"] for asked in world.asked} == {"identity"}


def _kind(path: str) -> str:
    return "/".join("{id}" if part.isdigit() else part for part in path.split("/"))
