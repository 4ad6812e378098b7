"""What was done to the recorded agents beside the requests, by situation; times are seconds as recorded."""

from datetime import datetime, timedelta

import msgspec

from bot.core.dag import Maintenance
from bot.sandbox.agents.dto import created_dto
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from tests.sandbox import recorded
from tests.sandbox.asking import HOSTS
from tests.sandbox.lab import ALONE, Act, Lab, Note
from tests.sandbox.recorded import Json

LATE_S = 0.45
NO_OPERATOR = {"retryable": False, "rollbackable": False, "cancellable": False, "passable": False}
GIVES_BACK = {"releases_lock": True}


# --- acts ------------------------------------------------------------------------------------------------


def stop(number: int) -> Act:
    """End the process of one of the three agents."""
    return lambda lab, now: lab.cluster.agents[number].stop(now)


def start(number: int) -> Act:
    """Start it again."""
    return lambda lab, now: lab.cluster.agents[number].start(now)


def become(identity: str) -> Act:
    """Give the third agent an identity and start it again."""

    def act(lab: Lab, now: datetime) -> None:
        agent = lab.cluster.agents[2]
        agent.become(identity)
        agent.restart(now)

    return act


def root_password(password: str) -> Act:
    """Change root's password in the database."""
    return lambda lab, _: lab.cluster.change_root_password(password)


def lose_database(*, observer_too: bool = False) -> Act:
    """Take the database from all."""
    return lambda lab, now: lab.cluster.lose_database(now, observer_too=observer_too)


def regain_database(**lags: float) -> Act:
    """Bring it back; some agents, by `agentN`, write what they missed so many seconds later."""
    late = {HOSTS[int(name[-1]) - 1]: timedelta(seconds=lag) for name, lag in lags.items()}
    return lambda lab, now: lab.cluster.regain_database(now, late)


def lose_observer(*, process_too: bool = False) -> Act:
    """Take the observer of the first agent."""
    return lambda lab, now: lab.cluster.lose_observer(lab.cluster.agents[0], now, process_too=process_too)


def regain_observer(lab: Lab, now: datetime) -> None:
    """Bring it back."""
    lab.cluster.regain_observer(lab.cluster.agents[0], now)


def become_master(lab: Lab, _: datetime) -> None:
    """Let the first of the single agents be a MASTER from the start, with the other one as its FOLLOWER."""
    master, follower = (lab.agents[host] for host in ALONE)
    master.become("MASTER")
    follower.become("FOLLOWER", master=master.host)


def wait_for_master(lab: Lab, _: datetime) -> None:
    """Let the first of the single agents be a MASTER from the start."""
    lab.agents[ALONE[0]].become("MASTER")


def stop_master(lab: Lab, now: datetime) -> None:
    """End the MASTER's process."""
    lab.agents[ALONE[0]].stop(now)


def local_dag(lab: Lab, now: datetime) -> None:
    """Run a DAG in the own store of the first agent."""
    lab.cluster.agents[0].local.create(quick("Local", Maintenance.NONE), now)


def unknown_type(dag_id: str, name: str | None) -> Act:
    """Let the row of a DAG name a task type that no agent knows, or no more."""

    def act(lab: Lab, _: datetime) -> None:
        lab.dag(dag_id).unknown_type = name

    return act


def late_line(dag_id: str, stage: int, text: str, ticks: float) -> Act:
    """Let a line of a DAG's stage be stored late."""
    return lambda lab, _: lab.cluster.delay_line(lab.dag(dag_id), stage, text, ticks)


# --- notes -----------------------------------------------------------------------------------------------


def creations(*plans: DagPlan | None) -> Note:
    """Create DAGs, None for those that the lab creates by itself; errors must be the recorded ones."""

    def note(lab: Lab, entry: Json, now: datetime) -> None:
        for plan, error in zip(plans, entry["errors"], strict=True):
            if plan is not None:
                assert _refusal(lab, plan, now) == error

    return note


def _refusal(lab: Lab, plan: DagPlan, now: datetime) -> str | None:
    try:
        lab.cluster.create(plan, now)
    except Fault as fault:
        return f"[{fault.error_code}]: {fault.message}"
    return None


