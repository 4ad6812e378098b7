"""What a simulated cluster lived through, in the order in which it happened.

The engine appends a `Change` for each state it writes and a `Written` for each log line, agents append when
they become reachable or stop being so. Nothing here is planned: what a script asked for and never happened
is not in it.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from bot.core.dag import Host, Operator, State


class Subject(StrEnum):
    """What changed."""

    DAG = "dag"
    NODE = "node"
    SUB_TASK = "sub_task"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A state written for a DAG, or for a node or sub-task at `position` of it."""

    at: datetime
    dag_id: int
    subject: Subject
    row_id: int
    position: int
    state: State
    operator: Operator
    attempts: int = 0


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A log line of a sub-task of the stage at `position`, on `host`."""

    at: datetime
    dag_id: int
    position: int
    sub_task_id: int
    host: Host
    attempt: int
    text: str


class Reachability(msgspec.Struct, frozen=True, kw_only=True):
    """An agent began or ceased to answer on its port."""

    at: datetime
    agent: Host
    reachable: bool


class DatabaseUp(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster's database went away or came back."""

    at: datetime
    up: bool


Moment = Change | Written | Reachability | DatabaseUp
