"""What a sample is measured with: all readings at the same time, each with its own time limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.http.probes import read_health
from activities.measuring.error_rate import ErrorRate
from activities.measuring.latency import read_latency
from activities.measuring.logs import read_log_errors
from activities.measuring.resource_use import read_use
from runbook_model.durations import format_duration
from runbook_model.errors import RunbookError
from runbook_model.readings import Quality, Reading, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from activities.measuring.sources import Sources
    from runbook_model.readings import Kind, Observation

SOURCES: dict[Kind, str] = {"health": "http", "log-errors": "logs", "connections": "database"}
"""Where a kind is measured, unless it is Prometheus."""

USUAL_LIMIT = timedelta(seconds=15)

LIMITS: dict[Kind, timedelta] = {
    "health": timedelta(seconds=5),
    # The error rate asks Prometheus, makes two rounds of scrapes and sends probes, at worst one after the other.
    "error-rate": timedelta(seconds=25),
    "latency": timedelta(
        seconds=25
    ),  # five probes, one after the other, of which at most one takes its whole time
    "log-errors": timedelta(seconds=12),
}

Instrument = Callable[["Observation", "datetime"], Awaitable[Reading]]
"""Takes one reading; raises RunbookError when it cannot."""

_log = logging.getLogger(__name__)


class Instruments:
    """Everything that a sample is measured with, by what it measures."""

    def __init__(
        self,
        sources: Sources,
        error_rate: ErrorRate | None = None,
        others: Mapping[Kind, Instrument] | None = None,
    ) -> None:
        """Compose the instruments; ``others`` adds kinds, or takes the place of ours."""
        self._by_kind: dict[Kind, Instrument] = {
            "health": lambda look, now: read_health(sources.http, look.target, now),
            "error-rate": (error_rate or ErrorRate(sources.http)).reading,
            "log-errors": lambda look, now: read_log_errors(sources, look.target, look.since, now),
            "latency": lambda look, now: read_latency(sources.http, look, now),
            "cpu": lambda look, now: read_use(sources, look, "cpu", now),
            "memory": lambda look, now: read_use(sources, look, "memory", now),
            **(others or {}),
        }

    async def sample(self, observation: Observation, now: datetime) -> Sample:
        """Take all readings of one moment; what cannot be measured is a reading of quality ``error``."""
        readings = await asyncio.gather(
            *(self._reading(kind, observation, now) for kind in observation.looks)
        )
        return Sample(at=now, readings=tuple(readings))

    async def _reading(self, kind: Kind, observation: Observation, now: datetime) -> Reading:
        instrument = self._by_kind.get(kind)
        if instrument is None:
            return unmeasured(kind, now, f"this worker has nothing that measures {kind}")
        return await measured(kind, now, instrument(observation, now))


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
