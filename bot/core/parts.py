"""How one event becomes one or more posts.

A part is a stable short string: together with event and channel it is the key by which a post exists once.
"""

from bot.core.events import (
    Discovered,
    Event,
    StageAdvanced,
    StageReport,
    Started,
)

WHOLE = "whole"
"""The part of an event that is told in one post."""


def parts(event: Event) -> tuple[str, ...]:
    """Return the parts of an event in the order in which they are posted.

    `started` and `discovered` are told by the root message alone; a finished stage is one reply each.
    """
    if isinstance(event, Started | Discovered):
        return ()
    if isinstance(event, StageAdvanced):
        return tuple(stage_part(report) for report in event.finished)
    return (WHOLE,)


def stage_part(report: StageReport) -> str:
    """Return the part that tells one finished stage."""
    return f"stage-{report.position}"


def report_of(event: StageAdvanced, part: str) -> StageReport:
    """Return the stage report that a part of `stage_advanced` tells; raises KeyError for a foreign part."""
    for report in event.finished:
        if stage_part(report) == part:
            return report
    raise KeyError(part)
