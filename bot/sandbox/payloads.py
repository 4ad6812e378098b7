"""What Slack sends to an app: commands, actions, submissions and events, field by field."""

from datetime import datetime

from bot.sandbox.messages import Json, Message
from bot.sandbox.team import Team, View
from bot.sandbox.webapi.wire import message_json, view_json


def slash_command(
    team: Team, user: str, channel: str, command: str, text: str, trigger: str, url: str
) -> Json:
    """Return the payload of a slash command."""
    return {
        "token": "",
        "command": command,
        "text": text,
        "response_url": url,
        "trigger_id": trigger,
        "user_id": user,
        "user_name": team.users[user].name,
        "channel_id": channel,
        "channel_name": team.channels[channel].name,
        "team_id": team.id,
        "team_domain": "local",
        "is_enterprise_install": "false",
        "api_app_id": team.app_id,
    }


def _who(team: Team, user: str) -> Json:
    return {
        "user": {
            "id": user,
            "name": team.users[user].name,
            "username": team.users[user].name,
            "team_id": team.id,
        },
        "team": {"id": team.id, "domain": "local"},
        "api_app_id": team.app_id,
        "enterprise": None,
        "is_enterprise_install": False,
        "token": "",
    }


def block_action(team: Team, user: str, message: Message, action: Json, trigger: str, url: str) -> Json:
    """Return the payload of a press in a message."""
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": message.visible_to is not None,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    return {
        "type": "block_actions",
        **_who(team, user),
        "container": container,
        "channel": {"id": message.channel, "name": team.channels[message.channel].name},
        "message": message_json(team, message),
        "state": {"values": {}},
        "actions": [action],
        "trigger_id": trigger,
        "response_url": url,
    }


def view_action(team: Team, user: str, view: View, action: Json, trigger: str) -> Json:
    """Return the payload of a press in a modal or home view, which has no `response_url`."""
    return {
        "type": "block_actions",
        **_who(team, user),
        "container": {"type": "view", "view_id": view.id},
        "view": view_json(team, view),
        "actions": [action],
        "trigger_id": trigger,
    }


def view_submission(team: Team, user: str, view: View, values: Json, trigger: str) -> Json:
    """Return the payload of a submitted form."""
    return {
        "type": "view_submission",
        **_who(team, user),
        "view": view_json(team, view) | {"state": {"values": values}},
        "response_urls": [],
        "trigger_id": trigger,
    }


def view_closed(team: Team, user: str, view: View, *, cleared: bool) -> Json:
    """Return the payload of a closed modal."""
    return {"type": "view_closed", **_who(team, user), "view": view_json(team, view), "is_cleared": cleared}


def event(team: Team, inner: Json, now: datetime) -> Json:
    """Return the outer payload of an event."""
    return {
        "type": "event_callback",
        "token": "",
        "team_id": team.id,
        "api_app_id": team.app_id,
        "event_id": team.serial("Ev"),
        "event_time": int(now.timestamp()),
        "event_context": team.serial("EC"),
        "is_ext_shared_channel": False,
        "authorizations": [
            {"enterprise_id": None, "team_id": team.id, "user_id": team.bot.id, "is_bot": True,
             "is_enterprise_install": False}
        ],
        "event": {"event_ts": team.next_ts(now), **inner},
    }  # fmt: skip
