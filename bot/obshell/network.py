"""What a failed connection means: every error of httpx and of the socket below it as an `AgentError`."""

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import TypeGuard

import httpx

from bot.obshell.errors import AgentError, Call, Protocol, TlsFailed, Unreachable

FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError, OSError)
"""All that httpx raises: its exceptions have no common base."""
CUT = ("disconnected", "peer closed", "closed connection")
"""How httpx tells a cut connection from an answer that is no HTTP: one class, two texts."""
NO_FAULT_OF_TLS = (
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    ssl.SSLZeroReturnError,
    ssl.SSLEOFError,
    ssl.SSLSyscallError,
)
"""How TLS says that it waits for the socket, or that the socket ended: found below any cut connection."""
SPOKEN = {
    errno.ECONNREFUSED: "connection refused: nothing listens there",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the network",
    errno.ETIMEDOUT: "no answer to the attempt to connect",
    errno.ECONNRESET: "the connection was cut",
    errno.EPIPE: "the connection was cut",
}


def explained(call: Call, error: Exception) -> AgentError:
    """Return our error for a failure below it."""
    causes = tuple(_causes(error))
    if tls := next((cause for cause in causes if _blames_tls(cause)), None):
        return TlsFailed(call, _tls(tls))
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Unreachable(call, "no answer in time")
    if _is_connection(error):
        return Unreachable(call, _connection(causes))
    return Protocol(call, f"not an HTTP answer: {type(error).__name__}")


def _blames_tls(error: BaseException) -> TypeGuard[ssl.SSLError]:
    return isinstance(error, ssl.SSLError) and not isinstance(error, NO_FAULT_OF_TLS)


def _is_connection(error: Exception) -> bool:
    if isinstance(error, httpx.RemoteProtocolError):
        return any(word in str(error).lower() for word in CUT)
    return isinstance(error, httpx.NetworkError | httpx.ProxyError | OSError)


def _connection(causes: tuple[BaseException, ...]) -> str:
    """Return why there is no connection, from the innermost error that knows."""
    systems = [
        cause for cause in causes if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError)
    ]
    if any(isinstance(cause, socket.gaierror) for cause in systems):
        return "the host name cannot be resolved"
    spoken = (SPOKEN.get(cause.errno or 0) or cause.strerror for cause in reversed(systems))
    return next((text for text in spoken if text), "the connection was cut")


def _tls(error: ssl.SSLError) -> str:
    """Return why TLS failed, with the remedy where the error knows it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    reason = (error.reason or "unknown reason").replace("_", " ").lower()
    if "wrong version number" in reason or "record layer failure" in reason:
        return "the agent does not speak TLS here: use http://"
    if "certificate required" in reason:
        return "the agent wants a client certificate"
    return f"TLS failed: {reason}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give the error and what it came from, outermost first, into groups of errors, too."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [cause for cause in (current.__cause__, current.__context__) if cause is not None]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
