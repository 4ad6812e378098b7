"""How a main DAG leads DAGs of its own on other agents: Start OB and Stop OB (the deeds of their stages).

A sub-DAG pauses by failing on purpose, is retried by its main DAG, pauses again in its last stage, and is
passed in the end. Order and log lines are those of obshell's source; recorded is `wait-operator`.
"""

from typing import TYPE_CHECKING

from bot.core.dag import Host, State
from bot.sandbox.agents import operators
from bot.sandbox.agents.deeds import Doing
from bot.sandbox.agents.faults import Fault
from bot.sandbox.agents.plans import DagPlan, Deed, error_line
from bot.sandbox.agents.rows import DagRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.sandbox.agents.agent import SimulatedAgent

MOST_LOOKS = 900


class SubDags:
    """The sub-DAGs of one main DAG, which the agent `via` runs; `planned` tells what one agent has to do."""

    def __init__(
        self,
        via: "SimulatedAgent",
        agents: "Sequence[SimulatedAgent]",
        planned: "Callable[[SimulatedAgent, str], DagPlan]",
    ) -> None:
        self._via, self._planned = via, planned
        self._agents = {agent.host: agent for agent in agents}
        self.rows: dict[Host, DagRow] = {}
        self._succeeded: set[Host] = set()
        self._looks = 0

    def create(self, host: Host) -> Deed:
        """Return the deed that creates the sub-DAG of one agent; that it cannot is told later."""

        def deed(doing: Doing) -> bool:
            doing.say(f"Inform {host} to create the task")
            agent = self._agents[host]
            if not agent.running:
                doing.say(error_line(f"dial tcp {host}: connect: connection refused"))
                return True
            try:
                row = agent.local.create(self._planned(agent, self._via.local_id(doing.dag.id)), doing.now)
            except Fault as fault:
                doing.say(f"ERROR: [{fault.error_code}]: {fault.message}")
                return True
            self.rows[host] = row
            doing.say(f"create task {agent.local_id(row.id)} successfully")
            doing.leave(sub_dags={str(host): agent.local_id(row.id)})
            return True

        return deed

    def make_sure_ready(self, doing: Doing) -> bool:
        """Wait until every sub-DAG pauses."""
        missing = [host for host in self._agents if host not in self.rows]
        if missing:
            self._pass_all(doing)
            raise _failed("NotAllCreated", missing, "not created, main DAG failed")
        self._looks += 1
        waiting = [host for host, row in self.rows.items() if row.state is not State.FAILED]
        if waiting and self._looks > MOST_LOOKS:
            self._pass_all(doing)
            raise _failed("NotAllReady", waiting, "not ready, cannot advance main DAG")
        for host in self.rows:
            doing.say(f"{host} is {'not ' if host in waiting else ''}ready")
        return not waiting

    def advance(self, doing: Doing) -> bool:
        """Let every sub-DAG go on."""
        for host in self.rows:
            doing.say(f"advance {host} to execute the task")
            self._operate(host, "RETRY", doing)
        return True

    def wait(self, host: Host) -> Deed:
        """Return the deed that waits until the sub-DAG of one agent pauses again, and copies its lines."""

        def deed(doing: Doing) -> bool:
            row = self.rows[host]
            if row.state is not State.FAILED:
                return False
            for node in row.nodes:
                for log in (log for sub in node.sub_tasks for log in sub.logs):
                    doing.say(f"{node.name}: {log.text}")
            if row.stage == len(row.nodes):
                doing.say(f"{self._agents[host].local_id(row.id)} succeed")
                self._succeeded.add(host)
            return True

        return deed

    def end(self, doing: Doing) -> bool:
        """Pass every sub-DAG; fail if any did not come to its last stage."""
        failed = [host for host in self._agents if host not in self._succeeded]
        for host in failed:
            doing.say(error_line(f"agent {host} not succeed"))
        if not failed:
            doing.say("Check the final result: SUCCEED!")
            doing.say("End all tasks")
        self._pass_all(doing)
        if failed:
            raise _failed("NotAllSucceed", failed, "failed, main DAG failed")
        return True

    def _pass_all(self, doing: Doing) -> None:
        for host in self.rows:
            self._operate(host, "PASS", doing)
            doing.say(f"{host} end the task")

    def _operate(self, host: Host, operator: str, doing: Doing) -> None:
        try:
            operators.operate_dag(self._agents[host].local, self.rows[host], operator, doing.now)
        except Fault as fault:
            doing.say(f"ERROR: [{fault.error_code}]: {fault.message}")


def _failed(kind: str, hosts: "Sequence[Host]", what: str) -> Fault:
    named = " ".join(str(host) for host in hosts)
    return Fault(500, f"Task.SubDag.{kind}", f"Sub DAG of agents: [{named}] {what}")
