"""The scopes that the app was granted."""

from collections.abc import Iterable, Iterator

from bot.sandbox.webapi.answers import Refusal

ALL_SCOPES = (
    "app_mentions:read", "channels:history", "channels:join", "channels:read", "chat:write",
    "chat:write.public", "commands", "files:write", "groups:history", "groups:read", "im:history", "im:read",
    "im:write", "mpim:history", "mpim:read", "mpim:write", "reactions:write", "usergroups:read",
    "users:read",
)  # fmt: skip


class Scopes:
    """A set of granted scopes that can be changed while the app runs, as a reinstallation does."""

    def __init__(self, granted: Iterable[str] = ALL_SCOPES) -> None:
        self._granted = set(granted)

    def __contains__(self, scope: str) -> bool:
        """Say whether a scope was granted."""
        return scope in self._granted

    def __iter__(self) -> Iterator[str]:
        """Give the granted scopes in order."""
        return iter(sorted(self._granted))

    def grant(self, *scopes: str) -> None:
        """Add scopes."""
        self._granted.update(scopes)

    def revoke(self, *scopes: str) -> None:
        """Take scopes away."""
        self._granted.difference_update(scopes)

    def need(self, scope: str) -> None:
        """Refuse a call whose scope is missing, naming what is needed and what there is."""
        if scope not in self._granted:
            raise Refusal("missing_scope", needed=scope, provided=",".join(self))
