"""One HTTP connection to one agent: a request out, an answer of bounded size back."""

import ssl
from http import HTTPStatus

import httpx

from bot import __version__
from bot.obshell import wire
from bot.obshell.auth import Ask
from bot.obshell.decoding import Malformed
from bot.obshell.errors import Call, Protocol, TooBig
from bot.obshell.network import FAILURES, explained
from bot.obshell.url import AgentUrl

KEEP_ALIVE_S = 120.0
LIMITS = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE_S)
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"obdag/{__version__}",
}
"""No compression: a limit of size means what it says only for bytes that arrive as they are."""
PLAIN = ("", "identity")
TLS_ONLY = b"HTTP request to an HTTPS server"


class Connection:
    """Keeps one connection to an agent; agents answer HTTP/1.1, and no proxy of the environment is used."""

    def __init__(
        self,
        url: AgentUrl,
        *,
        tls: ssl.SSLContext | None,
        transport: httpx.AsyncBaseTransport | None,
        max_bytes: int,
    ) -> None:
        self._max_bytes = max_bytes
        self._http = httpx.AsyncClient(
            base_url=str(url),
            headers=HEADERS,
            verify=tls or _default_tls(url),
            transport=transport,
            timeout=None,  # noqa: S113 - the limit of time is around the whole call
            trust_env=False,
            follow_redirects=False,
            limits=LIMITS,
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def get(self, call: Call, ask: Ask, max_bytes: int | None = None) -> wire.Answer:
        """Ask, and read the wrapping of the answer; raises `Unreachable` or `Protocol`."""
        headers = dict([ask.header]) if ask.header else {}
        try:
            async with self._http.stream("GET", ask.target, headers=headers) as response:
                body = await _body(call, response, max_bytes or self._max_bytes)
        except FAILURES as error:
            raise explained(call, error) from error
        _refuse_redirect(call, response)
        try:
            return wire.answer(response.status_code, body)
        except Malformed as error:
            raise Protocol(call, _foreign(response, body, error), status=response.status_code) from error


async def _body(call: Call, response: httpx.Response, max_bytes: int) -> bytes:
    """Read the body, but no more of it than the limit allows."""
    if response.headers.get("Content-Encoding", "") not in PLAIN:
        raise Protocol(call, "a compressed answer, which was not asked for", status=response.status_code)
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise TooBig(call, f"an answer of more than {max_bytes} bytes", status=response.status_code)
    return bytes(body)


def _default_tls(url: AgentUrl) -> ssl.SSLContext:
    """Return a context with the system's authorities; for plain HTTP a cheap one that trusts nobody."""
    if url.scheme == "https":
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _refuse_redirect(call: Call, response: httpx.Response) -> None:
    if response.has_redirect_location:
        target = response.headers["Location"]
        raise Protocol(call, f"redirected to {target}, which is not followed", status=response.status_code)


def _foreign(response: httpx.Response, body: bytes, error: Malformed) -> str:
    """Return what an answer is that is not an agent's, with the remedy where it is known."""
    if response.status_code == HTTPStatus.BAD_REQUEST and TLS_ONLY in body:
        return "the agent speaks only TLS here: use https://"
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if kind == "application/json":
        return str(error)
    return f"not an OBShell agent's answer but {kind or 'something without a type'}: is the address right?"
