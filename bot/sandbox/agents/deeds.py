"""What a run may do to the simulated world besides taking time and writing lines."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from bot.sandbox.agents.rows import DagRow, SubTaskRow


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """A run that comes to its end; `say` writes a line of it."""

    now: datetime
    dag: DagRow
    sub: SubTaskRow
    say: Callable[[str], None]

    def leave(self, **data: Any) -> None:
        """Leave additional data for those who ask for the sub-task, its node or its DAG."""
        self.sub.data = (self.sub.data or {}) | data
