"""Trouble that a test scripts for the next calls of a method: what real networks and Slack itself do."""

from collections import deque
from typing import Any

import msgspec

from bot.sandbox.webapi.answers import ApiResponse

EVERY = "*"
"""Stands for every method."""


class RateLimited(msgspec.Struct, frozen=True):
    """429 with `Retry-After`; the body is JSON, or empty as it can be."""

    seconds: int = 1
    empty: bool = False


class HttpStatus(msgspec.Struct, frozen=True):
    """An answer of a proxy in front: a status and a page of HTML."""

    status: int = 503


class Says(msgspec.Struct, frozen=True):
    """`ok: false` with this error."""

    error: str
    extra: dict[str, Any] = {}


class DropBefore(msgspec.Struct, frozen=True):
    """The connection is lost before anything was done."""


class DropAfter(msgspec.Struct, frozen=True):
    """The connection is lost after the work was done: the caller cannot know."""


class Delay(msgspec.Struct, frozen=True):
    """The work is done, the answer comes `seconds` later."""

    seconds: float


class BrokenJson(msgspec.Struct, frozen=True):
    """The work is done, the answer cannot be read."""


Trouble = RateLimited | HttpStatus | Says | DropBefore | DropAfter | Delay | BrokenJson


class Script:
    """Trouble waiting for calls, first in first out per method."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Trouble]] = {}

    def add(self, method: str, trouble: Trouble, *, times: int = 1) -> None:
        """Let the next `times` calls of a method (or of `EVERY` one) meet this trouble."""
        self._waiting.setdefault(method, deque()).extend([trouble] * times)

    def clear(self) -> None:
        """End all trouble."""
        self._waiting.clear()

    def take(self, method: str) -> Trouble | None:
        """Return the trouble of the next call of a method."""
        for key in (method, EVERY):
            if queue := self._waiting.get(key):
                return queue.popleft()
        return None


def instead(trouble: Trouble | None) -> ApiResponse | None:
    """Return what is answered in place of doing the work, or None when the work is done."""
    match trouble:
        case RateLimited(seconds, empty):
            return limited(seconds, empty=empty)
        case HttpStatus(status):
            page = "<html><body>Service unavailable</body></html>"
            return ApiResponse(status=status, headers={"Content-Type": "text/html"}, raw=page)
        case Says(error, extra):
            return ApiResponse(body={"ok": False, "error": error, **extra})
        case DropBefore():
            return ApiResponse(drop=True)
        case _:
            return None


def spoiled(trouble: Trouble | None, answer: ApiResponse) -> ApiResponse:
    """Return what becomes of the answer of work that was done."""
    match trouble:
        case DropAfter():
            return msgspec.structs.replace(answer, drop=True)
        case Delay(seconds):
            return msgspec.structs.replace(answer, delay_s=seconds)
        case BrokenJson():
            return msgspec.structs.replace(answer, raw='{"ok": tru')
        case _:
            return answer


def limited(seconds: int, *, empty: bool = False) -> ApiResponse:
    """Return the answer of a limit."""
    headers = {"Retry-After": str(seconds)}
    if empty:
        return ApiResponse(status=429, headers=headers, raw="")
    return ApiResponse(status=429, headers=headers, body={"ok": False, "error": "ratelimited"})
