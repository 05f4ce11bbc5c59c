"""Readings of a verification: all of a sample at the same time, each with its own time limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.queues import question, read_queue, window_of
from activities.http.probes import read_health, send_probes, time_probes
from activities.measuring.balanced import Balanced
from activities.measuring.logs import measure_error_lines
from activities.measuring.quantities import measure_platform_use
from activities.measuring.requests import measure_errors, measure_p95
from activities.prometheus.evidence import PrometheusEvidence, Window
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError, RunbookError
from runbook_model.measured.measurements import (
    SHORTEST,
    Resource,
    cross_checked,
    error_reading,
    latency_reading,
    log_reading,
    missing,
    use_reading,
)
from runbook_model.measured.publishing import LATE
from runbook_model.measured.queueing import queue_reading, with_queue
from runbook_model.measured.readings import KNOWN, Kind, Observation, Quality, Reading, Sample
from runbook_model.text.durations import format_duration

if TYPE_CHECKING:
    from activities.measuring.sources import Sources

SOURCES: dict[Kind, str] = {"health": "http", "log-errors": "logs", "connections": "database"}
"""Where a kind is measured, unless it is Prometheus."""

PROBES = 5
"""Probes that are timed in one reading."""

USUAL_LIMIT = timedelta(seconds=15)

LIMITS: dict[Kind, timedelta] = {
    "health": timedelta(seconds=5),
    # The error rate asks Prometheus, makes two rounds of scrapes and sends probes, at worst one after the other.
    "error-rate": timedelta(seconds=25),
    # Five probes, one after the other, of which at most one takes its whole time.
    "latency": timedelta(seconds=25),
    "log-errors": timedelta(seconds=12),
}

Instrument = Callable[["Observation", "datetime"], Awaitable[Reading]]
"""Takes one reading; raises RunbookError when it cannot."""

_log = logging.getLogger(__name__)


class Instruments:
    """Everything that a sample is measured with, by what it measures."""

    def __init__(self, sources: Sources, others: Mapping[Kind, Instrument] | None = None) -> None:
        """Compose the instruments; ``others`` adds kinds, or takes the place of ours."""
        self._sources = sources
        self._by_kind: dict[Kind, Instrument] = {
            "health": self.health,
            "error-rate": self.error_rate,
            "log-errors": self.log_errors,
            "latency": self.latency,
            "cpu": lambda look, now: self.use(look, "cpu", now),
            "memory": lambda look, now: self.use(look, "memory", now),
            **(others or {}),
        }

    async def sample(self, observation: Observation, now: datetime) -> Sample:
        """Take all readings of one moment; what cannot be measured is a reading of quality ``error``."""
        readings = await asyncio.gather(
            *(self._reading(kind, observation, now) for kind in observation.looks)
        )
        return Sample(at=now, readings=tuple(readings))

    async def health(self, look: Observation, now: datetime) -> Reading:
        """Ask the service for its health, and CloudWatch for its queue's figures where it has one."""
        target = look.target
        if not takes_from_a_queue(target):
            return await self._health(target, now)
        window = window_of(target, now, look.since)
        health, figures = await asyncio.gather(
            self._health(target, now), asyncio.to_thread(read_queue, self._sources.aws, target, window)
        )
        return with_queue(health, queue_reading(figures, target, question(target, window), now))

    async def _health(self, target: Target, now: datetime) -> Reading:
        """Ask the service for its health, and its load balancer where it cannot be asked from here."""
        balanced = Balanced(self._sources, target, now)
        if target.url is None:
            found = await balanced.health() if target.platform == "ecs" else None
            return found or await read_health(self._sources.http, target, now)
        try:
            return await read_health(self._sources.http, target, now)
        except OutsideError as error:
            if target.platform != "ecs":
                raise
            found = await balanced.health()
            if found.quality not in KNOWN:
                raise
            return found.model_copy(update={"detail": f"{found.detail}: {error}"})

    async def error_rate(self, look: Observation, now: datetime) -> Reading:
        """Measure the share of requests that fail; where no source has data, by probes."""
        target, ask = look.target, self._prometheus(look, now)
        seen, others = await measure_errors(self._sources, ask, _window(look), live=True, since=look.since)
        wanted = missing(seen, target)
        probes = None
        if wanted and seen.quality != "error" and not seen.waiting and look.may_probe and target.has("probe"):
            assert target.url
            assert target.probe
            probes = await send_probes(self._sources.http, target.url, target.probe, wanted)
        reading = cross_checked(
            error_reading(seen, probes, target, now),
            [error_reading(item, None, target, now) for item in others],
            waiting=[item.source for item in others if item.waiting],
        )
        if seen.source not in LATE and takes_from_a_queue(target) and answers_nothing(target):
            return reading.model_copy(update={"decides": False})
        return reading

    async def latency(self, look: Observation, now: datetime) -> Reading:
        """Measure how slow answers are: those to requests, and those to the product's own probes."""
        target = look.target
        p95, probes = measure_p95(self._sources, self._prometheus(look, now), _window(look), look.since), None
        if look.may_probe and target.has("probe"):
            assert target.url
            assert target.probe
            timed = time_probes(self._sources.http, target.url, target.probe, PROBES)
            (seen, others), probes = await asyncio.gather(p95, timed)
        else:
            seen, others = await p95
        return cross_checked(
            latency_reading(seen, probes, target, now),
            [latency_reading(item, None, target, now) for item in others],
            waiting=[item.source for item in others if item.waiting],
        )

    async def use(self, look: Observation, resource: Resource, now: datetime) -> Reading:
        """Measure CPU or memory against its limit, by Prometheus and by what runs the tasks."""
        prometheus, other = await asyncio.gather(
            self._prometheus(look, now).use(resource, _window(look)),
            asyncio.to_thread(measure_platform_use, self._sources, look.target, resource, look.since, now),
        )
        thresholds = look.target.thresholds
        limit = thresholds.cpu if resource == "cpu" else thresholds.memory
        return use_reading(resource, prometheus, other, limit, now)

    async def log_errors(self, look: Observation, now: datetime) -> Reading:
        """Count the error lines since the observation started, a rate window back at most."""
        since = max(look.since, now - max(look.target.verify.rate_window, SHORTEST))
        return log_reading(await measure_error_lines(self._sources, look.target, now - since, now), now)

    def _prometheus(self, look: Observation, now: datetime) -> PrometheusEvidence:
        return PrometheusEvidence(self._sources.stores, look.target, now)

    async def _reading(self, kind: Kind, observation: Observation, now: datetime) -> Reading:
        instrument = self._by_kind.get(kind)
        if instrument is None:
            return unmeasured(kind, now, f"this worker has nothing that measures {kind}")
        return await measured(kind, now, instrument(observation, now))


