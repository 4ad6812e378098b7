"""What a variable may say: each function returns the value or raises ValueError.

The error says what is allowed and never repeats the value: it might be a secret in the wrong place.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from bot.store.engine import BadDatabaseUrl, database_url


def database(value: SecretStr | str) -> SecretStr:
    """Return a DATABASE_URL that names a database obdag can use."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    try:
        database_url(text)
    except BadDatabaseUrl as error:
        raise ValueError(str(error).removeprefix("DATABASE_URL ")) from None
    except ValueError:
        raise ValueError("is no URL: check the port, and write %40 for an @ in a password") from None
    return SecretStr(text)


def http_url(value: str) -> str:
    """Return an http:// or https:// URL."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an http:// or https:// URL")
    return value


def api_url(value: str) -> str:
    """Return the base of Slack's API, with a slash at its end."""
    return http_url(value).rstrip("/") + "/"


def proxy(value: SecretStr | str) -> SecretStr:
    """Return a proxy's URL, which may hold a password."""
    return SecretStr(http_url(value.get_secret_value() if isinstance(value, SecretStr) else value))


def channel(value: str) -> str:
    """Return a Slack channel ID."""
    if not re.fullmatch(r"[CGD][A-Z0-9]{2,79}", value):
        raise ValueError("must be a channel ID like C0123456789 (channel details, at the bottom), not a name")
    return value


def command(value: str) -> str:
    """Return the name of the slash command."""
    if not re.fullmatch(r"/[a-z0-9_-]{1,31}", value):
        raise ValueError("must be a slash and 1 to 31 of a-z 0-9 _ -")
    return value


def admins(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return Slack user and user-group IDs."""
    words = tuple(re.split(r"[\s,]+", value.strip(", "))) if isinstance(value, str) else value
    if not all(re.fullmatch(r"[UWS][A-Z0-9]{2,}", word) for word in words):
        raise ValueError("must be user or user-group IDs (U..., W..., S...), comma separated")
    return words


def lower(value: Any) -> Any:
    """Return a word in small letters."""
    return value.lower() if isinstance(value, str) else value
