"""Logs: structured lines on stderr, for people or as JSON, with every known secret blotted out."""

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

QUIET = ("httpx", "httpcore", "apscheduler", "slack_sdk", "slack_bolt", "aiohttp.access", "alembic")
MASK = "***"
SHAPES = re.compile(r"\b(xox[a-z]-[\w-]+|xapp-[\w-]+)|(?<=://)([^/\s:@]*):[^/\s@]+(?=@)")
MIN_SECRET = 4
"""Shorter secrets are not searched for: blotting out every "a" would help nobody."""


class Redactor:
    """A processor that blots out secrets in a log line: known ones, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Blot this text out from now on."""
        if len(secret) >= MIN_SECRET:
            self._secrets.add(secret)

    def text(self, value: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            value = value.replace(secret, MASK)
        return SHAPES.sub(lambda match: f"{match[2]}:{MASK}" if match[2] is not None else MASK, value)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self._clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item) for item in value]
        return value if value is None or isinstance(value, bool | int | float) else self.text(str(value))

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Clean one line."""
        del logger, method
        return {key: value if key.startswith("_") else self._clean(value) for key, value in event.items()}


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, to be told from handlers that others put on the root logger."""


def configure(
    level: str = "info",
    style: str = "console",
    *,
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> Redactor:
    """Route structlog and the standard library's loggers to `stream` (stderr); return the redactor.

    `style` is `console` or `json`. A second call replaces what the first set up.
    """
    redactor = Redactor(secrets)
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = _Handler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redactor,
                _renderer(style, colors=target.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, _Handler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    return redactor


def _renderer(style: str, *, colors: bool) -> Processor:
    if style == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
