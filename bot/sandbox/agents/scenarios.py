"""Stories of simulated DAGs, as data: what runs, where it breaks, and what a person does about it.

Names of DAGs and stages are those of the product, so that what is shown looks like the real thing; the log
lines are made up, each with its host, so that any of them can be recognised in a message.
"""

from collections.abc import Sequence

import msgspec

from bot.core.dag import Host, Maintenance, State
from bot.sandbox.agents.plans import DagPlan, PartPlan, StagePlan, Work


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What a person does: `after_s` seconds after the DAG came into `state`, at most `times` times.

    `operator` is RETRY, ROLLBACK, CANCEL or PASS; None lets hung work go on.
    """

    state: State
    after_s: float
    operator: str | None
    times: int = 1


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG and the acts that belong to it."""

    plan: DagPlan
    acts: tuple[Act, ...] = ()

    def on(self, hosts: Sequence[Host]) -> "Scenario":
        """Return the same story on these hosts, whose number may be smaller than that of the parts."""
        stages = tuple(
            msgspec.structs.replace(stage, parts=_spread(stage.parts, hosts)) for stage in self.plan.stages
        )
        return msgspec.structs.replace(self, plan=msgspec.structs.replace(self.plan, stages=stages))


def _spread(parts: tuple[PartPlan, ...], hosts: Sequence[Host]) -> tuple[PartPlan, ...]:
    return tuple(
        msgspec.structs.replace(
            part,
            host=hosts[n % len(hosts)],
            runs=tuple(_named(run, hosts[n % len(hosts)]) for run in part.runs),
            undos=tuple(_named(undo, hosts[n % len(hosts)]) for undo in part.undos),
        )
        for n, part in enumerate(parts)
    )


def _named(work: Work, host: Host) -> Work:
    return msgspec.structs.replace(work, lines=tuple(line.format(host=host) for line in work.lines))


def _stage(name: str, *lines: str, seconds: float = 1.5, parts: int = 1) -> StagePlan:
    work = Work(lines=tuple(f"{line} ({{host}})" for line in lines), seconds=seconds)
    return StagePlan(name=name, parts=(PartPlan(runs=(work,)),) * parts)


def _breaking(stage: StagePlan, error: str, part: int = 0) -> StagePlan:
    """Let the first run of one part fail; its retry does what was planned."""
    good = stage.parts[part]
    undo = Work(lines=("clean up after the failed attempt ({host})",), seconds=0.2)
    broken = msgspec.structs.replace(good.runs[0], error=error)
    bad = msgspec.structs.replace(good, runs=(broken, *good.runs), undos=(undo,))
    parts = tuple(bad if n == part else p for n, p in enumerate(stage.parts))
    return msgspec.structs.replace(stage, parts=parts)


def _hanging(stage: StagePlan) -> StagePlan:
    part = stage.parts[0]
    stuck = msgspec.structs.replace(part.runs[0], hangs=True)
    return msgspec.structs.replace(stage, parts=(msgspec.structs.replace(part, runs=(stuck,)),))


SCALE_OUT = DagPlan(
    name="Cluster scale out",
    maintenance=Maintenance.GLOBAL,
    stages=(
        _stage("Integrate server config", "merge the configuration of the new server"),
        _stage("Create local scale out dag", "create local scale out dag success"),
        _stage("Wait scale out ready", "the new agent is ready to start"),
        _stage(
            "Wait remote deploy finish", "create directories", "write observer configuration", seconds=2.5
        ),
        _stage("Wait remote start finish", "start observer", "observer accepts connections", seconds=2.5),
        _stage("Prev check for scale_out", "check clock difference", "check free disk space", parts=3),
        _stage("Add server for scale_out", "execute: ALTER SYSTEM ADD SERVER"),
        _stage("Add agent for scale_out", "add the agent to the cluster's list"),
        _stage("Check cluster scale_out whether finished", "the new server is ACTIVE", seconds=2.5),
    ),
)

UPGRADE = DagPlan(
    name="Upgrade obshell 4.5.0.0-12026050812",
    maintenance=Maintenance.GLOBAL,
    stages=(
        _stage("Create upgrade dir", "create the upgrade directory", parts=3),
        _stage("Download all required packages", "download obshell-4.5.0.0", parts=3),
        _breaking(
            _stage("Check all required packages", "compute the checksum of obshell-4.5.0.0", parts=3),
            "checksum of obshell-4.5.0.0 does not match",
            part=1,
        ),
        _stage("Unpack all required packages", "unpack obshell-4.5.0.0", parts=3),
        _stage("Install new obshell", "replace the binary", parts=3),
        _stage("Restart obshell", "restart, wait for the port", parts=3),
    ),
)

CREATE_TENANT = DagPlan(
    name="Create tenant orders",
    maintenance=Maintenance.TENANT,
    key="orders",
    stages=(
        _stage("Create tenant", "create resource pool", "create tenant orders"),
        _hanging(_stage("Set tenant time zone", "set time_zone of tenant orders")),
        _stage("Set tenant variables", "set ob_query_timeout of tenant orders"),
    ),
)

BACKUP = DagPlan(
    name="Obcluster start full backup",
    stages=(
        _stage("Check destination", "the destination is writable", parts=3),
        _stage("Open archive log", "archive log mode is on"),
        _stage("Start backup", "backup job started"),
        _stage("Wait backup Finish", "backup set 1 is complete", seconds=8.0),
    ),
)


def _failing(plan: DagPlan, stage: int, error: str) -> DagPlan:
    stages = tuple(_breaking(s, error) if n == stage else s for n, s in enumerate(plan.stages, start=1))
    return msgspec.structs.replace(plan, stages=stages)


SCENARIOS: dict[str, Scenario] = {
    "scale-out": Scenario(plan=SCALE_OUT),
    "upgrade": Scenario(plan=UPGRADE, acts=(Act(state=State.FAILED, after_s=8, operator="RETRY"),)),
    "stall": Scenario(plan=CREATE_TENANT, acts=(Act(state=State.RUNNING, after_s=20, operator=None),)),
    "backup": Scenario(plan=BACKUP),
    "backup-fails": Scenario(plan=_failing(BACKUP, 3, "the destination is full")),
    "rollback": Scenario(
        plan=_failing(SCALE_OUT, 4, "no space left on /data"),
        acts=(Act(state=State.FAILED, after_s=8, operator="ROLLBACK"),),
    ),
    "cancel": Scenario(
        plan=BACKUP,
        acts=(Act(state=State.RUNNING, after_s=9, operator="CANCEL"),),
    ),
    "pass": Scenario(
        plan=_failing(SCALE_OUT, 6, "the clocks differ by 3 s"),
        acts=(Act(state=State.FAILED, after_s=8, operator="PASS"),),
    ),
}
"""By the name that `simulate --dag` takes."""
