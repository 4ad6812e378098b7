"""From a request to an answer: seals, routes, gate, handler, and the envelope around what comes out."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from bot.core.dag import Host
from bot.sandbox.agents import forwarding, gate, routes
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.dto import Json, encode, go_time
from bot.sandbox.agents.faults import OMITTED, Fault, Moved, Panic, Storm, UndecipheredFault
from bot.sandbox.agents.identities import FOLLOWER
from bot.sandbox.agents.languages import worded
from bot.sandbox.agents.old_errors import old_error
from bot.sandbox.agents.release import Feature
from bot.sandbox.agents.request import Request, Response
from bot.sandbox.agents.routes import PREFIX
from bot.sandbox.agents.seals import OpenedHeader, open_body, open_header

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

JSON = "application/json"
JSON_WITH_CHARSET = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
WEB_PAGE = b"<!doctype html><title>placeholder for the web page</title>\n"
STATUS_PATH = f"{PREFIX}/status"
GET = "GET"
STORM_S = 150.0
"""The recorded caller got no answer for so long, and then gave up (`dag-by-id-without-database`)."""


def answer(agent: "SimulatedAgent", request: Request, now: datetime) -> Response:
    """Return the answer to a client's request; errors are answers too."""
    if not request.path.startswith(PREFIX):
        return _outside(agent, request)
    return _answered(agent, request, lambda: _handle(agent, request, now))


def answer_agent(
    agent: "SimulatedAgent",
    request: Request,
    now: datetime,
    *,
    header: OpenedHeader | None,
    origin: Host | None,
) -> Response:
    """Return the answer to a request that another agent passed on, with its client's header or its own."""
    return _answered(agent, request, lambda: _serve(agent, request, now, header, origin))


def _answered(agent: "SimulatedAgent", request: Request, work: Callable[[], Any]) -> Response:
    trace = request.headers.get("x-obshell-trace-id") or agent.next_trace()
    if request.target == STATUS_PATH:
        trace = ""
    delay_s = 0.0
    try:
        data = work()
    except Moved as moved:
        return _moved(request, moved.location)
    except Panic as panic:
        return _panic(agent, panic)
    except UndecipheredFault as fault:
        return _fault(agent, request, fault, "", JSON_WITH_CHARSET)
    except Storm as storm:
        return _fault(agent, request, storm.fault, trace, JSON, delay_s=STORM_S)
    except Fault as fault:
        return _fault(agent, request, fault, trace, JSON)
    if isinstance(data, Response):
        return data
    envelope = _envelope(agent, request, 200, trace) | _member("data", data)
    return _json(200, envelope, JSON, delay_s=delay_s)


def _handle(agent: "SimulatedAgent", request: Request, now: datetime) -> Any:
    """Open what is sealed, find the handler, let it work; the order is that of the real middleware."""
    value = gate.sealed_value(request, agent.release)
    header = open_header(value, agent.key) if value is not None else None
    body = open_body(request.body, header.keys) if header is not None and request.body else request.body
    route, params = routes.find(request.method, request.path, agent.release)
    call = Call(request=request, id=params.get("id", ""), body=body, now=now)
    if not route.open:
        sealed = gate.check(request, header)
        call = call.with_keys(sealed.keys)
        if agent.identity == FOLLOWER and agent.release.has(Feature.FORWARDING):
            return forwarding.to_master(agent, call, sealed)
        route.verify(agent, request, sealed, now)
    return route.handler(agent, call)


def _serve(
    agent: "SimulatedAgent", request: Request, now: datetime, header: OpenedHeader | None, origin: Host | None
) -> Any:
    """Work for another agent: its body is plain already, and its own word is enough without a header."""
    route, params = routes.find(request.method, request.path, agent.release)
    if header is not None:
        route.verify(agent, request, header, now)
    call = Call(request=request, id=params.get("id", ""), body=request.body, now=now, origin=origin)
    return route.handler(agent, call)


def _envelope(agent: "SimulatedAgent", request: Request, status: int, trace: str) -> Json:
    zone = agent.spell.zone
    return {
        "successful": status < HTTPStatus.BAD_REQUEST,
        "timestamp": go_time(request.arrived, zone),
        "duration": 0,
        "status": status,
        "traceId": trace,
    }


def _fault(
    agent: "SimulatedAgent", request: Request, fault: Fault, trace: str, kind: str, *, delay_s: float = 0.0
) -> Response:
    status, error = _error(agent, request, fault)
    envelope = _envelope(agent, request, status, trace) | _member("data", fault.data)
    return _json(status, envelope | {"error": error}, kind, delay_s=delay_s)


def _error(agent: "SimulatedAgent", request: Request, fault: Fault) -> tuple[int, Json]:
    """Return status and error object as the agent's version tells them."""
    if not agent.release.has(Feature.ERROR_CODES):
        old = old_error(fault, request.path, agent.release)
        return old.status, {"code": old.code, "message": old.message}
    message = worded(fault.message, fault.error_code, request.headers.get("accept-language", ""))
    code = {"code": fault.code} if fault.code else {}
    return fault.status, {**code, "errCode": fault.error_code, "message": message}


def _panic(agent: "SimulatedAgent", panic: Panic) -> Response:
    """Return the answer that was made once, when the process started, with the time of that moment."""
    message = "Unexpected error: Internal Server Error"
    new = agent.release.has(Feature.ERROR_CODES)
    envelope: Json = {
        "successful": False,
        "timestamp": go_time(agent.process.started_at + agent.clock_offset, agent.spell.zone),
        "duration": 0,
        "status": 500,
        "traceId": "",
        "error": {"errCode": "Common.Unexpected", "message": message}
        if new
        else {"code": 1002, "message": message},
    }
    return _json(500, envelope, JSON_WITH_CHARSET if panic.in_body else JSON)


def _member(name: str, value: Any) -> Json:
    return {} if value is OMITTED else {name: value}


def _json(status: int, envelope: Json, kind: str, *, delay_s: float = 0.0) -> Response:
    headers = (("Content-Type", kind),)
    return Response(status=status, headers=headers, body=encode(envelope), delay_s=delay_s)


def _moved(request: Request, location: str) -> Response:
    """Return the redirect that gin sends for a slash too many."""
    page = f'<a href="{location}">Moved Permanently</a>.\n\n'.encode() if request.method == GET else b""
    status = 301 if request.method == GET else 307
    return Response(status=status, headers=(("Content-Type", HTML), ("Location", location)), body=page)


def _outside(agent: "SimulatedAgent", request: Request) -> Response:
    """Return what paths outside of the interface get: the web page, or a plain 404."""
    if PREFIX in request.path or not agent.release.has(Feature.OVERVIEW):
        return Response(status=404, headers=(("Content-Type", "text/plain"),), body=b"404 page not found")
    return Response(status=200, headers=(("Content-Type", HTML),), body=WEB_PAGE)
