"""What the roles of a service need of the environment, checked on the variables as given."""

from collections.abc import Collection, Iterator, Mapping

ROLES = frozenset({"poll", "deliver", "slack"})
"""What one process may do: ask agents, send notices, answer people."""

OAUTH = ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")


def missing(variables: Mapping[str, str], roles: Collection[str]) -> list[str]:
    """Return one text per variable that these roles need and lack, or that contradict each other."""
    if not roles:
        return []
    problems = list(_database(variables))
    if {"deliver", "slack"} & set(roles):
        problems += _slack(variables)
    if "slack" in roles:
        problems += _mode(variables)
    return problems


def _database(variables: Mapping[str, str]) -> Iterator[str]:
    if variables.get("DATABASE_URL", "").startswith("postgres") and "OBDAG_SECRET_KEY" not in variables:
        yield "OBDAG_SECRET_KEY: needed with PostgreSQL; make one with: obdag keys new"


def _slack(variables: Mapping[str, str]) -> Iterator[str]:
    bot, app = variables.get("SLACK_BOT_TOKEN"), variables.get("SLACK_APP_TOKEN")
    if not bot:
        yield "SLACK_BOT_TOKEN: not set; it is on the app's page under OAuth & Permissions (xoxb-...)"
    elif not bot.startswith("xoxb-"):
        yield f"SLACK_BOT_TOKEN: {_shape(bot)}; a bot token begins with xoxb-"
    if app and not app.startswith("xapp-"):
        yield f"SLACK_APP_TOKEN: {_shape(app)}; an app-level token begins with xapp-"
    if app and variables.get("SLACK_SIGNING_SECRET"):
        yield (
            "SLACK_APP_TOKEN and SLACK_SIGNING_SECRET are both set: the first means Socket Mode, "
            "the second HTTP mode; unset one"
        )
    if all(variables.get(name) for name in OAUTH):
        yield f"{OAUTH[0]} and {OAUTH[1]} are set: they would turn on OAuth installation; unset them"


def _mode(variables: Mapping[str, str]) -> Iterator[str]:
    app, signing = variables.get("SLACK_APP_TOKEN"), variables.get("SLACK_SIGNING_SECRET")
    if not app and not signing:
        yield (
            "SLACK_APP_TOKEN: not set; make one under Basic Information, App-Level Tokens, with the scope "
            "connections:write (or set SLACK_SIGNING_SECRET for HTTP mode)"
        )
    if signing and not app and variables.get("OBDAG_HTTP") == "":
        yield "OBDAG_HTTP: empty, but SLACK_SIGNING_SECRET means that Slack calls the HTTP listener"


def _shape(token: str) -> str:
    """Say what a token seems to be, without a letter of it beyond its public prefix."""
    kinds = {"xoxb-": "a bot token", "xapp-": "an app-level token", "xoxp-": "a user token"}
    kind = next((kind for prefix, kind in kinds.items() if token.startswith(prefix)), None)
    return f"this is {kind}" if kind else "this is no token of that kind"
