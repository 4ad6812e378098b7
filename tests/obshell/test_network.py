"""Real sockets on the loopback, and every exception of httpx."""

import asyncio
import errno
import inspect
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import trustme

from bot.obshell.client import AgentClient
from bot.obshell.errors import AgentError, Call, Protocol, TlsFailed, Unreachable
from bot.obshell.network import FAILURES, explained
from bot.obshell.url import AgentUrl
from tests.obshell.helpers import NOW, Clock

CALL = Call("http://10.0.0.1:2886", "GET /api/v1/info")
BODY = b'{"successful":true,"data":"2026-05-09T10:00:00+08:00"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def sends(data: bytes) -> Handler:
    """Return a server that says this to each request and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            writer.write(data)

    return handle


async def hangs_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing."""


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Give the port of a server on the loopback."""
    over: list[asyncio.Event] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over.append(done := asyncio.Event())
        with suppress(OSError):
            await handler(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    for done in over:
        await asyncio.wait_for(done.wait(), 5)


async def asked(port: int, scheme: str = "http", tls: ssl.SSLContext | None = None) -> object:
    """Return what an agent at that port says the time is."""
    url = AgentUrl(scheme, "127.0.0.1", port)
    async with AgentClient(url, password=str, clock=Clock(), tls=tls, timeout_s=5) as client:
        return await client.time()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return an authority that signs certificates."""
    return trustme.CA()


def server_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Return the server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return a client's side that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_an_answer_over_plain_http() -> None:
    """The whole way, once."""
    async with served(sends(ANSWER)) as port:
        assert await asked(port) == NOW


async def test_nobody_listens() -> None:
    """The error says so, in words."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable, match="connection refused: nothing listens there"):
        await asked(port)


@pytest.mark.parametrize(
    "handler", [hangs_up, sends(b""), sends(ANSWER[:-5])], ids=["at once", "later", "midway"]
)
async def test_a_cut_connection(handler: Handler) -> None:
    """Cut before, instead of or amid the answer: there is none."""
    async with served(handler) as port:
        with pytest.raises(Unreachable, match="the connection was cut"):
            await asked(port)


async def test_something_else_listens() -> None:
    """What speaks no HTTP is no agent."""
    async with served(sends(b"220 mail.example.com ESMTP\r\n\r\n")) as port:
        with pytest.raises(Protocol, match="not an HTTP answer"):
            await asked(port)


async def test_tls_with_a_known_authority(authority: trustme.CA) -> None:
    """The certificate is checked against the given authority."""
    async with served(sends(ANSWER), server_tls(authority)) as port:
        assert await asked(port, "https", client_tls(authority)) == NOW


async def test_tls_with_an_unknown_authority(authority: trustme.CA) -> None:
    """Without a context the system's authorities decide."""
    async with served(sends(ANSWER), server_tls(authority)) as port:
        with pytest.raises(TlsFailed, match="the certificate is not trusted: unable to get local issuer"):
            await asked(port, "https")


async def test_tls_for_another_name(authority: trustme.CA) -> None:
    """The error says what the certificate is not valid for."""
    async with served(sends(ANSWER), server_tls(authority, "other.example")) as port:
        with pytest.raises(TlsFailed, match=r"not valid for '127\.0\.0\.1'"):
            await asked(port, "https", client_tls(authority))


