"""The routes of a simulated agent: which handler answers what."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from bot.sandbox.agents import open_api, task_api
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.faults import Fault, Moved

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

PREFIX = "/api/v1"

Handler = Callable[["SimulatedAgent", Call], Any]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route; an open one needs no header."""

    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    handler: Handler
    open: bool = False


def _route(methods: str, path: str, handler: Handler, *, is_open: bool = False) -> Route:
    pattern = re.compile(re.escape(PREFIX + path).replace(r"\{id\}", "(?P<id>[^/]+)"))
    return Route(methods=tuple(methods.split()), pattern=pattern, handler=handler, open=is_open)


ROUTES = (
    _route("GET", "/info", open_api.info, is_open=True),
    _route("GET POST", "/status", open_api.status, is_open=True),
    _route("GET", "/secret", open_api.secret, is_open=True),
    _route("GET", "/time", open_api.time, is_open=True),
    _route("GET", "/git-info", open_api.git_info, is_open=True),
    _route("GET", "/task/dag/ob/unfinish", task_api.cluster_unfinished),
    _route("GET", "/task/dag/agent/unfinish", task_api.agent_unfinished),
    _route("GET", "/task/dag/unfinish", task_api.all_unfinished),
    _route("GET", "/task/dag/maintain/ob", task_api.cluster_maintenance),
    _route("GET", "/task/dag/maintain/agent", task_api.agent_maintenance),
    _route("GET", "/task/dag/maintain/agents", task_api.agents_maintenance),
    _route("GET", "/task/dag/agent/main_dags", task_api.main_dags),
    _route("GET", "/task/dags/ob", task_api.cluster_dags),
    _route("GET", "/task/dags/agent", task_api.agent_dags),
    _route("GET", "/task/dag/{id}", task_api.dag),
    _route("POST", "/task/dag/{id}", task_api.operate_dag),
    _route("GET", "/task/node/{id}", task_api.node),
    _route("POST", "/task/node/{id}", task_api.operate_node),
    _route("GET", "/task/sub_task/{id}", task_api.sub_task),
    _route("GET", "/task/sub_task/{id}/logs", task_api.sub_task_logs),
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a path; raises `Moved` for a slash too many, `Fault` 404 for an unknown one."""
    found = _match(method, path)
    if found is not None:
        return found
    if path.endswith("/") and _match(method, path[:-1]) is not None:
        raise Moved(path[:-1])
    raise Fault(404, "Common.NotFound", "Element not found: 404 not found")


def _match(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is not None and method in route.methods:
            return route, match.groupdict()
    return None
