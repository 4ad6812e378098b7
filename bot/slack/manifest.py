"""The Slack app's manifest: what to paste at https://api.slack.com/apps?new_app=1."""

from typing import Any

import yaml

SCOPES = (
    "chat:write",  # posts, replies, edits
    "commands",
    "channels:read",  # is the channel there, archived?
    "groups:read",
    "channels:join",  # joins public channels by itself
    "channels:history",  # finds a post again after a lost answer, so that nothing is posted twice
    "groups:history",
)


def manifest(command: str, http_url: str | None = None) -> str:
    """Return the manifest as YAML: for Socket Mode, or for HTTP mode with Slack's requests at `http_url`."""
    endpoint = f"{http_url.rstrip('/')}/slack/events" if http_url else None
    app: dict[str, Any] = {
        "_metadata": {"major_version": 1},
        "display_information": {
            "name": "obdag",
            "description": "Tells what happens to the long operations of OceanBase clusters",
        },
        "features": {
            "bot_user": {"display_name": "obdag", "always_online": True},
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "slash_commands": [_command(command, endpoint)],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "interactivity": {"is_enabled": True} | ({"request_url": endpoint} if endpoint else {}),
            "socket_mode_enabled": endpoint is None,
            "org_deploy_enabled": False,
            "token_rotation_enabled": False,
        },
    }
    return yaml.safe_dump(app, sort_keys=False, allow_unicode=True)


def _command(command: str, endpoint: str | None) -> dict[str, Any]:
    described = {
        "command": command,
        "description": "What is unfinished on the clusters now",
        "usage_hint": "status [cluster] | show cluster dag | clusters | help",
        "should_escape": True,
    }
    return described | ({"url": endpoint} if endpoint else {})
