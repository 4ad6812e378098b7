"""From a request to an answer: seals, routes, gate, handler, and the envelope around what comes out."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.sandbox.agents import gate, routes
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.dto import Json, encode, go_time
from bot.sandbox.agents.faults import OMITTED, Fault, Moved, Panic, UndecipheredFault
from bot.sandbox.agents.request import Request, Response
from bot.sandbox.agents.routes import PREFIX, Route
from bot.sandbox.agents.seals import OpenedHeader, open_body, open_header

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

JSON = "application/json"
JSON_WITH_CHARSET = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
WEB_PAGE = b"<!doctype html><title>placeholder for the web page</title>\n"
STATUS_PATH = f"{PREFIX}/status"
GET = "GET"


def answer(agent: "SimulatedAgent", request: Request, now: datetime, trace: str) -> Response:
    """Return the answer to a request; errors are answers too."""
    if not request.path.startswith(PREFIX):
        return _outside(request)
    trace = request.headers.get("x-obshell-trace-id", trace)
    if request.target == STATUS_PATH:
        trace = ""
    try:
        data = _handle(agent, request, now)
    except Moved as moved:
        return _moved(request, moved.location)
    except Panic as panic:
        return _panic(agent, panic)
    except UndecipheredFault as fault:
        return _fault(agent, request, fault, "", JSON_WITH_CHARSET)
    except Fault as fault:
        return _fault(agent, request, fault, trace, JSON)
    return _json(200, _envelope(agent, request, 200, trace) | _member("data", data), JSON)


def _handle(agent: "SimulatedAgent", request: Request, now: datetime) -> Any:
    """Open what is sealed, find the handler, let it work; the order is that of the real middleware."""
    value = gate.sealed_value(request)
    header = open_header(value, agent.key) if value is not None else None
    body = open_body(request.body, header.keys) if header is not None and request.body else request.body
    route, params = routes.find(request.method, request.path)
    _check(agent, route, request, header)
    return route.handler(agent, Call(request=request, id=params.get("id", ""), body=body, now=now))


def _check(agent: "SimulatedAgent", route: Route, request: Request, header: OpenedHeader | None) -> None:
    if not route.open:
        gate.verify(agent, request, header)


def _envelope(agent: "SimulatedAgent", request: Request, status: int, trace: str) -> Json:
    zone = agent.spell.zone
    return {
        "successful": status < 400,  # noqa: PLR2004 - HTTP's first error
        "timestamp": go_time(request.arrived, zone),
        "duration": 0,
        "status": status,
        "traceId": trace,
    }


def _fault(agent: "SimulatedAgent", request: Request, fault: Fault, trace: str, kind: str) -> Response:
    error: Json = {"code": fault.code} if fault.code else {}
    error |= {"errCode": fault.error_code, "message": fault.message}
    envelope = _envelope(agent, request, fault.status, trace) | _member("data", fault.data)
    return _json(fault.status, envelope | {"error": error}, kind)


def _panic(agent: "SimulatedAgent", panic: Panic) -> Response:
    """Return the answer that was made once, when the process started, with the time of that moment."""
    envelope: Json = {
        "successful": False,
        "timestamp": go_time(agent.started_at + agent.clock_offset, agent.spell.zone),
        "duration": 0,
        "status": 500,
        "traceId": "",
        "error": {"errCode": "Common.Unexpected", "message": "Unexpected error: Internal Server Error"},
    }
    return _json(500, envelope, JSON_WITH_CHARSET if panic.in_body else JSON)


def _member(name: str, value: Any) -> Json:
    return {} if value is OMITTED else {name: value}


def _json(status: int, envelope: Json, kind: str) -> Response:
    return Response(status=status, headers=(("Content-Type", kind),), body=encode(envelope))


def _moved(request: Request, location: str) -> Response:
    """Return the redirect that gin sends for a slash too many."""
    page = f'<a href="{location}">Moved Permanently</a>.\n\n'.encode() if request.method == GET else b""
    status = 301 if request.method == GET else 307
    return Response(status=status, headers=(("Content-Type", HTML), ("Location", location)), body=page)


def _outside(request: Request) -> Response:
    """Return what paths outside of the interface get: the web page, or a plain 404."""
    if PREFIX in request.path:
        return Response(status=404, headers=(("Content-Type", "text/plain"),), body=b"404 page not found")
    return Response(status=200, headers=(("Content-Type", HTML),), body=WEB_PAGE)