def takes_from_a_queue(target: Target) -> bool:
    """Whether CloudWatch can be asked for its queue."""
    return target.queue is not None and target.platform == "ecs"


def answers_nothing(target: Target) -> bool:
    """Whether no source but a load balancer could have requests of it."""
    return target.prometheus_url is None and target.url is None


def _window(look: Observation) -> Window:
    return Window(look.target.verify.rate_window, look.release)


async def measured(
    kind: Kind, now: datetime, reading: Awaitable[Reading], limit: timedelta | None = None
) -> Reading:
    """Await one reading for as long as its kind may take; no error leaves it, only cancellation does."""
    limit = limit or LIMITS.get(kind, USUAL_LIMIT)
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await reading
    except TimeoutError:
        why = f"{kind} took longer than {format_duration(limit)}"
    except RunbookError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - a bake must not end because one instrument broke; the trace is for us
        _log.exception("measuring %s broke", kind)
        why = f"{kind} could not be measured: {type(error).__name__}: {error}"
    return unmeasured(kind, now, why)


def unmeasured(kind: Kind, now: datetime, why: str) -> Reading:
    """Say that something could not be measured."""
    return Reading(
        kind=kind,
        quality=Quality.ERROR,
        detail=why[:500],
        source=SOURCES.get(kind, "prometheus"),
        decides=kind != "log-errors",
        at=now,
    )


def connections_instrument(over_dsn: Instrument, in_container: Instrument) -> Instrument:
    """Measure connections over the DSN where the catalog has one, else in the database's container."""

    async def measure(look: Observation, now: datetime) -> Reading:
        database = look.target.database
        ask = over_dsn if database is None or database.dsn_env else in_container
        return await ask(look, now)

    return measure
