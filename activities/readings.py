"""Measurements and what can be read from a row of them. Measuring is elsewhere; nothing here touches the outside."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from activities.catalog import Target
from activities.models import Fact, Release


class Quality(StrEnum):
    """What one measurement says."""

    GOOD = "good"
    BAD = "bad"
    NO_DATA = "no-data"
    """It was measured and says nothing: no traffic, no series, a stale one."""
    ERROR = "error"
    """It could not be measured."""


class Reading(Fact):
    """One measurement with its time and where it came from."""

    kind: Literal["health", "error-rate", "log-errors"]
    quality: Quality
    value: float | None = None
    limit: float | None = None
    """What the value was held against."""
    detail: str
    """The measurement in words: ``2.1 % of 312 requests failed``."""
    source: str
    """Where it was measured: ``prometheus``, ``scrape``, ``http``, ``logs``."""
    query: str | None = None
    decides: bool = True
    """False for evidence that never decides alone, such as log lines."""
    at: datetime


class Sample(Fact):
    """All readings of one moment."""

    at: datetime
    readings: tuple[Reading, ...]

    @property
    def quality(self) -> Quality:
        """Bad if one reading is bad, unknown if one is unknown, good only if every deciding reading is."""
        found = {reading.quality for reading in self.readings if reading.decides}
        order = (Quality.BAD, Quality.ERROR, Quality.NO_DATA, Quality.GOOD)
        return next((quality for quality in order if quality in found), Quality.NO_DATA)


class Streak(Fact):
    """The unbroken row of like samples that a series ends with; unknown ones in between neither count nor break it."""

    quality: Quality
    count: int
    since: datetime
    until: datetime

    @property
    def span(self) -> timedelta:
        """From the first to the last sample."""
        return self.until - self.since


def last_streak(samples: tuple[Sample, ...], longest_gap: timedelta) -> Streak | None:
    """Return the row of good or of bad samples that the series ends with.

    A gap longer than ``longest_gap`` between two of them breaks the row: what happened in between is not known.
    """
    streak: Streak | None = None
    for sample in samples:
        quality = sample.quality
        if quality not in {Quality.GOOD, Quality.BAD}:
            continue
        goes_on = streak and streak.quality is quality and sample.at - streak.until <= longest_gap
        if streak and goes_on:
            streak = streak.model_copy(update={"count": streak.count + 1, "until": sample.at})
        else:
            streak = Streak(quality=quality, count=1, since=sample.at, until=sample.at)
    return streak


class Observation(Fact):
    """What to observe: a target on a release, from a moment on, for as long as it takes to know."""

    target: Target
    release: Release
    since: datetime
    """When the release alone answered requests: what was measured before says nothing of it."""
    deadline: datetime


class Observed(Fact):
    """What was seen."""

    samples: tuple[Sample, ...]
    since: datetime
    until: datetime


def is_decided(samples: tuple[Sample, ...], target: Target) -> bool:
    """Whether more samples could not change what is known: good for the bake time, or bad beyond hope."""
    verify = target.verify
    streak = last_streak(samples, longest_gap(target))
    if streak is None or streak.count < verify.consecutive:
        return False
    needed = verify.bake if streak.quality is Quality.GOOD else verify.bake + verify.rate_window
    return streak.span >= needed


def sample_interval(target: Target) -> timedelta:
    """How often to measure: so that the consecutive good samples just span the bake time."""
    return target.verify.bake / target.verify.consecutive


def longest_gap(target: Target) -> timedelta:
    """How far two samples may lie apart and still belong to one row."""
    return max(4 * sample_interval(target), timedelta(seconds=30))
