"""The official Python SDK against the simulated agent, over real HTTP, for both sizes of keys."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.clock import system_clock
from bot.core.dag import Host
from bot.sandbox.agents.agent import SimulatedAgent, make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.keyring import demo_keys
from bot.sandbox.agents.scenarios import SCENARIOS
from bot.sandbox.agents.server import AgentServer

with warnings.catch_warnings():
    # The SDK is compiled at its first import, and its source has escape sequences that Python warns of.
    warnings.simplefilter("ignore")
    from obshell import ClientV1
    from obshell.auth.password import PasswordAuth, PasswordAuthMethodV2
    from obshell.service.client_v1 import OBShellHandleError

PASSWORD = "made-up-Pa55word"
HOSTS = [Host(f"10.0.0.{n}", 2886) for n in (1, 2, 3)]


class Lab:
    """An agent behind a port, and the SDK's client of it."""

    def __init__(self, agent: SimulatedAgent, server: AgentServer) -> None:
        self.agent = agent
        assert agent.cluster is not None
        self.cluster = agent.cluster
        self.port = urlsplit(server.url).port
        self.sdk = self.client(PASSWORD)

    def client(self, password: str) -> Any:
        """Return a new client of the SDK."""
        return ClientV1("127.0.0.1", self.port, PasswordAuth(password))

    def create(self, story: str) -> str:
        """Create the DAG of a story and return its id."""
        dag = self.cluster.create(SCENARIOS[story].on(HOSTS).plan, system_clock())
        return self.cluster.spell.generic_id(dag.id)

    async def until(self, dag_id: str, *states: str) -> Any:
        """Ask for a DAG until it is in one of these states."""
        async with asyncio.timeout(20):
            while True:
                dag = await asyncio.to_thread(self.sdk.get_dag, dag_id)
                if dag.state in states:
                    return dag

    async def operate(self, dag_id: str, operator: str) -> None:
        """Post an operator."""
        await asyncio.to_thread(self.sdk.operate_dag, dag_id, operator)


@pytest.fixture(params=[512, 1024])
async def lab(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    """Return an agent with keys of one size, a hundred times as fast as a real one."""
    now = system_clock()
    cluster = SimulatedCluster("prod", now, hosts=HOSTS, root_password=PASSWORD, tick_s=0.01)
    agent = make_agents(cluster, now, key_bits=request.param)[0]
    async with AgentServer(agent) as server:
        yield Lab(agent, server)


async def test_lists_reads_and_retries(lab: Lab) -> None:
    """A failed maintenance DAG is listed, retried, and succeeds."""
    dag_id = lab.create("upgrade")
    failed = await lab.until(dag_id, "FAILED")
    assert (failed.stage, failed.max_stage, len(failed.nodes)) == (3, 6, 6)
    listed = await asyncio.to_thread(lab.sdk.get_cluster_unfinished_dag)
    assert [dag.generic_id for dag in listed] == [dag_id]
    await lab.operate(dag_id, "RETRY")
    done = await lab.until(dag_id, "SUCCEED")
    assert done.operator == "RUN"


@pytest.mark.parametrize(
    ("operator", "state", "shown"), [("ROLLBACK", "SUCCEED", "ROLLBACK"), ("PASS", "SUCCEED", "PASS")]
)
async def test_rolls_back_and_passes(lab: Lab, operator: str, state: str, shown: str) -> None:
    """A failed DAG is undone, or skipped."""
    dag_id = lab.create("upgrade")
    await lab.until(dag_id, "FAILED")
    await lab.operate(dag_id, operator)
    assert (await lab.until(dag_id, state)).operator == shown


async def test_cancels(lab: Lab) -> None:
    """A running DAG is given up."""
    dag_id = lab.create("stall")
    await lab.until(dag_id, "RUNNING")
    await lab.operate(dag_id, "CANCEL")
    assert (await lab.until(dag_id, "FAILED")).operator == "CANCEL"


async def test_wrong_password(lab: Lab) -> None:
    """The real refusal of a wrong root password."""
    with pytest.raises(OBShellHandleError) as refused:
        await asyncio.to_thread(lab.client("wrong").get_cluster_unfinished_dag)
    assert refused.value.err_code == "Security.Authentication.IncorrectOceanbasePassword"


async def test_wrong_key(lab: Lab) -> None:
    """The real refusal of a header that another key sealed."""
    bits = 512 if lab.agent.key.public != demo_keys(512)[0].public else 1024
    other = next(key for key in demo_keys(bits) if key.public != lab.agent.key.public)
    await asyncio.to_thread(lab.sdk.get_cluster_unfinished_dag)
    method = lab.sdk._get_auth()._method  # noqa: SLF001 - the SDK has no way to give it a key
    method.pk = other.public
    method.reset = lambda: None
    with pytest.raises(OBShellHandleError) as refused:
        await asyncio.to_thread(lab.sdk.get_cluster_unfinished_dag)
    assert refused.value.err_code == "Security.Authentication.Header.DecryptFailed"


async def test_wrong_uri(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real refusal of a header that was sealed for another target."""
    seal = PasswordAuthMethodV2.encrypt_header

    def sealed_for_another(method: Any, members: dict[str, str]) -> Any:
        return seal(method, members | {"uri": "/api/v1/task/dag/ob/unfinish"})

    monkeypatch.setattr(PasswordAuthMethodV2, "encrypt_header", sealed_for_another)
    with pytest.raises(OBShellHandleError) as refused:
        await asyncio.to_thread(lab.sdk.get_cluster_unfinished_dag)
    assert refused.value.err_code == "Security.Authentication.Header.UriMismatch"


async def test_reads_logs_and_local_lists(lab: Lab) -> None:
    """Every kind of list of the SDK, empty ones included."""
    dag_id = lab.create("scale-out")
    dag = await lab.until(dag_id, "SUCCEED")
    assert [len(node.sub_tasks) for node in dag.nodes] == [1, 1, 1, 1, 1, 3, 1, 1, 1]
    assert "ADD SERVER" in dag.nodes[6].sub_tasks[0].task_logs[0]
    assert await asyncio.to_thread(lab.sdk.get_agent_unfinished_dag) == []
    node = await asyncio.to_thread(lab.sdk.get_node, dag.nodes[5].generic_id)
    assert node.name == "Prev check for scale_out"


async def test_refused_operator(lab: Lab) -> None:
    """The real refusal of a retry that makes no sense."""
    dag_id = lab.create("scale-out")
    await lab.until(dag_id, "SUCCEED")
    with pytest.raises(OBShellHandleError) as refused:
        await lab.operate(dag_id, "RETRY")
    assert refused.value.err_code == "Task.Dag.Operator.RetryNotFailedDag"
