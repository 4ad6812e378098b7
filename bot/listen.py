"""An address to listen on, as `OBDAG_HTTP` gives it."""

from typing import NamedTuple

MAX_PORT = 65535


class Listen(NamedTuple):
    """Where the HTTP listener binds; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`, with the brackets that an IPv6 address needs."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen(value: str | Listen | None) -> Listen | None:
    """Return the address in `host:port` or `[v6]:port`; None for no listener; raises ValueError."""
    if isinstance(value, Listen):
        return value
    if not value:
        return None
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
        raise ValueError("must be HOST:PORT with a port up to 65535, or empty for no listener")
    return Listen(host, int(port))
