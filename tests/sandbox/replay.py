"""Plays a recorded situation on the simulated engine and lists what both show.

What a DAG is made of (names, hosts, how long each run took, what it wrote, whether it failed) is read from
the recording; what is compared are the rules: which states follow, in which tick, with which times, counts
and lines, and which lists hold the DAG.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bot.core.dag import Host, Maintenance
from bot.sandbox.agents.agent import make_agents
from bot.sandbox.agents.cluster import SimulatedCluster
from bot.sandbox.agents.dto import dag_dto
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work
from bot.sandbox.agents.rows import DagRow
from tests.sandbox.asking import HOSTS, NOW, PASSWORD, post

FOLDER = Path(__file__).parent.parent / "recordings"
ERROR = "ERROR: [Common.Unexpected]: Unexpected error: "
CANCELLED = "sub task cancelled"
STEP = timedelta(milliseconds=4)
"""Finer than the moment in which a dispatched sub-task is READY."""
LIST = "/api/v1/task/dag/ob/unfinish"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG at `at` seconds after its creation; `listed` is None where the view is not of the list."""

    at: float
    dag: dict[str, Any]


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What the recording and the engine showed, and what they answered to the same operators."""

    recorded: list[View]
    simulated: list[View]
    recorded_listed: list[tuple[float, bool]]
    simulated_listed: list[tuple[float, bool]]
    recorded_answers: list[tuple[int, dict[str, Any]]]
    simulated_answers: list[tuple[int, dict[str, Any]]]


def exchanges(situation: str) -> list[dict[str, Any]]:
    """Return the exchanges of a recording, notes left out."""
    text = (FOLDER / f"{situation}.json").read_text()
    return [e for e in json.loads(text)["exchanges"] if "status" in e]


def play(
    situation: str,
    *,
    flags: dict[str, bool] | None = None,
    plan: DagPlan | None = None,
    blind: tuple[float, float] = (0.0, 0.0),
) -> Played:
    """Play a situation; `flags` are those of all its stages, `plan` replaces what the recording suggests.

    Nobody watched before the first recorded view, nor in the seconds of `blind`: the engine's views of those
    times are left out.
    """
    asked = exchanges(situation)
    recorded = list(_views(asked))
    created = _time(recorded[0].dag["end_time"])
    dag_id = recorded[0].dag["id"]
    offset = float(asked[0]["t"]) - recorded[0].at
    made = plan or _plan([view.dag for view in recorded], flags or {})
    cluster, dag = _create(made, first_tick=_first_tick(recorded, created))
    agent = cluster.agents[0]
    names = _names(recorded[0].dag, dag)
    simulated, simulated_listed, answers = [], [], []
    posts = [e for e in asked if e["method"] == "POST"]
    for due in [*posts, None]:
        until = (due["t"] - offset) if due else recorded[-1].at + 0.2
        for view, listed in _watch(cluster, dag, until):
            simulated.append(view)
            simulated_listed.append((view.at, listed))
        if due is not None:
            now = NOW + timedelta(seconds=until)
            answer = post(agent, _translated(due["target"], names), due["request_body"], now)
            answers.append((answer.status, answer.error))
    return Played(
        recorded=recorded,
        simulated=[
            *[view for view in _from(simulated, recorded[0].at) if view.at < blind[0]],
            *_from(simulated, max(blind[1], recorded[0].at)),
        ],
        recorded_listed=list(_listed(asked, dag_id, offset)),
        simulated_listed=simulated_listed,
        recorded_answers=[(e["status"], e["body"].get("error") or {}) for e in posts],
        simulated_answers=answers,
    )


def _from(views: list[View], at: float) -> list[View]:
    """Return the view that stood at that moment and all later ones."""
    return [view for view in views if view.at <= at][-1:] + [view for view in views if view.at > at]


def _views(asked: list[dict[str, Any]]) -> Iterator[View]:
    """Give the detailed views by id, timed from the creation of the DAG by the requests' own clock.

    Until a DAG ends for the first time, its end is the instant of its creation.
    """
    first: float | None = None
    for exchange in asked:
        data = (exchange.get("body") or {}).get("data")
        if not isinstance(data, dict) or not data.get("nodes") or "/task/dag/1" not in exchange["target"]:
            continue
        if first is None:
            answered = _time(exchange["body"]["timestamp"])
            first = float(exchange["t"]) - (answered - _time(data["end_time"])).total_seconds()
        yield View(at=float(exchange["t"]) - first, dag=data)


def _listed(asked: list[dict[str, Any]], dag_id: str, offset: float) -> Iterator[tuple[float, bool]]:
    for exchange in asked:
        if exchange["target"].startswith(LIST):
            ids = {dag["id"] for dag in exchange["body"]["data"]["contents"]}
            yield float(exchange["t"]) - offset, dag_id in ids


def _time(text: str) -> datetime:
    head, _, tail = text.partition(".")
    return datetime.fromisoformat(f"{head}.{tail[:-6][:6]:0<6}{tail[-6:]}" if tail else text)


def _first_tick(recorded: list[View], created: datetime) -> float:
    started = next(v.dag["start_time"] for v in recorded if v.dag["state"] == "RUNNING")
    return (_time(started) - created).total_seconds()


def _plan(views: list[dict[str, Any]], flags: dict[str, bool]) -> DagPlan:
    first = views[0]
    stages = tuple(
        StagePlan(
            name=node["name"],
            parts=tuple(
                _part([view["nodes"][n]["sub_tasks"][m] for view in views])
                for m in range(len(node["sub_tasks"]))
            ),
            **flags,
        )
        for n, node in enumerate(first["nodes"])
    )
    kind = Maintenance(first["maintenance_type"])
    return DagPlan(name=first["name"], stages=stages, maintenance=kind, key=first["maintenance_key"])


def _part(views: list[dict[str, Any]]) -> PartPlan:
    """Read the runs and undos of a sub-task from its views; a dispatch never seen is a quick quiet one."""
    works: dict[str, list[Work]] = {"RUN": [], "ROLLBACK": []}
    known = 0
    ended = [view for view in views if view["state"] in {"SUCCEED", "FAILED"} and view["operator"] != "PASS"]
    for attempt in sorted({view["execute_times"] for view in ended}):
        last = [view for view in ended if view["execute_times"] == attempt][-1]
        works[last["operator"]].append(_work(last, known))
        known = len(last["task_logs"])
    agent = views[0]["execute_agent"]
    undos = tuple(works["ROLLBACK"]) or (Work(seconds=0.0),)
    host = Host(agent["ip"], agent["port"])
    return PartPlan(host=host, runs=tuple(works["RUN"]) or (Work(),), undos=undos)


def _work(view: dict[str, Any], known: int) -> Work:
    lines = view["task_logs"][known:]
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    seconds = (_time(view["end_time"]) - _time(view["start_time"])).total_seconds()
    told = tuple(line for line in lines if not line.startswith(ERROR))
    return Work(lines=told, seconds=seconds, error=errors[0] if errors else None)


def _create(plan: DagPlan, *, first_tick: float) -> tuple[SimulatedCluster, DagRow]:
    """Create the DAG at `NOW` in a cluster whose next tick is `first_tick` seconds later."""
    born = NOW + timedelta(seconds=first_tick - 1)
    cluster = SimulatedCluster("lab", born, hosts=HOSTS, root_password=PASSWORD)
    make_agents(cluster, born)
    return cluster, cluster.create(plan, NOW)


def _names(recorded: dict[str, Any], dag: DagRow) -> dict[str, str]:
    """Return the simulated id for each recorded one, by kind and id: rows count from one in every store."""
    nodes = {
        f"node/{theirs['id']}": f"node/1{ours.id}"
        for theirs, ours in zip(recorded["nodes"], dag.nodes, strict=True)
    }
    return {f"dag/{recorded['id']}": f"dag/1{dag.id}", **nodes}


def _translated(target: str, names: dict[str, str]) -> str:
    head, kind, name = target.rsplit("/", 2)
    return f"{head}/{names[f'{kind}/{name}']}"


def _watch(cluster: SimulatedCluster, dag: DagRow, until: float) -> Iterator[tuple[View, bool]]:
    """Give each changed view until so many seconds after the creation, and whether the list holds it."""
    seen = -1
    now = NOW + timedelta(seconds=max(0.0, _elapsed(cluster)))
    while now <= NOW + timedelta(seconds=until):
        cluster.tick(now)
        if len(cluster.history) != seen:
            seen = len(cluster.history)
            view = json.loads(json.dumps(dag_dto(dag, cluster.spell, details=True)))
            listed = dag in cluster.engine.store.unfinished()
            yield View(at=(now - NOW).total_seconds(), dag=view), listed
        now += STEP


def _elapsed(cluster: SimulatedCluster) -> float:
    return (cluster.history[-1].at - NOW).total_seconds()
