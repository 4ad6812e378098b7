"""Start OB and Stop OB: a main DAG in the store of the agent that was asked, and a sub-DAG on every agent.

Names, stages and flags are those of the product; the main DAG vanishes from all lists when it fails.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from bot.core.dag import Host, Maintenance
from bot.sandbox.agents.database import Database
from bot.sandbox.agents.deeds import Doing
from bot.sandbox.agents.plans import DagPlan, Deed, PartPlan, StagePlan, Work
from bot.sandbox.agents.rows import DagRow
from bot.sandbox.agents.sub_dags import SubDags

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent
    from bot.sandbox.agents.cluster import SimulatedCluster

QUICK_S = 0.05
PREPARATIONS = StagePlan(
    name="Start preparations",
    parts=(
        PartPlan(
            runs=(
                Work(lines=("wait for notification to start task",), seconds=QUICK_S, pauses=True),
                Work(lines=("start to execute the task",), seconds=QUICK_S),
            )
        ),
    ),
    rollbackable=False,
)
END = StagePlan(
    name="Wait for task to end",
    parts=(PartPlan(runs=(Work(seconds=QUICK_S, pauses=True),)),),
    retryable=False,
    rollbackable=False,
)
ENDING = "Inform all agents to end the task"


def start_ob(
    cluster: "SimulatedCluster",
    via: "SimulatedAgent",
    now: datetime,
    *,
    seconds: float = 3.0,
    failing: Mapping[Host, str] | None = None,
) -> DagRow:
    """Begin to start the observers of all agents, asked of one of them; returns the main DAG.

    An observer takes so many `seconds` to start; those of `failing` agents do not, with these errors.
    """
    errors = failing or {}

    def planned(agent: "SimulatedAgent", main: str) -> DagPlan:
        started = _sets_observer(cluster, agent, Database.UP)
        work = Work(lines=("start observer",), seconds=seconds, error=errors.get(agent.host), deed=started)
        steps = (
            _step(
                "Check ob process and config", Work(lines=("check observer process config",), seconds=QUICK_S)
            ),
            _step("Start observer", work),
            _step("Execute start observer sql", Work(seconds=QUICK_S)),
        )
        return _sub_dag("Start observer", main, steps)

    agents = tuple(cluster.agents)
    subs = SubDags(via, agents, planned)
    return _main(cluster, via, "Start OB", "Inform all agents to start observer", subs, agents, now)


def stop_ob(
    cluster: "SimulatedCluster",
    via: "SimulatedAgent",
    now: datetime,
    *,
    seconds: float = 2.0,
    failing: Mapping[Host, str] | None = None,
) -> DagRow:
    """Begin to stop the observers of all agents, asked of one of them; returns the main DAG."""
    errors = failing or {}

    def planned(agent: "SimulatedAgent", main: str) -> DagPlan:
        stopped = _sets_observer(cluster, agent, Database.GONE)
        work = Work(lines=("stop observer",), seconds=seconds, error=errors.get(agent.host), deed=stopped)
        return _sub_dag("Stop observer", main, (_step("Stop observer", work),))

    agents = tuple(cluster.agents)
    subs = SubDags(via, agents, planned)
    return _main(cluster, via, "Stop OB", "Inform all agents to prepare to stop observer", subs, agents, now)


def _main(
    cluster: "SimulatedCluster",
    via: "SimulatedAgent",
    name: str,
    inform: str,
    subs: SubDags,
    agents: Sequence["SimulatedAgent"],
    now: datetime,
) -> DagRow:
    hosts = [agent.host for agent in agents]
    stages = (
        _stage(inform, tuple(_part(subs.create(host), host) for host in hosts)),
        _stage("Make sure all agents are ready", (_part(subs.make_sure_ready, via.host),)),
        _stage("Advance agents to execute the task", (_part(subs.advance, via.host),)),
        _stage(
            "Wait for all agents to execute tasks successfully",
            tuple(_part(subs.wait(host), host, "Wait for task to succeed") for host in hosts),
        ),
        _stage(ENDING, (_part(subs.end, via.host),)),
    )
    cluster.tick(now)
    return via.local.create(DagPlan(name=name, stages=stages), now)


def _part(deed: Deed, host: Host, *lines: str) -> PartPlan:
    return PartPlan(host=host, runs=(Work(lines=lines, seconds=QUICK_S, deed=deed),), resumable=bool(lines))


def _stage(name: str, parts: tuple[PartPlan, ...]) -> StagePlan:
    """Return a stage of a main DAG, which can only be cancelled."""
    return StagePlan(name=name, parts=parts, retryable=False, rollbackable=False, passable=False)


def _sub_dag(name: str, main: str, steps: tuple[StagePlan, ...]) -> DagPlan:
    """Return a sub-DAG, which tells from the start what its main DAG is."""
    (part,) = PREPARATIONS.parts
    told = PartPlan(runs=part.runs, data={"main_dag_id": main})
    first = StagePlan(name=PREPARATIONS.name, parts=(told,), rollbackable=False)
    stages = (first, *steps, END)
    return DagPlan(name=name, stages=stages, maintenance=Maintenance.GLOBAL, main=main)


def _step(name: str, work: Work) -> StagePlan:
    return StagePlan(name=name, parts=(PartPlan(runs=(work,)),), retryable=False, rollbackable=False)


def _sets_observer(cluster: "SimulatedCluster", agent: "SimulatedAgent", database: Database) -> Deed:
    def deed(doing: Doing) -> bool:
        if agent.link is not None:
            agent.link.set_observer(database)
        cluster.settle_observers(doing.now)
        return True

    return deed
