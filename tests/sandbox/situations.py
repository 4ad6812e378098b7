"""The script of every recording: what is asked and told is in it, what was done beside is here."""

from bot.core.dag import Maintenance
from bot.sandbox.agents.identities import SCALING_IN, SCALING_OUT, TAKE_OVER_FOLLOWER, TAKE_OVER_MASTER
from bot.sandbox.agents.plans import Work
from tests.sandbox.lab import Script
from tests.sandbox.scripts import (
    CANCELLED,
    GIVES_BACK,
    NO_OPERATOR,
    anywhere,
    become,
    become_master,
    burst,
    created,
    creations,
    late_line,
    local_dag,
    lose_database,
    lose_observer,
    overview_of,
    process_lives,
    quick,
    regain_database,
    regain_observer,
    root_password,
    start,
    stop,
    stop_master,
    unknown_type,
    wait_for_master,
    with_first_part,
)

LATE_S = 0.45
LONG = Work(lines=tuple(f"s{n}" for n in range(1, 11)), seconds=30.0)
BOUND = Work(lines=("b1", "b2"), seconds=8.0)
DONE = (("query-parameters", "11"),)
QUIET = Script()
LIFE = Script(late_s=LATE_S)

SCRIPTS = {
    "routes-without-auth": QUIET,
    "empty-lists": QUIET,
    "auth-header": QUIET,
    "auth-password": QUIET,
    "auth-agent-password": Script(agent_password="agent-pass", acts=((-9.0, local_dag),)),
    "bodies": QUIET,
    "bodies-existing-dag": Script(past=DONE),
    "query-parameters": QUIET,
    "ids": QUIET,
    "single-agent": QUIET,
    "single-agent-with-password": QUIET,
    "sessions": Script(acts=((1.1, stop(0)), (1.15, start(0)))),
    "password-changed": Script(
        acts=(
            (0.006, root_password("new-pass")),
            (0.03, root_password("lab-pass")),
        )
    ),
    "password-changed-while-agent-down": Script(
        acts=(
            (0.5, stop(0)),
            (0.6, root_password("new-pass")),
            (1.06, start(0)),
            (3.5, root_password("lab-pass")),
            (6.2, stop(0)),
            (6.4, start(0)),
        )
    ),
    "follower-agent": Script(acts=((-0.5, become_master), (0.3, stop_master))),
    "join-self": Script(late_s=LATE_S, requested=("22130706433031861",)),
    "join-to-master": Script(
        late_s=LATE_S, acts=((-0.5, wait_for_master),), requested=("22130706433032861",)
    ),
    "other-identities": Script(
        late_s=0.05,
        watched=False,
        acts=(
            (2.2, become(SCALING_OUT)),
            (3.5, become(SCALING_IN)),
            (4.8, become(TAKE_OVER_MASTER)),
            (6.0, become(TAKE_OVER_FOLLOWER)),
        ),
        maintainer=1,
    ),
    "additional-data": QUIET,
    "success": LIFE,
    "failed-then-retried": LIFE,
    "retried-fails-again": LIFE,
    "rolled-back": LIFE,
    "rollback-fails": LIFE,
    "retry-after-half-rollback": LIFE,
    "node-passed": LIFE,
    "vanishes-when-failed": LIFE,
    "not-allowed": Script(late_s=LATE_S, flags=NO_OPERATOR),
    "cancelled": Script(late_s=LATE_S, plans={"17": CANCELLED}, blind=((5.03, 10.54),)),
    "lock-given-back": Script(
        late_s=LATE_S,
        flags=GIVES_BACK,
        notes={
            0: creations(
                None,
                None,
                quick("Drop tenant", Maintenance.TENANT, "t2"),
                quick("Cluster scale in", Maintenance.GLOBAL),
            )
        },
    ),
    "pass-steals-lock": Script(
        late_s=LATE_S,
        flags=GIVES_BACK,
        notes={
            0: creations(None, quick("Drop tenant", Maintenance.TENANT, "t9")),
            1: creations(None),
        },
    ),
    "creation-answer": Script(late_s=LATE_S, notes={0: created("127"), 1: created("22130706433028862")}),
    "many-at-once": Script(late_s=LATE_S, plans=burst(), blind=((3.1, 9.0),)),
    "log-texts": LIFE,
    "log-line-too-long": Script(
        late_s=LATE_S,
        plans={
            "143": with_first_part(
                "log-line-too-long",
                "143",
                0,
                runs=(Work(lines=("before", "x" * 70000, "after"), seconds=1.5),),
            )
        },
    ),
    "late-error-line": LIFE,
    "error-line-and-state": LIFE,
    "wait-operator": LIFE,
    "timeout": Script(
        late_s=LATE_S,
        first_local_row=32,
        plans={
            "116": with_first_part(
                "timeout", "116", 0, runs=(Work(lines=("zzz",), seconds=9.0),), limit_s=2.0
            )
        },
    ),
    "panic": Script(
        late_s=LATE_S,
        first_local_row=33,
        plans={
            "117": with_first_part(
                "panic", "117", 0, runs=(Work(lines=("about to",), seconds=0.25, panics="lab panic"),)
            )
        },
    ),
    "foreign-local-operators": Script(late_s=LATE_S, acts=((8.5, stop(1)),), blind=((1.29, 4.79),)),
    "unknown-task-type": Script(
        late_s=LATE_S,
        acts=((2.48, unknown_type("142", "TaskOfAnotherVersion")), (2.63, unknown_type("142", None))),
        notes={0: overview_of("142")},
    ),
    "target-agent-down": Script(
        late_s=LATE_S, acts=((-0.3, stop(2)), (15.1, start(2))), blind=((11.98, 14.99),)
    ),
    "maintainer-restarts": Script(
        late_s=LATE_S,
        plans={
            "122": anywhere(
                with_first_part(
                    "maintainer-restarts", "122", 1, runs=(Work(lines=("b1", "b2"), seconds=4.0),)
                )
            )
        },
        acts=((4.05, stop(0)), (4.8, late_line("122", 2, "b1", 2.05)), (4.84, start(0))),
    ),
    "agent-restarts": Script(
        late_s=LATE_S,
        maintainer=1,
        phase_s=0.2,
        plans={"123": with_first_part("agent-restarts", "123", 0, resumable=False, runs=(BOUND,))},
        acts=((1.5, stop(0)), (1.606, start(0))),
    ),
    "agent-restarts-without-database": Script(
        late_s=LATE_S,
        maintainer=1,
        acts=((2.5, lose_database()), (4.1, stop(0)), (4.15, start(0)), (5.9, regain_database())),
        blind=((2.08, 4.12),),
    ),
    "own-observer-down": Script(
        late_s=0.3,
        maintainer=1,
        acts=((3.0, lose_observer()), (3.6, lose_observer(process_too=True)), (4.2, regain_observer)),
    ),
    "database-down": Script(
        late_s=0.3,
        maintainer=1,
        acts=(
            (3.15, lose_database()),
            (8.5, lose_database(observer_too=True)),
            (12.35, lose_database()),
            (12.6, regain_database(agent1=0.27, agent2=1.55)),
        ),
    ),
    "agent-never-comes-back": Script(
        late_s=LATE_S,
        maintainer=2,
        acts=((6.72, stop(1)),),
        plans={"145": with_first_part("agent-never-comes-back", "145", 0, runs=(LONG,))},
        notes={n: process_lives(1) for n in range(4)},
        blind=((2.69, 5.19),),
    ),
}

NOT_PLAYED = {
    "dag-by-id-without-database": (
        "while two agents called each other without end, what they answered changed from one moment to the "
        "next, as file descriptors became free and were used up; held against it in test_agent_storms.py"
    ),
}
"""Recordings that are not played, and why."""
