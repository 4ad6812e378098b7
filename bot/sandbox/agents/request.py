"""A request as a simulated agent reads it, and what it answers; both without any socket."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

import msgspec

from bot.sandbox.agents.faults import Panic

TRUE_WORDS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE_WORDS = frozenset({"0", "f", "F", "FALSE", "false", "False", ""})


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived: `target` is raw, header names are lower case, `arrived` is by the agent's own clock."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    arrived: datetime

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def show_details(self) -> bool:
        """Whether details are asked for; a spelling that Go does not know is a panic of the real handler.

        The name is case-sensitive, the first of several counts, an empty value means no
        (recording `query-parameters`).
        """
        pairs = parse_qsl(self.target.partition("?")[2], keep_blank_values=True)
        word = next((value for name, value in pairs if name == "show_details"), "true")
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise Panic


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What goes out; `delay_s` and `cut` tell a server to be slow, or to break off half-way."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    delay_s: float = 0.0
    cut: bool = False
