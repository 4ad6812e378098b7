"""The routes of a simulated agent: which handler answers what."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from bot.sandbox.agents import gate, join_api, list_api, ob_api, open_api, session_api, task_api
from bot.sandbox.agents.call import Call
from bot.sandbox.agents.faults import Fault, Moved
from bot.sandbox.agents.release import Feature, Release
from bot.sandbox.agents.request import Request
from bot.sandbox.agents.seals import OpenedHeader

if TYPE_CHECKING:
    from bot.sandbox.agents.agent import SimulatedAgent

PREFIX = "/api/v1"

Handler = Callable[["SimulatedAgent", Call], Any]
Verify = Callable[["SimulatedAgent", Request, OpenedHeader, datetime], None]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route; an open one needs no header, and one may be there only `since` some version."""

    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    handler: Handler
    open: bool = False
    verify: Verify = gate.verify
    since: Feature | None = None

    def is_offered(self, release: Release) -> bool:
        """Whether agents of that version have it."""
        return self.since is None or release.has(self.since)


def _route(methods: str, path: str, handler: Handler, **more: Any) -> Route:
    pattern = re.compile(re.escape(PREFIX + path).replace(r"\{id\}", "(?P<id>[^/]+)"))
    return Route(methods=tuple(methods.split()), pattern=pattern, handler=handler, **more)


ROUTES = (
    _route("GET", "/info", open_api.info, open=True),
    _route("GET POST", "/status", open_api.status, open=True),
    _route("GET", "/secret", open_api.secret, open=True),
    _route("GET", "/time", open_api.time, open=True),
    _route("GET", "/git-info", open_api.git_info, open=True),
    _route("POST", "/login", session_api.login, since=Feature.SESSIONS),
    _route("POST", "/logout", session_api.logout, since=Feature.SESSIONS),
    _route("POST", "/agent", join_api.join),
    _route(
        "POST",
        "/agent/password",
        session_api.set_password,
        verify=session_api.verify_for_password,
        since=Feature.AGENT_PASSWORD,
    ),
    _route("GET", "/ob/info", ob_api.info),
    _route("GET", "/task/dag/ob/unfinish", list_api.cluster_unfinished),
    _route("GET", "/task/dag/agent/unfinish", list_api.agent_unfinished),
    _route("GET", "/task/dag/unfinish", list_api.all_unfinished),
    _route("GET", "/task/dag/maintain/ob", list_api.cluster_maintenance),
    _route("GET", "/task/dag/maintain/agent", list_api.agent_maintenance),
    _route("GET", "/task/dag/maintain/agents", list_api.agents_maintenance),
    _route("GET", "/task/dag/agent/main_dags", list_api.main_dags, since=Feature.OVERVIEW),
    _route("GET", "/task/dags/ob", list_api.cluster_dags, since=Feature.OVERVIEW),
    _route("GET", "/task/dags/agent", list_api.agent_dags, since=Feature.OVERVIEW),
    _route("GET", "/task/dag/{id}", task_api.dag),
    _route("POST", "/task/dag/{id}", task_api.operate_dag),
    _route("GET", "/task/node/{id}", task_api.node),
    _route("POST", "/task/node/{id}", task_api.operate_node),
    _route("GET", "/task/sub_task/{id}", task_api.sub_task),
    _route("GET", "/task/sub_task/{id}/logs", task_api.sub_task_logs, since=Feature.OVERVIEW),
)


def find(method: str, path: str, release: Release) -> tuple[Route, dict[str, str]]:
    """Return the route of a path; raises `Moved` for a slash too many, `Fault` 404 for an unknown one."""
    found = _match(method, path, release)
    if found is not None:
        return found
    if path.endswith("/") and _match(method, path[:-1], release) is not None:
        raise Moved(path[:-1])
    raise Fault(404, "Common.NotFound", "Element not found: 404 not found")


def _match(method: str, path: str, release: Release) -> tuple[Route, dict[str, str]] | None:
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is not None and method in route.methods and route.is_offered(release):
            return route, match.groupdict()
    return None
