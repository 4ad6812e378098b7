"""One answer of a cluster, whole: all its unfinished DAGs against all that is remembered.

Absence proves nothing: a DAG that left the list is `missing` and must be looked up by id before anything is
said about it. And it is missing only from a list that was read: each agent has its own, beside the cluster's.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from bot.core.dag import DagSnapshot, Host
from bot.core.events import DagEvent, Digest, DigestLine, Discovered
from bot.core.ids import home
from bot.core.stall import Policy
from bot.core.tracked import Observation, Sight, TrackedDag
from bot.core.tracker import forget, found_finished, observe

DIGEST_ABOVE = 3


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the agents of a cluster said in one poll, with its circumstances as in `tracked.Sight`.

    `snapshots` are the lists of unfinished DAGs: the cluster's, if `cluster_read`, and those of the agents
    `homes`. `looked_up` are DAGs that had left a list, `gone` those that the agent proved not to know, with
    its words, `found` those that ended before any list was read.
    """

    cluster: str
    snapshots: tuple[DagSnapshot, ...]
    at: datetime
    agent_now: datetime | None = None
    first_poll: bool = False
    fresh: bool = True
    settling: bool = False
    cluster_read: bool = True
    homes: frozenset[Host] = frozenset()
    looked_up: tuple[DagSnapshot, ...] = ()
    gone: Mapping[str, str] = {}
    found: tuple[DagSnapshot, ...] = ()
    agent_url: str | None = None
    runbook: str | None = None

    def covers(self, dag_id: str) -> bool:
        """Return whether an unfinished DAG of this id would stand in the lists that were read."""
        keeper = home(dag_id)
        return self.cluster_read if keeper is None else keeper in self.homes

    def sight(self, snapshot: DagSnapshot, *, listed: bool, sub_dags: tuple[DagSnapshot, ...] = ()) -> Sight:
        """Return the look at one DAG."""
        return Sight(
            cluster=self.cluster,
            snapshot=snapshot,
            at=self.at,
            agent_now=self.agent_now,
            listed=listed,
            first_poll=self.first_poll,
            fresh=self.fresh,
            settling=self.settling,
            sub_dags=sub_dags,
            agent_url=self.agent_url,
            runbook=self.runbook,
        )


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer came to: an observation per DAG id, and the digest if there is one."""

    observations: dict[str, Observation]
    digest: Digest | None = None


def missing(tracked: Mapping[str, TrackedDag], answer: Answer) -> tuple[str, ...]:
    """Return the open DAGs that should stand in the lists that were read, and do not."""
    listed = {snapshot.id for snapshot in answer.snapshots}
    return tuple(i for i, dag in tracked.items() if i not in listed and not dag.closed and answer.covers(i))


def sweep(tracked: Mapping[str, TrackedDag], answer: Answer, policy: Policy) -> Sweep:
    """Observe every DAG of an answer."""
    own, sub_dags = fold(answer, tracked)

    def look(snapshot: DagSnapshot, *, listed: bool) -> Observation:
        sight = answer.sight(snapshot, listed=listed, sub_dags=sub_dags.get(snapshot.id, ()))
        return observe(tracked.get(snapshot.id), sight, policy)

    observations = {snapshot.id: look(snapshot, listed=True) for snapshot in own}
    observations |= {snapshot.id: look(snapshot, listed=False) for snapshot in answer.looked_up}
    observations |= {i: forget(tracked[i], answer.cluster, answer.at, why) for i, why in answer.gone.items()}
    observations |= {s.id: found_finished(answer.sight(s, listed=False)) for s in answer.found}
    discovered = [e for o in observations.values() for e in o.events if isinstance(e, Discovered)]
    if not answer.first_poll or len(discovered) <= DIGEST_ABOVE:
        return Sweep(observations=observations)
    return Sweep(
        observations={i: _without_discovery(o) for i, o in observations.items()},
        digest=_digest(answer, discovered),
    )


def fold(
    answer: Answer, tracked: Mapping[str, TrackedDag]
) -> tuple[tuple[DagSnapshot, ...], dict[str, tuple[DagSnapshot, ...]]]:
    """Return the DAGs that are told of their own, and the sub-DAGs by the main DAG that they work for.

    Sub-DAGs pause in FAILED by design, waiting for their main DAG: that one is judged, and while its list
    cannot be read, nobody. Only a sub-DAG that is left over from a main DAG nobody knows speaks for itself.
    """
    mains = tracked.keys() | {snapshot.id for snapshot in answer.snapshots}
    sub_dags: dict[str, tuple[DagSnapshot, ...]] = {}
    own = []
    for snapshot in answer.snapshots:
        main = snapshot.main_dag_id
        judged = main is not None and (main in mains or not answer.covers(main))
        if main is None or not judged or snapshot.id in tracked:
            own.append(snapshot)
        else:
            sub_dags[main] = (*sub_dags.get(main, ()), snapshot)
    return tuple(own), sub_dags


def forget_all(
    tracked: Mapping[str, TrackedDag], cluster: str, at: datetime, reason: str
) -> dict[str, Observation]:
    """Close all open DAGs of a cluster that was rebuilt."""
    return {i: forget(dag, cluster, at, reason) for i, dag in tracked.items() if not dag.closed}


def _without_discovery(observation: Observation) -> Observation:
    """Leave the discovery to the digest: the root message comes with the DAG's next event."""
    rest: tuple[DagEvent, ...] = tuple(e for e in observation.events if not isinstance(e, Discovered))
    return msgspec.structs.replace(observation, events=rest, changed=bool(rest))


def _digest(answer: Answer, discovered: list[Discovered]) -> Digest:
    lines = tuple(DigestLine(dag=e.dag, state=e.state, operator=e.operator) for e in discovered)
    return Digest(cluster=answer.cluster, episode=0, at=answer.at, lines=lines)
