"""`auth.test` and `users.info`."""

from datetime import datetime

from bot.sandbox.messages import Json
from bot.sandbox.team import Team
from bot.sandbox.webapi.answers import Refusal, ok
from bot.sandbox.webapi.params import word
from bot.sandbox.webapi.scopes import Scopes
from bot.sandbox.webapi.wire import user_json


def auth_test(team: Team, _scopes: Scopes, _params: Json, _now: datetime) -> Json:
    """`auth.test`: who the token belongs to."""
    return ok(
        url=team.base_url,
        team="Local workspace",
        user=team.bot.name,
        team_id=team.id,
        user_id=team.bot.id,
        bot_id=team.bot_id,
        is_enterprise_install=False,
    )


def user_info(team: Team, scopes: Scopes, params: Json, _now: datetime) -> Json:
    """`users.info`: one person."""
    scopes.need("users:read")
    user = team.users.get(word(params, "user"))
    if user is None:
        raise Refusal("user_not_found")
    return ok(user=user_json(user, email="users:read.email" in scopes))
