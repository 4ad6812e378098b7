"""What an operator does at once, in one transaction; the engine's ticks do the rest.

The order of the checks and the words of the refusals are those of the recordings `not-allowed`,
`failed-then-retried`, `cancelled` and `node-passed`.
"""

from collections.abc import Iterable
from datetime import datetime

from bot.core.dag import Operator, State
from bot.sandbox.agents.engine import Engine
from bot.sandbox.agents.faults import Fault, operator_refused
from bot.sandbox.agents.rows import DONE, DagRow, NodeRow


def operate_dag(engine: Engine, dag: DagRow, word: str, now: datetime) -> None:
    """Do what an operator asks of a DAG; raises `Fault` when it is refused."""
    engine.advance(now)
    actions = {"RETRY": retry, "ROLLBACK": rollback, "CANCEL": cancel, "PASS": pass_dag}
    action = actions.get(word.upper())
    if action is None:
        raise operator_refused("Dag.Operator.NotSupport", f"Operator {word} is not supported")
    action(engine, dag, now)


def operate_node(engine: Engine, dag: DagRow, node: NodeRow, word: str, now: datetime) -> None:
    """Do what an operator asks of a node, which can only be passed; raises `Fault`."""
    engine.advance(now)
    if word.upper() != "PASS":
        raise operator_refused("Node.Operator.NotSupport", f"Operator {word} is not supported")
    pass_node(engine, dag, node, now)


def retry(engine: Engine, dag: DagRow, now: datetime) -> None:
    """Put a FAILED DAG back to READY; its failed stage will undo and repeat what failed."""
    _demand_failed(dag, "Retry", "Failed to set DAG retry: DAG state is not failed")
    node = dag.node
    if not node.plan.retryable:
        raise _not_allowed("Retry", "Failed to set DAG retry", node, "retry")
    engine.locks.take(dag)
    _restart(engine, dag, Operator.RUN, now)
    _reset(engine, dag, node, Operator.RETRY, now)


def rollback(engine: Engine, dag: DagRow, now: datetime) -> None:
    """Send a FAILED DAG backwards from its stage to the first."""
    _demand_failed(dag, "Rollback", "Failed to set DAG rollback: DAG state is not failed")
    behind = dag.nodes[: dag.stage]
    for node in behind:
        if not node.plan.rollbackable:
            raise _not_allowed("Rollback", "Failed to set DAG rollback", node, "rollback")
    engine.locks.take(dag)
    _restart(engine, dag, Operator.ROLLBACK, now)
    for node in behind:
        _reset(engine, dag, node, Operator.ROLLBACK, now)


def cancel(engine: Engine, dag: DagRow, now: datetime) -> None:
    """Give up a DAG that is under way."""
    if dag.state in DONE:
        raise operator_refused("Dag.Operator.CancelFinishedDag", "Failed to cancel DAG: DAG is finished")
    node = dag.node
    for candidate in _up_to(dag.nodes, node):
        if not candidate.plan.cancellable:
            raise _not_allowed("Cancel", "Failed to cancel DAG", candidate, "cancel")
    _restart(engine, dag, Operator.CANCEL, now)
    _reset(engine, dag, node, Operator.CANCEL, now)


def pass_dag(engine: Engine, dag: DagRow, now: datetime) -> None:
    """Skip the failed stage and everything behind it; final at once."""
    _demand_failed(dag, "Pass", "Failed to pass DAG: DAG is not failed")
    ahead = dag.nodes[dag.stage - 1 :]
    for node in ahead:
        if not node.plan.passable:
            raise _not_allowed("Pass", "Failed to pass DAG", node, "pass")
    for node in ahead:
        _skip(engine, dag, node, now)
    dag.ended_at, dag.finished = now, True
    engine.locks.release_by_name(dag)
    engine.store.set_dag(dag, State.SUCCEED, Operator.PASS, now)


def pass_node(engine: Engine, dag: DagRow, node: NodeRow, now: datetime) -> None:
    """Skip one failed stage; the DAG goes on behind it."""
    if dag.state is not State.FAILED:
        raise operator_refused("Node.Operator.PassNotFailedDag", "Failed to pass node: DAG is not failed")
    if node.state is not State.FAILED:
        message = f"Failed to pass node: node {node.name} is not failed"
        raise operator_refused("Node.Operator.PassNotFailedNode", message)
    if not node.plan.passable:
        message = f"Failed to pass node: node {node.name} cannot pass"
        raise operator_refused("Node.Operator.PassNotAllowed", message)
    engine.locks.take(dag)
    _skip(engine, dag, node, now)
    _restart(engine, dag, Operator.RUN, now)


def _demand_failed(dag: DagRow, kind: str, message: str) -> None:
    if dag.state is not State.FAILED:
        raise operator_refused(f"Dag.Operator.{kind}NotFailedDag", message)


def _not_allowed(kind: str, prefix: str, node: NodeRow, verb: str) -> Fault:
    message = f"{prefix}: node {node.name} cannot {verb}"
    return operator_refused(f"Dag.Operator.{kind}NotAllowed", message)


def _up_to(nodes: Iterable[NodeRow], last: NodeRow) -> list[NodeRow]:
    return [node for node in nodes if node.position <= last.position]


def _restart(engine: Engine, dag: DagRow, operator: Operator, now: datetime) -> None:
    dag.started_at = dag.ended_at = None
    dag.finished = False
    engine.store.set_dag(dag, State.READY, operator, now)


def _reset(engine: Engine, dag: DagRow, node: NodeRow, operator: Operator, now: datetime) -> None:
    node.started_at = node.ended_at = None
    engine.store.set_node(dag, node, State.PENDING, operator, now)


def _skip(engine: Engine, dag: DagRow, node: NodeRow, now: datetime) -> None:
    for sub in node.sub_tasks:
        if sub.state is not State.SUCCEED:
            sub.ended_at = now
            engine.executor.orphan(sub)
            engine.store.set_sub_task(dag, node, sub, State.SUCCEED, Operator.PASS, now)
    node.ended_at = now
    engine.store.set_node(dag, node, State.SUCCEED, Operator.PASS, now)
