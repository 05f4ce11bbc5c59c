"""Take one sample of a target: health, error rate and error lines at the same time, each with its own time limit."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.durations import format_duration
from activities.error_rate import ErrorRate
from activities.errors import RunbookError
from activities.health import read_health
from activities.logs import read_log_errors
from activities.readings import Quality, Reading, Sample

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    import httpx

    from activities.clients import Clients
    from activities.readings import Kind, Observation

SOURCES: dict[Kind, str] = {"health": "http", "error-rate": "prometheus", "log-errors": "logs"}
# The error rate asks Prometheus, makes two rounds of scrapes and sends probes, in the worst case one after the other.
LIMITS: dict[Kind, timedelta] = {
    "health": timedelta(seconds=5),
    "error-rate": timedelta(seconds=25),
    "log-errors": timedelta(seconds=12),
}
_log = logging.getLogger(__name__)


class Instruments:
    """Everything that a sample is measured with."""

    def __init__(
        self, clients: Clients, http: httpx.AsyncClient, error_rate: ErrorRate | None = None
    ) -> None:
        self._clients = clients
        self._http = http
        self._error_rate = error_rate or ErrorRate(http)

    async def sample(self, observation: Observation, now: datetime) -> Sample:
        """Take all readings of one moment; what cannot be measured is a reading of quality ``error``."""
        target = observation.target
        readings = await asyncio.gather(
            measured("health", now, read_health(self._http, target, now)),
            measured("error-rate", now, self._error_rate.reading(observation, now)),
            measured("log-errors", now, read_log_errors(self._clients, target, observation.since, now)),
        )
        return Sample(at=now, readings=tuple(readings))


async def measured(
    kind: Kind, now: datetime, reading: Awaitable[Reading], limit: timedelta | None = None
) -> Reading:
    """Await one reading for as long as its kind may take; no error leaves it, only cancellation does."""
    limit = limit or LIMITS[kind]
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
    return Reading(
        kind=kind,
        quality=Quality.ERROR,
        detail=why[:500],
        source=SOURCES[kind],
        decides=kind != "log-errors",
        at=now,
    )
