"""Making clients: from a cluster's registered texts to an `AgentClient` with the right TLS."""

import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import httpx

from bot.clock import Clock
from bot.obshell.auth import User
from bot.obshell.client import AgentClient
from bot.obshell.url import parse_agent_url


class BadTlsFiles(ValueError):
    """A certificate or key file cannot be used; the text names the file."""


class TlsFiles(NamedTuple):
    """How the agents of a cluster are trusted; all unset: the authorities of the system."""

    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    insecure: bool = False


def connect(
    url: str,
    *,
    user: str,
    password: Callable[[], str],
    clock: Clock,
    tls: TlsFiles | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AgentClient:
    """Return a client; raises ValueError for a malformed URL and `BadTlsFiles`. Nothing is sent yet."""
    parsed = parse_agent_url(url)
    context = tls_context(tls or TlsFiles()) if parsed.scheme == "https" else None
    return AgentClient(
        parsed, password=password, clock=clock, user=User(user), tls=context, transport=transport
    )


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the TLS context of these files, shared until one of them changes; raises `BadTlsFiles`.

    A context costs 20 ms and most of a megabyte, too much for one per agent.
    """
    if (files.client_cert is None) != (files.client_key is None):
        raise BadTlsFiles("a client certificate and its key are given together or not at all")
    return _context(files, tuple(_stamp(name) for name in files[:3] if name))


@lru_cache(maxsize=64)
def _context(files: TlsFiles, stamps: tuple[int, ...]) -> ssl.SSLContext:
    del stamps
    try:
        context = ssl.create_default_context(cafile=files.ca_file)
    except ssl.SSLError as error:
        raise BadTlsFiles(f"{files.ca_file} holds no certificate authority in PEM form") from error
    if files.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files.client_cert and files.client_key:
        try:
            context.load_cert_chain(files.client_cert, files.client_key, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise BadTlsFiles(
                f"{files.client_cert} and {files.client_key} are no certificate and key in PEM form that "
                "belong together (a key with a passphrase cannot be used)"
            ) from error
    return context


def _no_password() -> str:
    """Stand in for OpenSSL's own question at the terminal."""
    raise ValueError("the key has a passphrase")


def _stamp(name: str) -> int:
    try:
        with Path(name).open("rb"):
            return Path(name).stat().st_mtime_ns
    except OSError as error:
        raise BadTlsFiles(f"cannot read {name}: {error.strerror}") from error
