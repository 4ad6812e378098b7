"""Registered clusters and their health, on both databases."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import Connection, Engine

from bot.core.health import Health
from bot.core.views import ClusterState
from bot.store import clusters as rows
from bot.store.clusters import HealthRow, Registration
from tests.factories import NOW, at

FULL = Registration(
    name="prod",
    urls=("https://10.0.0.1:2886", "https://10.0.0.2:2886"),
    scope="all",
    user="agent",
    secret="sealed",
    channel="C0OPS",
    interval_s=2.5,
    stall_after_s=60.0,
    runbook="https://runbook.example.com",
    ca_file="/etc/ca.pem",
    client_cert="/etc/cert.pem",
    client_key="/etc/key.pem",
    insecure=True,
)
HEALTH = HealthRow(
    state=ClusterState.UNREACHABLE,
    tracking=Health(failures=4, since=NOW, episode=2, told="cluster_unreachable"),
    agent="https://10.0.0.1:2886",
    error="refused",
    checked_at=at(-30),
    attempted_at=NOW,
)


def add(connection: Connection, *names: str) -> list[int]:
    """Register clusters."""
    return [rows.add(connection, Registration(name=name, urls=("http://a:1",)), NOW) for name in names]


def test_registration_comes_back_whole(engine: Engine) -> None:
    """Nothing of a registration is lost, and agents keep their order, through an edit too."""
    with engine.begin() as connection:
        cluster_id = rows.add(connection, FULL, NOW)
        assert rows.load(connection)[0].registration == FULL
        edited = msgspec.structs.replace(FULL, urls=FULL.urls[::-1], channel=None, interval_s=None)
        rows.edit(connection, cluster_id, edited)
        found = rows.find(connection, "prod")
        assert found is not None
        assert found.registration == edited
        assert "sealed" not in repr(found)


def test_every_change_is_seen(engine: Engine) -> None:
    """The watcher notices each change by the fingerprint, also a request that is not the latest one."""
    with engine.begin() as connection:
        seen = [rows.fingerprint(connection)]
        first, second, third = add(connection, "a", "b", "c")
        changes = (
            lambda: rows.edit(connection, first, Registration(name="a", urls=("http://b:1",))),
            lambda: rows.set_secret(connection, first, "sealed", "root"),
            lambda: rows.set_paused(connection, second, paused=True),
            lambda: rows.new_generation(connection, second),
            lambda: rows.want_poll(connection, first, NOW),
            lambda: rows.want_poll(connection, second, NOW),
            lambda: rows.want_poll(connection, third, NOW - timedelta(seconds=2)),
            lambda: rows.want_poll(connection, first, at(0.25)),
            lambda: rows.remove(connection, third),
            lambda: add(connection, "d"),
        )
        for change in changes:
            seen.append(rows.fingerprint(connection))
            assert rows.fingerprint(connection) == seen[-1]
            change()
        seen.append(rows.fingerprint(connection))
    assert len(set(seen)) == len(seen)


def test_health_comes_back_whole(engine: Engine) -> None:
    """What the polls came to survives the process, for each cluster its own."""
    with engine.begin() as connection:
        first, second = add(connection, "a", "b")
        assert rows.health_of(connection, first) == HealthRow()
        rows.save_health(connection, first, msgspec.structs.replace(HEALTH, error="first"))
        rows.save_health(connection, first, HEALTH)
        assert rows.all_health(connection) == {first: HEALTH}
        assert rows.health_of(connection, second) == HealthRow()


def test_ages_change_nothing_else(engine: Engine) -> None:
    """The ages of many clusters are stored together; what the polls came to stays."""
    with engine.begin() as connection:
        first, second = add(connection, "a", "b")
        older = msgspec.structs.replace(HEALTH, error="another")
        rows.save_health(connection, first, HEALTH)
        rows.save_health(connection, second, older)
        aged = {
            first: HealthRow(checked_at=at(10), attempted_at=at(11)),
            second: HealthRow(checked_at=at(20), attempted_at=at(21)),
        }
        rows.save_ages(connection, aged)
        assert rows.all_health(connection) == {
            first: msgspec.structs.replace(HEALTH, checked_at=at(10), attempted_at=at(11)),
            second: msgspec.structs.replace(older, checked_at=at(20), attempted_at=at(21)),
        }


@pytest.mark.parametrize("state", ClusterState)
def test_only_a_refused_password_is_cleared(engine: Engine, state: ClusterState) -> None:
    """A new password ends the stop of a refused one, and no other trouble; what was told stays known."""
    with engine.begin() as connection:
        (cluster_id,) = add(connection, "a")
        before = msgspec.structs.replace(HEALTH, state=state)
        rows.save_health(connection, cluster_id, before)
        rows.clear_trouble(connection, cluster_id)
        after = rows.health_of(connection, cluster_id)
    if state is not ClusterState.AUTH_FAILED:
        assert after == before
        return
    assert (after.state, after.error, after.checked_at) == (ClusterState.UNKNOWN, None, before.checked_at)
    assert (after.tracking.told, after.tracking.episode) == (before.tracking.told, before.tracking.episode)
