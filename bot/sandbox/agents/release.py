"""Versions of agents, and what came with which: read in the history of obshell's source.

A client should tell them apart by what it is sent, not by the number; that is what this is for.
"""

from enum import Enum
from typing import Self

import msgspec

BUILD = "0"


class Feature(Enum):
    """Something that agents do from a version on."""

    FORWARDING = (4, 2, 4, 0)
    """A FOLLOWER forwards requests to its MASTER, and an agent tells the version of its observer."""
    SUPPORTED_AUTH = (4, 2, 5, 0)
    AGENT_PASSWORD = (4, 2, 6, 0)
    """With it came the cause of a refusal, and the expiry is held against the time of arrival."""
    OVERVIEW = (4, 3, 0, 0)
    """All DAGs ever, the logs of a sub-task, the web page."""
    ERROR_CODES = (4, 3, 1, 0)
    """`errCode`, maintenance type and key in a DAG, errors in other languages."""
    SESSIONS = (4, 4, 0, 0)
    LONG_KEYS = (4, 4, 2, 0)


class Release(msgspec.Struct, frozen=True):
    """A version of an agent, such as 4.5.0.0."""

    numbers: tuple[int, int, int, int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the release of a version's text; raises ValueError for one that is not four numbers."""
        first, second, third, fourth = (int(number) for number in text.split("."))
        return cls((first, second, third, fourth))

    def __str__(self) -> str:
        return ".".join(str(number) for number in self.numbers)

    def has(self, feature: Feature) -> bool:
        """Whether agents of this version do that."""
        return self.numbers >= feature.value

    @property
    def told(self) -> str:
        """The version as agents tell it, with that of the build."""
        return f"{self}-{BUILD}"

    @property
    def key_bits(self) -> int:
        """The size of the keys that such an agent makes."""
        return 1024 if self.has(Feature.LONG_KEYS) else 512


LATEST = Release((4, 5, 0, 0))
