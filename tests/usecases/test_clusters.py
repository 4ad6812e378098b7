from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from bot.core.dag import Host
from bot.core.health import Health
from bot.core.views import ClusterState
from bot.keys import Vault, new_key
from bot.obshell.connect import connect
from bot.sandbox.agents.agent import SimulatedAgent
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.store import clusters as rows
from bot.store.clusters import Registration
from bot.store.engine import Store
from bot.usecases import clusters
from bot.usecases.checking import AgentCheck, CheckFailed, WrongPassword
from bot.usecases.clusters import Duplicate, PasswordRefused, Registry
from bot.usecases.errors import UnknownCluster
from tests.obshell.helpers import Clock, Handler, wrapped

PASSWORD = "made-up-Pa55word"
HOSTS = [Host("10.0.0.1", 2886), Host("10.0.0.2", 2886)]
URLS = tuple(f"http://{host}" for host in HOSTS)


class Fleet:
    """A simulated cluster of two agents, reached without sockets; `asked` are the requests in order."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cluster = SimulatedCluster("prod", clock(), hosts=HOSTS, root_password=PASSWORD)
        self.agents = {str(host): SimulatedAgent(host, clock(), cluster=self.cluster) for host in HOSTS}
        self.asked: list[httpx.Request] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer as the agent at that address."""
        self.asked.append(request)
        agent = self.agents[request.url.netloc.decode()]
        try:
            answer = agent.respond(
                request.method, request.url.raw_path.decode(), dict(request.headers), b"", self.clock()
            )
        except ConnectionRefusedError as error:
            raise httpx.ConnectError("refused") from error
        return httpx.Response(answer.status, headers=list(answer.headers), content=answer.body)

    @property
    def logins(self) -> int:
        """How often a password was sent."""
        return sum("/task/" in request.url.path for request in self.asked)


@pytest.fixture
def fleet() -> Fleet:
    """Return a healthy cluster."""
    return Fleet(Clock())


def _registry(store: Store, clock: Clock, handler: Handler) -> Registry:
    transport = httpx.MockTransport(handler)
    return Registry(
        store=store, vault=Vault((new_key(),)), clock=clock, connect=partial(connect, transport=transport)
    )


@pytest.fixture
def registry(store: Store, fleet: Fleet) -> Registry:
    """Return what the use cases need, on both databases."""
    return _registry(store, fleet.clock, fleet.handle)


def _wanted(**members: Any) -> Registration:
    return Registration(**{"name": "prod", "urls": URLS, **members})


async def test_add_reports_each_agent(registry: Registry) -> None:
    """Every agent is looked at, and what it is comes back."""
    reports = await clusters.add(registry, _wanted(), PASSWORD)
    assert [report.agent for report in reports] == list(URLS)
    assert {(report.version, report.unfinished, report.clock_skewed) for report in reports} == {
        ("4.5.0.0-0", 0, False)
    }


async def test_add_stores_the_password_encrypted(registry: Registry) -> None:
    """What is stored can be decrypted by the key and by nothing else."""
    await clusters.add(registry, _wanted(), PASSWORD)
    secret = (await clusters.find(registry, "prod")).registration.secret
    assert secret is not None
    assert PASSWORD not in secret
    assert registry.vault.decrypt(secret) == PASSWORD


async def test_urls_are_stored_in_one_spelling(registry: Registry) -> None:
    """A missing port, capital letters and a slash at the end make no second agent."""
    await clusters.add(registry, _wanted(urls=("HTTP://10.0.0.1/",)), PASSWORD)
    assert (await clusters.find(registry, "prod")).registration.urls == ("http://10.0.0.1:2886",)


async def test_duplicate_asks_nobody(registry: Registry, fleet: Fleet) -> None:
    """A name that is taken is refused before any agent is asked."""
    await clusters.add(registry, _wanted(), PASSWORD)
    asked = len(fleet.asked)
    with pytest.raises(Duplicate):
        await clusters.add(registry, _wanted(), PASSWORD)
    assert len(fleet.asked) == asked


async def test_wrong_password_is_sent_to_one_agent_only(registry: Registry, fleet: Fleet) -> None:
    """Two agents share one database: a second try would be a second failed login."""
    with pytest.raises(WrongPassword):
        await clusters.add(registry, _wanted(), "nonsense-9")
    assert fleet.logins == 1
    with pytest.raises(UnknownCluster):
        await clusters.find(registry, "prod")


async def test_skewed_clock_is_reported(registry: Registry, fleet: Fleet) -> None:
    """A clock that differs by more than a minute is worth a word, but no reason to refuse."""
    fleet.agents["10.0.0.1:2886"].clock_offset = timedelta(minutes=3)
    first, second = await clusters.add(registry, _wanted(), PASSWORD)
    assert first.clock_skewed
    assert first.skew_s == pytest.approx(180, abs=1)
    assert not second.clock_skewed


