"""What the listener asks of the service: whether it works, and what is stuck."""

from typing import Protocol

import msgspec


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether each part of the service works; `stuck` has one line per part that does not."""

    stuck: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether everything that should work does."""
        return not self.stuck


class HealthProbe(Protocol):
    """The service as its listener sees it."""

    async def readiness(self) -> Readiness:
        """Return what works now; quick, and never asks an agent or Slack."""
        ...

    async def measure(self) -> None:
        """Set the gauges that describe stored state, before somebody reads them."""
        ...
