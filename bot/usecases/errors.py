"""What can be wrong with a person's request: one clear sentence each, with the remedy.

UsecaseError
├── UnknownCluster      no cluster of that name is registered
├── UnknownDag          obdag has never seen that DAG in that cluster
└── Invalid             the request itself makes no sense (a malformed name, a duplicate)
"""


class UsecaseError(Exception):
    """A request that cannot be done; `str()` is the sentence for the person who asked."""


class UnknownCluster(UsecaseError):
    """No cluster of that name; `near` look alike, `known` are all registered ones (at most 20)."""

    def __init__(self, name: str, *, near: tuple[str, ...] = (), known: tuple[str, ...] = ()) -> None:
        self.name, self.near, self.known = name, near, known
        if near:
            hint = f"Did you mean {' or '.join(near)}?"
        elif known:
            hint = f"Known clusters: {', '.join(known)}."
        else:
            hint = "No cluster is registered yet: obdag clusters add NAME URL"
        super().__init__(f"No cluster is called {name!r}. {hint}")


class UnknownDag(UsecaseError):
    """That DAG was never seen; `known` are the ids of the cluster's unfinished DAGs."""

    def __init__(self, cluster: str, dag_id: str, *, known: tuple[str, ...] = ()) -> None:
        self.cluster, self.dag_id, self.known = cluster, dag_id, known
        hint = f"Unfinished now: {', '.join(known)}." if known else "Nothing is unfinished there now."
        super().__init__(f"Cluster {cluster!r} has no DAG {dag_id!r} that obdag has seen. {hint}")


class Invalid(UsecaseError):
    """The request itself is wrong."""
