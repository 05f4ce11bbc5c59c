"""What one question to an outside system brought: a number, a few, or why there is none; with query and time.

What could not be read is an answer too, with its reason: a source that is away never stops a procedure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from activities.models import Fact

Source = Literal["prometheus", "cloudwatch", "ecs", "logs", "engine", "scrape"]
Points = tuple[tuple[float, float], ...]
"""Seconds since 1970 and a value, oldest first."""


class Evidence(Fact):
    """One question to an outside system and whether it was answered."""

    quality: Literal["known", "no-data", "error"]
    """``no-data``: it answered and the answer says nothing. ``error``: it could not be read."""
    why: str = ""
    """Why nothing is known."""
    source: Source
    query: str
    """PromQL, or the call and what it asked for."""
    at: datetime
    """The moment that the answer speaks of."""

    @property
    def known(self) -> bool:
        """Whether it was answered."""
        return self.quality == "known"


class Figure(Evidence):
    """One number."""

    value: float | None = None

    def above(self, limit: float) -> bool:
        """Whether it is known and higher than a limit."""
        return self.value is not None and self.value > limit

    def within(self, limit: float) -> bool:
        """Whether it is known and not higher than a limit."""
        return self.value is not None and self.value <= limit


class Breakdown(Evidence):
    """A number for each type, task, release or endpoint."""

    values: dict[str, float] = Field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """The average; None of nothing."""
        return sum(self.values.values()) / len(self.values) if self.values else None

    @property
    def most(self) -> float | None:
        """The highest; None of nothing."""
        return max(self.values.values(), default=None)


class Onset(Evidence):
    """Which release runs, when it began, and which ran before it."""

    release: str = ""
    """``family:revision``."""
    began: datetime | None = None
    """When its deployment began; None when it is older than what ECS remembers."""
    settled: datetime | None = None
    """When its deployment had ended; None while it is under way."""
    before: str | None = None
    """``family:revision`` of the release that ran before."""


class AcrossRelease(Fact):
    """One number in three windows: just before the present release, its first one, and the last one."""

    before: Figure
    first: Figure
    now: Figure

    def began_with_release(self, limit: float) -> bool:
        """Whether it was within the limit before the release and above from the release's first window on."""
        return self.before.within(limit) and self.first.above(limit) and self.now.above(limit)


class Statistics(Evidence):
    """A CloudWatch metric's averages over time, as shares of the limit."""

    points: Points = ()

    @property
    def newest(self) -> float | None:
        """The last value; None when there is none."""
        return self.points[-1][1] if self.points else None
