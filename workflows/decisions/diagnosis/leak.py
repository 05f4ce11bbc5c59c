"""Whether memory leaks: a robust slope over many readings, never two points."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from workflows.messages import Message

if TYPE_CHECKING:
    from activities.evidence import Points


class Leak(Message):
    """What a memory series says."""

    verdict: Literal["leaks", "steady", "inconclusive"]
    why: str
    bytes_per_second: float | None = None
    full_in: timedelta | None = None
    """Until the limit is reached at this slope."""


def judge_leak(series: Points, limit: float | None = None) -> Leak:
    """Judge one task's memory over time.

    Args:
        series: seconds and bytes, oldest first.
        limit: bytes that the task may use, None when not known.
    """
    del series, limit
    return Leak(verdict="inconclusive", why="not judged yet")
