"""Measurements and what can be read from a row of them. Measuring is elsewhere; nothing here touches the outside."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise, takewhile
from typing import Literal

from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.measured.publishing import publication_delay, published_late
from runbook_model.releases.release import Release

SLOWEST_INTERVAL = timedelta(seconds=30)
FASTEST_INTERVAL = timedelta(milliseconds=100)
SHORTEST_GAP = timedelta(seconds=30)
CONTRADICTION = timedelta(minutes=5)
"""How much longer than the bake time sources may contradict each other until nothing can be concluded from them."""
CLEARLY_LESS = 0.9
"""A rate that is this share of an earlier one, or less, has fallen and did not just waver."""


class Quality(StrEnum):
    """What one measurement says."""

    GOOD = "good"
    BAD = "bad"
    NO_DATA = "no-data"
    """It was measured and says nothing: no traffic, no series, a stale one."""
    ERROR = "error"
    """It could not be measured."""


KNOWN = frozenset({Quality.GOOD, Quality.BAD})
"""What says something of the service; the rest is unknown."""


Kind = Literal["health", "error-rate", "log-errors", "latency", "cpu", "memory", "connections"]
STANDARD_LOOKS: tuple[Kind, ...] = ("health", "error-rate", "log-errors")
"""What every verification measures, unless it is given what to look at."""
FALLING: tuple[Kind, ...] = ("error-rate", "latency", "cpu", "memory", "connections")
"""What a window, or a queue that empties, lets fall slowly."""


class Reading(Fact):
    """One measurement with its time and where it came from."""

    kind: Kind
    quality: Quality
    value: float | None = None
    """HTTP status, share of requests that failed or of a limit (0 to 1), error lines a minute, seconds."""
    limit: float | None = None
    """What the value was held against."""
    detail: str
    """The measurement as a sentence: ``2.1 % of 312 requests failed (limit 10 %)``."""
    source: str
    """Where it was measured: ``prometheus``, ``load-balancer``, ``service-connect``, ``scrape``, ``probe``, ``http``, ``logs``, ``cloudwatch`` …"""
    query: str | None = None
    excerpt: tuple[str, ...] = ()
    """A few log lines, redacted and shortened."""
    decides: bool = True
    """False for evidence that never decides alone, such as log lines."""
    check: Literal["", "waiting", "contradicted"] = ""
    """What sources say that check it: nothing yet of the time that counts, or the contrary."""
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

    @property
    def waits(self) -> bool:
        """Whether a source that checks it has no data yet."""
        return any(reading.check == "waiting" for reading in self.readings)

    @property
    def contradicted(self) -> bool:
        """Whether sources contradict each other."""
        return any(reading.check == "contradicted" for reading in self.readings)

    @property
    def error_rate(self) -> float | None:
        """Share of requests that failed, None when it is not known."""
        return self.value_of("error-rate")

    def value_of(self, kind: Kind) -> float | None:
        """Return what was measured of a kind, None when it is not known."""
        readings = (item for item in self.readings if item.kind == kind and item.quality in KNOWN)
        return next((reading.value for reading in readings), None)

    @property
    def brief(self) -> Sample:
        """The same without query texts and log lines, for rows of samples that must stay small."""
        readings = (reading.model_copy(update={"query": None, "excerpt": ()}) for reading in self.readings)
        return Sample(at=self.at, readings=tuple(readings))


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

    def continues_with(self, sample: Sample, longest_gap: timedelta) -> bool:
        """Whether the next known sample belongs to the row; after too long a gap nothing is known of what was between."""
        return sample.quality is self.quality and sample.at - self.until <= longest_gap


def last_streak(
    samples: tuple[Sample, ...], longest_gap: timedelta, earlier: Streak | None = None
) -> Streak | None:
    """Return the row of good or of bad samples that the series ends with.

    Args:
        samples: oldest first.
        longest_gap: a longer one between two known samples breaks the row.
        earlier: the row that samples no longer kept ended with.
    """
    streak = earlier
    for sample in samples:
        if sample.quality not in KNOWN:
            continue
        if streak and streak.continues_with(sample, longest_gap):
            streak = streak.model_copy(update={"count": streak.count + 1, "until": sample.at})
        else:
            streak = Streak(quality=sample.quality, count=1, since=sample.at, until=sample.at)
    return streak


class Observation(Fact):
    """What to observe: a target on a release, from a moment on, for as long as it takes to know."""

    target: Target
    release: Release
    since: datetime
    """When the release alone answered requests: what was measured before says nothing of it."""
    deadline: datetime
    same_release_before: bool = False
    """Whether the tasks before ran this release too, as after a forced deployment: then no label distinguishes them."""
    looks: tuple[Kind, ...] = STANDARD_LOOKS
    """What to measure."""
    may_probe: bool = True
    """Whether the catalog's POST probe may be sent; False for plans, which change nothing."""


