"""What the id of a DAG says: which store it lives in.

The first digit is the store. `1` is the cluster's; `2` to `5` are those of agents (`2` and `4` with an IPv4,
`3` and `5` with an IPv6 address), with the agent's address and port in the digits behind it.
"""

from ipaddress import IPv4Address, IPv6Address

from bot.core.dag import Host

CLUSTER_STORE = "1"
_IPV4_DIGITS, _IPV6_DIGITS, _PORT_DIGITS = 10, 39, 5
_MAX_PORT = 65_535


def home(dag_id: str) -> Host | None:
    """Return the agent that keeps a DAG, or None when the cluster does (or the id says nothing)."""
    width = {"2": _IPV4_DIGITS, "4": _IPV4_DIGITS, "3": _IPV6_DIGITS, "5": _IPV6_DIGITS}.get(dag_id[:1])
    if width is None or len(dag_id) <= 1 + width + _PORT_DIGITS:
        return None
    address, port = int(dag_id[1 : 1 + width]), int(dag_id[1 + width : 1 + width + _PORT_DIGITS])
    kind = IPv4Address if width == _IPV4_DIGITS else IPv6Address
    if address.bit_length() > kind(0).max_prefixlen or port > _MAX_PORT:
        return None
    return Host(str(kind(address)), port)


def is_local(dag_id: str) -> bool:
    """Return whether an agent keeps the DAG, and not the cluster."""
    return not dag_id.startswith(CLUSTER_STORE)


def row(dag_id: str) -> int | None:
    """Return the row number of a DAG in the cluster's store, or None for one in an agent's."""
    return None if is_local(dag_id) or not dag_id[1:] else int(dag_id[1:])


def cluster_id(number: int) -> str:
    """Return the id of a DAG in the cluster's store by its row number."""
    return f"{CLUSTER_STORE}{number}"
