"""The address of an agent as people write it."""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORT = 2886
LAST_PORT = 65535
SCHEMES = ("http", "https")
HOST_LENGTH = 253
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
EXAMPLE = "write it as http://HOST:2886 or https://HOST:2886"


class AgentUrl(NamedTuple):
    """Where an agent listens; `host` is without the brackets of an IPv6 address."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_agent_url(text: str) -> AgentUrl:
    """Read an agent's URL; raises `ValueError` with one sentence for people, which repeats no password."""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"an agent's URL must be plain ASCII without blanks: {EXAMPLE}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its text repeats the URL, which may hold a password
        raise ValueError(f"the agent's URL has no valid host or port (1 to {LAST_PORT}): {EXAMPLE}") from None
    _refuse_extras(parts)
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"the agent's URL has no valid port (1 to {LAST_PORT}): {EXAMPLE}")
    return AgentUrl(parts.scheme, _host(parts), port or DEFAULT_PORT)


def _refuse_extras(parts: SplitResult) -> None:
    if parts.scheme not in SCHEMES:
        raise ValueError(f"an agent's URL begins with http:// or https://: {EXAMPLE}")
    if "@" in parts.netloc:
        raise ValueError("an agent's URL must not hold a user or password: give the password separately")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"an agent's URL ends with its port, without path or query: {EXAMPLE}")


def _host(parts: SplitResult) -> str:
    """Return the host in small letters: an IPv4 or IPv6 address or a name."""
    host = parts.hostname or ""
    if "%" in host:
        raise ValueError(f"the agent's URL must not name a network interface: {EXAMPLE}")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        labels = host.removesuffix(".").split(".")
        numeric = labels[-1].isdecimal()
        if numeric or len(host) > HOST_LENGTH or not all(map(LABEL.fullmatch, labels)):
            raise ValueError(f"the agent's URL has no valid host: {EXAMPLE}") from None
        return host