class Observed(Fact):
    """What was seen."""

    samples: tuple[Sample, ...]
    """The newest, oldest first."""
    since: datetime
    until: datetime
    earlier: Streak | None = None
    """The row that samples no longer kept ended with."""


def is_decided(samples: tuple[Sample, ...], target: Target, earlier: Streak | None = None) -> bool:
    """Whether more samples could not change what is known: good for the bake time, or bad beyond hope.

    Errors of the first moments leave the window only after ``rate_window``, so bad takes that much longer, and is
    not beyond hope while what is measured still falls.
    """
    verify = target.verify
    if _contradicted_for(samples) >= verify.bake + CONTRADICTION:
        return True
    streak = last_streak(samples, longest_gap(target), earlier)
    if streak is None or streak.count < verify.consecutive:
        return False
    if streak.quality is Quality.GOOD:
        return streak.span >= verify.bake and not samples[-1].waits
    return streak.span >= verify.bake + verify.rate_window and not still_falls(samples, verify.consecutive)


def _contradicted_for(samples: tuple[Sample, ...]) -> timedelta:
    """Return for how long all of the newest samples have contradicted themselves."""
    row = list(takewhile(lambda sample: sample.contradicted, reversed(samples)))
    return row[0].at - row[-1].at if row else timedelta(0)


def still_falls(samples: tuple[Sample, ...], consecutive: int) -> bool:
    """Whether a number that is bad never rose over the newest samples, and ends clearly lower than it started."""
    newest = next((sample for sample in reversed(samples) if sample.quality is Quality.BAD), None)
    bad = {reading.kind for reading in newest.readings if reading.quality is Quality.BAD} if newest else set()
    return any(_falls(samples, kind, consecutive) for kind in FALLING if kind in bad)


def _falls(samples: tuple[Sample, ...], kind: Kind, consecutive: int) -> bool:
    values = [value for sample in samples if (value := sample.value_of(kind)) is not None]
    values = values[-max(2, consecutive) :]
    never_rose = all(later <= before for before, later in pairwise(values))
    return len(values) > 1 and never_rose and values[-1] <= values[0] * CLEARLY_LESS and values[0] > 0


def counts_from(observation: Observation) -> datetime:
    """When samples begin to speak of the release alone.

    Prometheus still sees the old tasks for a rate window after the last of them is gone, unless a label reports the
    releases apart. Scraping compares live processes only, so it sees none of them.
    """
    target = observation.target
    apart = target.release_label is not None and not observation.same_release_before
    if apart or not target.has("prometheus"):
        return observation.since
    return observation.since + target.verify.rate_window


def baseline_since(target: Target, now: datetime) -> datetime:
    """Return from when on requests count that were before a change: so that the last window of each source does."""
    delay = publication_delay(target.verify) if published_late(target) else timedelta(0)
    return now - target.verify.rate_window - delay


def latest_end(target: Target, since: datetime) -> datetime:
    """Return a deadline that leaves time to become good after a bad start, and once more to be distinguished from bad."""
    verify = target.verify
    delay = publication_delay(verify) if published_late(target) else timedelta(0)
    return since + delay + 2 * verify.rate_window + 3 * verify.bake + timedelta(seconds=30)


def sample_interval(target: Target) -> timedelta:
    """How often to measure: so that the consecutive good samples just span the bake time, twice a minute at least."""
    steps = max(1, target.verify.consecutive - 1)
    spanning = target.verify.bake / steps + timedelta(microseconds=1)  # the division may have rounded down
    return min(max(spanning, FASTEST_INTERVAL), SLOWEST_INTERVAL)


def longest_gap(target: Target) -> timedelta:
    """How far two samples may lie apart and still belong to one row."""
    return max(4 * sample_interval(target), SHORTEST_GAP)