def process_lives(number: int) -> Note:
    """Start an agent whose process must end at once."""

    def note(lab: Lab, entry: Json, now: datetime) -> None:
        lab.cluster.agents[number].start(now)
        assert [lab.cluster.agents[number].running] == entry["errors"]

    return note


def created(dag_id: str) -> Note:
    """Hold the answer of the creation itself against the recorded one."""

    def note(lab: Lab, entry: Json, _: datetime) -> None:
        spell = lab.cluster.spell if dag_id.startswith("1") else lab.cluster.agents[0].spell
        ours = created_dto(lab.dag(dag_id), spell)
        assert list(ours) == list(entry["dag"])
        timeless = {"start_time", "end_time"} if dag_id.startswith("2") else set()
        assert {k: ours[k] for k in ours if k not in timeless} == {
            k: v for k, v in entry["dag"].items() if k not in timeless
        }

    return note


def overview_of(dag_id: str) -> Note:
    """Look whether a DAG is in the list of all, with details and without."""

    def note(lab: Lab, entry: Json, now: datetime) -> None:
        told = []
        for query in ("", "?show_details=false"):
            exchange = {
                "agent": str(HOSTS[0]),
                "target": f"/api/v1/task/dags/ob{query}",
                "auth": "root",
            }
            ids = [dag["id"] for dag in lab.look(exchange, now).data["contents"]]
            told.append(dag_id in ids)
        assert told == entry["errors"]

    return note


# --- DAGs whose views do not tell all --------------------------------------------------------------------


def _long(host: int) -> PartPlan:
    """Return the long work of `cancelled`, whose end was not recorded: a line every three seconds."""
    work = Work(lines=tuple(f"step {n}" for n in range(1, 11)), seconds=30.0)
    return PartPlan(host=HOSTS[host], runs=(work,))


CANCELLED = DagPlan(
    name="Long one",
    maintenance=Maintenance.GLOBAL,
    stages=(
        StagePlan(name="Quick", parts=(PartPlan(host=HOSTS[0], runs=(Work(seconds=0.1),)),)),
        StagePlan(name="Slow", parts=(_long(0), _long(1))),
        StagePlan(name="Never", parts=(PartPlan(host=HOSTS[0]),)),
    ),
)


def quick(name: str, maintenance: Maintenance, key: str = "") -> DagPlan:
    """Return a DAG of one stage."""
    return DagPlan(name=name, stages=(StagePlan(name="A"),), maintenance=maintenance, key=key)


def anywhere(plan: DagPlan) -> DagPlan:
    """Return the same plan for whoever coordinates."""
    stages = tuple(
        msgspec.structs.replace(
            stage, parts=tuple(msgspec.structs.replace(part, host=None) for part in stage.parts)
        )
        for stage in plan.stages
    )
    return msgspec.structs.replace(plan, stages=stages)


def burst() -> dict[str, DagPlan]:
    """Return the thirty DAGs of `many-at-once`: each takes as long as the last, the only one seen to end."""
    told = recorded.views("many-at-once")
    last = recorded.plan_of([view.dag for view in told["175"]]).stages[0].parts[0].runs[0].seconds
    return {
        dag_id: with_first_part("many-at-once", dag_id, 0, runs=(Work(lines=(f"line {n}",), seconds=last),))
        for n, dag_id in enumerate(told)
    }


def with_first_part(situation: str, dag_id: str, stage: int, **changes: object) -> DagPlan:
    """Return the plan that the views of a DAG suggest, with the first part of a stage (from 0) changed."""
    plan = recorded.plan_of([view.dag for view in recorded.views(situation)[dag_id]])
    part = msgspec.structs.replace(plan.stages[stage].parts[0], **changes)
    node = msgspec.structs.replace(plan.stages[stage], parts=(part, *plan.stages[stage].parts[1:]))
    stages = (*plan.stages[:stage], node, *plan.stages[stage + 1 :])
    return msgspec.structs.replace(plan, stages=stages)
