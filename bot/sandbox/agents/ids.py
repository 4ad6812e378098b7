"""Generic ids: the digit strings by which agents name DAGs, nodes and sub-tasks.

`1` + row for a cluster's store; `2` (IPv4) or `3` (IPv6) + address + port + row for an agent's own, `4` and
`5` likewise for obproxy tasks. The words of the refusals are those of the recording `ids`.
"""

import ipaddress

import msgspec

from bot.core.dag import Host
from bot.sandbox.agents.faults import Fault

PORT_DIGITS = 5
ADDRESS_DIGITS = {"2": 10, "4": 10, "3": 39, "5": 39}
CLUSTER = "1"
LARGEST_ROW = 2**63 - 1


class GenericId(msgspec.Struct, frozen=True):
    """A decoded id; `host` is the agent whose store it is in, None for the cluster's."""

    row: int
    host: Host | None = None
    obproxy: bool = False


def cluster_id(row: int) -> str:
    """Return the id of a row of a cluster's store."""
    return f"{CLUSTER}{row}"


def local_id(host: Host, row: int) -> str:
    """Return the id of a row of an agent's own store."""
    address = ipaddress.ip_address(host.ip)
    prefix = "2" if isinstance(address, ipaddress.IPv4Address) else "3"
    return f"{prefix}{int(address):0{ADDRESS_DIGITS[prefix]}d}{host.port:0{PORT_DIGITS}d}{row}"


def decode(text: str) -> GenericId:
    """Return what an id names; raises `Fault` 400 with the agent's words."""
    prefix, rest = text[:1], text[1:]
    if prefix == CLUSTER:
        return GenericId(_row(text, rest))
    digits = ADDRESS_DIGITS.get(prefix)
    if digits is None:
        raise _invalid(text, "invalid generic id")
    address, port, row = rest[:digits], rest[digits : digits + PORT_DIGITS], rest[digits + PORT_DIGITS :]
    number = _row(text, row)
    host = Host(_address(text, address), int(port))
    return GenericId(number, host, prefix in "45")


def _row(text: str, digits: str) -> int:
    if not digits:
        raise _invalid(text)
    if not (digits.isascii() and digits.isdigit()):
        raise _invalid(text, f'strconv.ParseInt: parsing "{digits}": invalid syntax')
    if int(digits) > LARGEST_ROW:
        raise _invalid(text, f'strconv.ParseInt: parsing "{digits}": value out of range')
    return int(digits)


def _address(text: str, digits: str) -> str:
    """Return the address of an id; the agent cannot read one that begins with a zero byte."""
    if not digits.isdigit():
        raise _invalid(text, "convert id to ip failed")
    size = 4 if len(digits) == ADDRESS_DIGITS["2"] else 16
    number = int(digits)
    if number >> 8 * size or not number >> 8 * (size - 1):
        raise _invalid(text, "convert id to ip failed")
    return str(ipaddress.ip_address(number.to_bytes(size, "big")))


def _invalid(text: str, cause: str = "") -> Fault:
    message = f"Invalid ID: {text}: {cause}" if cause else f"Invalid ID: {text}"
    return Fault(400, "Task.GenericID.Invalid", message)