async def test_tls_where_there_is_none(authority: trustme.CA) -> None:
    """A plain agent under https:// gets the remedy."""
    async with served(sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        with pytest.raises(TlsFailed, match="the agent does not speak TLS here: use http://"):
            await asked(port, "https", client_tls(authority))


async def test_a_cut_tls_connection_is_no_fault_of_tls(authority: trustme.CA) -> None:
    """An agent that dies amid an answer is unreachable, not misconfigured."""
    async with served(sends(ANSWER[:-5]), server_tls(authority)) as port:
        with pytest.raises(Unreachable, match="the connection was cut") as caught:
            await asked(port, "https", client_tls(authority))
    assert type(caught.value) is Unreachable


def shake_hands(listener: socket.socket, tls: ssl.SSLContext) -> None:
    """Shake hands with one client and leave, as a server that tells why it refuses (asyncio's does not)."""
    connection, _ = listener.accept()
    with connection, suppress(ssl.SSLError):
        tls.wrap_socket(connection, server_side=True).close()


async def test_a_client_certificate_is_wanted(authority: trustme.CA) -> None:
    """Without it there is no handshake (TLS 1.2, where the refusal comes before our request)."""
    wants = server_tls(authority)
    wants.verify_mode, wants.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
    authority.configure_trust(wants)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shaking = asyncio.create_task(asyncio.to_thread(shake_hands, listener, wants))
        with pytest.raises(TlsFailed, match="handshake failure"):
            await asked(listener.getsockname()[1], "https", client_tls(authority))
        await shaking


async def test_a_client_certificate_is_given(authority: trustme.CA) -> None:
    """The context that the caller passes holds it."""
    wants, ours = server_tls(authority), client_tls(authority)
    wants.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(wants)
    authority.issue_cert("client@example.com").configure_cert(ours)
    async with served(sends(ANSWER), wants) as port:
        assert await asked(port, "https", ours) == NOW


def test_a_wanted_client_certificate_is_named() -> None:
    """TLS 1.3 tells it after the handshake, in place of the answer."""
    alert = ssl.SSLError(1, "alert")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    explanation = explained(CALL, because(httpx.ReadError("x"), alert))
    assert isinstance(explanation, TlsFailed)
    assert explanation.message == "the agent wants a client certificate"


def because(error: Exception, cause: Exception) -> Exception:
    """Return an error with its cause."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            because(httpx.ConnectError("x"), socket.gaierror(socket.EAI_NONAME, "unknown")),
            "the host name cannot be resolved",
        ),
        (because(httpx.ConnectError("x"), OSError(errno.EHOSTUNREACH, "x")), "no route to the host"),
        (because(httpx.ConnectError("x"), OSError(errno.EADDRNOTAVAIL, "Cannot assign")), "Cannot assign"),
        (
            because(httpx.ConnectError("x"), ExceptionGroup("all", [OSError(errno.ECONNREFUSED, "x")])),
            "connection refused",
        ),
        (httpx.ReadTimeout("x"), "no answer in time"),
        (httpx.ReadError(""), "the connection was cut"),
        (because(httpx.ConnectError("x"), ssl.SSLEOFError(8, "EOF")), "the connection was cut"),
        (TimeoutError(), "no answer in time"),
    ],
)
def test_the_innermost_cause_is_told(error: Exception, text: str) -> None:
    """People read why, not which library noticed."""
    explanation = explained(CALL, error)
    assert type(explanation) is Unreachable
    assert text in str(explanation)


def test_a_circle_of_causes_ends() -> None:
    """Errors may name each other as their cause."""
    first, second = httpx.ReadError("a"), OSError(errno.EPIPE, "b")
    first.__cause__, second.__context__ = second, first
    assert isinstance(explained(CALL, first), Unreachable)


HTTPX_ERRORS = [kind for _, kind in inspect.getmembers(httpx, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", HTTPX_ERRORS)
def test_every_exception_of_httpx_has_a_place(kind: type[Exception]) -> None:
    """None escapes as it is: all are caught, and all become ours."""
    assert issubclass(kind, FAILURES)
    error = kind.__new__(kind)
    assert isinstance(explained(CALL, error), AgentError)


def test_the_walk_over_httpx_found_its_exceptions() -> None:
    """The list is not empty by mistake."""
    assert {httpx.ConnectTimeout, httpx.InvalidURL, httpx.StreamConsumed, httpx.DecodingError} <= set(
        HTTPX_ERRORS
    )
