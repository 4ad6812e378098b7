"""`views.*`: modals, opened with a trigger id, and home views."""

from datetime import datetime
from typing import Any

import msgspec

from bot.sandbox.messages import Json
from bot.sandbox.team import Team, View, ViewsChanged
from bot.sandbox.validate import validate_view
from bot.sandbox.webapi.answers import Refusal, ok, refuse
from bot.sandbox.webapi.params import decoded, word
from bot.sandbox.webapi.triggers import Triggers
from bot.sandbox.webapi.wire import view_json

MOST_STACKED = 3


def _view(team: Team, params: Json, *, kind: str) -> Json:
    """Return the `view` of a call, or refuse it."""
    view: Any = decoded(params, "view", error="invalid_arguments")
    if not isinstance(view, dict) or view.get("type") != kind:
        message = f"[ERROR] missing or wrong view, a {kind} is needed [json-pointer:/view]"
        raise Refusal("invalid_arguments", response_metadata={"messages": [message]})
    refuse(validate_view(view))
    taken = {v.body.get("external_id") for stack in team.views.values() for v in stack} - {None, ""}
    if view.get("external_id") in taken and word(params, "external_id") != view["external_id"]:
        raise Refusal("duplicate_external_id")
    return view


def new_view(team: Team, user: str, body: Json, under: View | None = None) -> View:
    """Return a view with ids of its own, above `under` in its stack."""
    view_id = team.serial("V")
    return View(
        id=view_id,
        user=user,
        body=body,
        hash=team.serial("H"),
        root_id=under.root_id if under else view_id,
        previous_id=under.id if under else None,
    )


def open_modal(team: Team, triggers: Triggers, params: Json, now: datetime) -> Json:
    """`views.open`: a modal for the person whose action gave the trigger id."""
    body = _view(team, params, kind="modal")
    view = new_view(team, triggers.spend(word(params, "trigger_id"), now), body)
    return _stacked(team, view, [view])


def push(team: Team, triggers: Triggers, params: Json, now: datetime) -> Json:
    """`views.push`: a modal on top of the open one; at most three."""
    body = _view(team, params, kind="modal")
    user = triggers.spend(word(params, "trigger_id"), now)
    stack = team.views.get(user, [])
    if not stack:
        raise Refusal("not_found")
    if len(stack) >= MOST_STACKED:
        raise Refusal("push_limit_reached")
    view = new_view(team, user, body, stack[-1])
    return _stacked(team, view, [*stack, view])


def _stacked(team: Team, view: View, stack: list[View]) -> Json:
    team.views[view.user] = stack
    team.publish(ViewsChanged(view.user))
    return ok(view=view_json(team, view))


def update(team: Team, _triggers: Triggers, params: Json, _now: datetime) -> Json:
    """`views.update`: replace an open modal, found by its id or external id."""
    view = _open_view(team, params)
    if word(params, "hash") not in {"", view.hash}:
        raise Refusal("hash_conflict")
    body = _view(team, params | {"external_id": view.body.get("external_id")}, kind="modal")
    return ok(view=view_json(team, replace_view(team, view, body)))


def _open_view(team: Team, params: Json) -> View:
    view_id, external_id = word(params, "view_id"), word(params, "external_id")
    for stack in team.views.values():
        for view in stack:
            if view.id == view_id or (external_id and view.body.get("external_id") == external_id):
                return view
    raise Refusal("not_found")


def replace_view(team: Team, view: View, body: Json) -> View:
    """Put another body into an open view, under a new hash."""
    after = msgspec.structs.replace(view, body=body, hash=team.serial("H"))
    team.views[view.user] = [after if v.id == view.id else v for v in team.views[view.user]]
    team.publish(ViewsChanged(view.user))
    return after


def publish(team: Team, _triggers: Triggers, params: Json, _now: datetime) -> Json:
    """`views.publish`: replace a person's home view as a whole."""
    if not team.home_enabled:
        raise Refusal("not_enabled")
    user = word(params, "user_id")
    if user not in team.users:
        raise Refusal("user_not_found")
    body = _view(team, params, kind="home")
    before = team.homes.get(user)
    if before and word(params, "hash") not in {"", before.hash}:
        raise Refusal("hash_conflict")
    view = new_view(team, user, body)
    team.homes[user] = view
    team.publish(ViewsChanged(user))
    return ok(view=view_json(team, view))
