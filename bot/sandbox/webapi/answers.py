"""What a method answers: fields, or a refusal in Slack's words; and what goes over the wire."""

import json
from typing import Any

import msgspec

from bot.sandbox.messages import Json
from bot.sandbox.rules.problem import Problem


class Refusal(Exception):
    """Slack says no: `error` is its word, `extra` further fields of the answer."""

    def __init__(self, error: str, **extra: Any) -> None:
        self.error, self.extra = error, extra
        super().__init__(error)


class ApiResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer. `drop`: close the connection unanswered; `delay_s`: answer that much later."""

    status: int = 200
    headers: dict[str, str] = {}
    body: Any = None
    raw: str | None = None
    drop: bool = False
    delay_s: float = 0.0

    @property
    def content(self) -> str:
        """The body as it is sent."""
        return self.raw if self.raw is not None else json.dumps(self.body)


def ok(**fields: Any) -> Json:
    """Return the fields of a good answer."""
    return {"ok": True, **fields}


def refuse(problems: list[Problem]) -> None:
    """Raise what the first problem says, with all of them in `response_metadata.messages`, if any."""
    if problems:
        messages = [str(problem) for problem in problems]
        raise Refusal(problems[0].error, response_metadata={"messages": messages})
