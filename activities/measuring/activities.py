"""Observe a target until it is known whether it recovered. What is measured, and how, comes in as ``Measure``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pydantic import ValidationError
from temporalio import activity

from activities.runtime.waiting import handing_over
from runbook_model.fact import Fact
from runbook_model.measured.readings import (
    Observation,
    Observed,
    Sample,
    Streak,
    baseline_since,
    counts_from,
    is_decided,
    last_streak,
    longest_gap,
    sample_interval,
)

BEAT = timedelta(seconds=1)
"""How often a heartbeat is sent, at least."""
KEPT = 60
"""How many samples heartbeats and the result hold; of older ones only the row that they ended with remains."""


class Measure(Protocol):
    """Takes samples; what cannot be measured is a reading of that sample, never an exception."""

    async def sample(self, observation: Observation, now: datetime) -> Sample:
        """Take all readings of one moment."""
        ...


class Progress(Fact):
    """What an observation has seen so far; heartbeats carry it from one attempt to the next."""

    samples: tuple[Sample, ...] = ()
    earlier: Streak | None = None

    def with_sample(self, sample: Sample, target_gap: timedelta) -> Progress:
        """Return the progress with one more sample, as text only for those before it, and bounded."""
        samples = (*(item.brief for item in self.samples), sample)
        dropped, kept = samples[:-KEPT], samples[-KEPT:]
        return Progress(samples=kept, earlier=last_streak(dropped, target_gap, self.earlier))


class VerificationActivities:
    """Measures recovery; both activities only read, unless the catalog allows POST probes."""

    def __init__(self, measure: Measure, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._measure = measure
        self._now = clock

    @activity.defn
    async def measure(self, observation: Observation) -> Sample:
        """Take one sample of the last rate window: the baseline before a change."""
        now = self._now()
        since = baseline_since(observation.target, now)
        return await self._measure.sample(observation.model_copy(update={"since": since}), now)

    @activity.defn
    async def observe(self, observation: Observation) -> Observed:
        """Sample until it is decided or the deadline has passed; continues where an earlier attempt was.

        Raises:
            ApplicationError: the worker shuts down; benign and retried, with all samples in the heartbeat.
        """
        watch = Watch(self._measure, observation, self._now)
        return await handing_over(watch.run(), lambda: watch.progress, BEAT)


class Watch:
    """One observation under way."""

    def __init__(self, measure: Measure, observation: Observation, clock: Callable[[], datetime]) -> None:
        self._measure = measure
        self._observation = observation
        self._target = observation.target
        self._now = clock
        self.progress = _resumed()

    async def run(self) -> Observed:
        """Sample until decided; at least once, so that whoever takes over sees how things are now."""
        begins = counts_from(self._observation)
        await self._wait_until(max(begins, self._next_due()))
        while not self._decided() and self._now() >= begins:
            sample = await self._measure.sample(self._observation, self._now())
            self.progress = self.progress.with_sample(sample, longest_gap(self._target))
            activity.heartbeat(self.progress)
            if self._now() >= self._observation.deadline:
                break
            if not self._decided():
                await self._wait_until(self._next_due())
        return Observed(
            samples=self.progress.samples,
            earlier=self.progress.earlier,
            since=self._observation.since,
            until=self._now(),
        )

    def _decided(self) -> bool:
        return is_decided(self.progress.samples, self._target, self.progress.earlier)

    def _next_due(self) -> datetime:
        samples = self.progress.samples
        return samples[-1].at + sample_interval(self._target) if samples else self._now()

    async def _wait_until(self, due: datetime) -> None:
        due = min(due, self._observation.deadline)
        while (left := due - self._now()) > timedelta(0):  # noqa: ASYNC110 - nobody signals that a moment has come
            await asyncio.sleep(min(left, BEAT).total_seconds())


def _resumed() -> Progress:
    """Read what the attempt before had seen."""
    details = activity.info().heartbeat_details
    if not details:
        return Progress()
    try:
        return Progress.model_validate(details[0])
    except ValidationError:
        activity.logger.warning("the last attempt's heartbeat cannot be read; the bake starts again")
        return Progress()