@pytest.mark.parametrize("info", [{"version": "4.2.2.0-1"}, {"version": "4.9.0.0", "supportedAuth": ["v3"]}])
async def test_version_that_cannot_be_spoken_to(store: Store, info: dict[str, Any]) -> None:
    """An agent that speaks no authentication of ours is refused before it gets a password."""
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json=wrapped({"identity": "CLUSTER AGENT", **info}))

    registry = _registry(store, Clock(), handler)
    with pytest.raises(CheckFailed, match="too old"):
        await clusters.add(registry, _wanted(), PASSWORD)
    assert asked == ["/api/v1/info"]


async def test_web_page_is_no_agent(store: Store) -> None:
    """Something else that speaks HTTP is named as that."""
    registry = _registry(store, Clock(), lambda _: httpx.Response(200, html="<html>hello</html>"))
    with pytest.raises(CheckFailed, match="no OBShell agent answers there"):
        await clusters.add(registry, _wanted(), PASSWORD)


async def test_check_goes_on_after_an_agent_that_is_down(registry: Registry, fleet: Fleet) -> None:
    """One dead agent does not hide that another is well."""
    await clusters.add(registry, _wanted(), PASSWORD)
    fleet.agents["10.0.0.1:2886"].unplug(fleet.clock())
    dead, well = await clusters.check(registry, "prod")
    assert isinstance(dead, CheckFailed)
    assert isinstance(well, AgentCheck)


async def test_refusal_is_remembered_until_a_new_password(registry: Registry, fleet: Fleet) -> None:
    """After a refusal nobody asks; a new password clears it, and the error with it."""
    await clusters.add(registry, _wanted(), "nonsense-9", check=False)
    [report] = await clusters.check(registry, "prod")
    assert isinstance(report, WrongPassword)
    cluster = await clusters.find(registry, "prod")
    refused = await clusters.health(registry, cluster)
    assert (refused.state, refused.agent) == (ClusterState.AUTH_FAILED, URLS[0])
    with pytest.raises(PasswordRefused):
        await clusters.check(registry, "prod")
    assert fleet.logins == 1
    await clusters.set_password(registry, "prod", PASSWORD)
    healed = await clusters.health(registry, cluster)
    assert (healed.state, healed.error) == (ClusterState.UNKNOWN, None)
    assert len(await clusters.check(registry, "prod")) == 2


async def test_refusal_keeps_what_was_told(registry: Registry) -> None:
    """Remembering a refusal does not forget the trouble that people were told of."""
    await clusters.add(registry, _wanted(), PASSWORD)
    cluster = await clusters.find(registry, "prod")
    trouble = Health(failures=4, since=registry.clock(), episode=3, told="cluster_unreachable")
    told = rows.HealthRow(state=ClusterState.OK, tracking=trouble, checked_at=registry.clock())
    await registry.store.write(rows.save_health, cluster.id, told)
    await clusters.remember_refusal(registry, cluster, URLS[0], "no")
    after = await clusters.health(registry, cluster)
    assert (after.tracking, after.checked_at) == (told.tracking, told.checked_at)


async def test_set_password_accepts_while_one_agent_is_down(registry: Registry, fleet: Fleet) -> None:
    """A password that one agent accepts is stored, though another is down."""
    await clusters.add(registry, _wanted(), PASSWORD)
    fleet.agents["10.0.0.1:2886"].unplug(fleet.clock())
    reports = await clusters.set_password(registry, "prod", PASSWORD)
    assert [type(report) for report in reports] == [CheckFailed, AgentCheck]


async def test_set_password_raises_the_revision(registry: Registry) -> None:
    """A running service sees that it may try again."""
    await clusters.add(registry, _wanted(), PASSWORD)
    before = await clusters.find(registry, "prod")
    await clusters.set_password(registry, "prod", PASSWORD)
    assert (await clusters.find(registry, "prod")).revision > before.revision


async def test_edit_asks_only_when_the_way_changes(registry: Registry, fleet: Fleet) -> None:
    """Another channel needs no look at the agents; another address does."""
    await clusters.add(registry, _wanted(urls=URLS[:1]), PASSWORD)
    asked = len(fleet.asked)
    await clusters.edit(registry, "prod", {"channel": "C0123456789"})
    assert len(fleet.asked) == asked
    await clusters.edit(registry, "prod", {"urls": URLS})
    assert len(fleet.asked) > asked
    edited = (await clusters.find(registry, "prod")).registration
    assert (edited.channel, edited.urls) == ("C0123456789", URLS)


async def test_edit_does_not_send_a_refused_password(registry: Registry, fleet: Fleet) -> None:
    """Even at a new address a refused password is not tried."""
    await clusters.add(registry, _wanted(urls=URLS[:1]), "nonsense-9", check=False)
    await clusters.check(registry, "prod")
    with pytest.raises(PasswordRefused):
        await clusters.edit(registry, "prod", {"urls": URLS})
    assert fleet.logins == 1


async def test_unknown_name_shows_what_looks_alike(registry: Registry) -> None:
    """A slip of the finger is answered with the name that was meant."""
    await clusters.add(registry, _wanted(), PASSWORD)
    with pytest.raises(UnknownCluster) as caught:
        await clusters.find(registry, "prdo")
    assert caught.value.near == ("prod",)
