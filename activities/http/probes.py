"""Requests that the product sends to a service: health checks, and probes where the catalog allows them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.http.client import http_errors, redirect_of, wait_for_end, was_refused
from runbook_model.catalog.service_policies import Probe
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError, UnreachableError
from runbook_model.measured.measurements import Probes
from runbook_model.measured.readings import Quality, Reading
from runbook_model.text.durations import format_duration

if TYPE_CHECKING:
    import httpx


MOST = 20

AT_ONCE = 10

TIMEOUT = timedelta(seconds=4)
"""For one probe; a slower service has failed it."""


async def send_probes(http: httpx.AsyncClient, url: str, probe: Probe, wanted: int) -> Probes:
    """POST the catalog's probe up to ``MOST`` times; no answer, or a 5xx, is a failed request."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def send() -> int | None:
        async with gate:
            return await _status(http, url, probe)

    statuses = await asyncio.gather(*(send() for _ in range(min(MOST, wanted))))
    return _sent(statuses)


async def time_probes(http: httpx.AsyncClient, url: str, probe: Probe, wanted: int) -> Probes:
    """POST the catalog's probe so many times, one after the other, for as long as they are answered in time."""
    seconds: list[float] = []
    statuses: list[int | None] = []
    while len(statuses) < min(MOST, wanted) and None not in statuses:
        began = time.monotonic()
        statuses.append(await _status(http, url, probe))
        seconds.append(time.monotonic() - began)
    return _sent(statuses, slowest=max(seconds, default=0.0))


def _sent(statuses: Sequence[int | None], slowest: float = 0.0) -> Probes:
    return Probes(
        sent=len(statuses),
        failed=sum(status is None or status >= 500 for status in statuses),
        refused=next((status for status in statuses if status is not None and 400 <= status < 500), None),
        slowest=slowest,
    )


async def _status(http: httpx.AsyncClient, url: str, probe: Probe) -> int | None:
    try:
        with http_errors("send a probe"):
            request = http.stream(
                "POST",
                f"{url}{probe.path}",
                content=probe.body,
                headers={"content-type": "application/json"},
                timeout=TIMEOUT.total_seconds(),
            )
            async with request as response:
                await wait_for_end(response)
    except OutsideError:
        return None  # that it failed is what was to be found out
    return response.status_code


HEALTH_TIMEOUT = timedelta(seconds=4)


async def read_health(http: httpx.AsyncClient, target: Target, now: datetime) -> Reading:
    """GET the service's health once: 2xx is good; another answer, silence after the request, or a closed port is bad.

    A redirect says nothing of the service: whoever answered is not what the catalog meant to ask.
    A target without a url has no health to ask for, and then others decide.

    Raises:
        OutsideError: the request never reached the service, so nothing is known of it.
    """
    if target.url is None:
        return _reading(Quality.NO_DATA, "the catalog gives no url for health", now, decides=False)
    try:
        with http_errors(f"reach {target.health_url}"):
            request = http.stream("GET", target.health_url, timeout=HEALTH_TIMEOUT.total_seconds())
            async with request as response:
                pass  # its body says nothing that is used, and is not read
    except UnreachableError as error:
        if was_refused(error):
            return _reading(Quality.BAD, "health: nothing listens there", now)
        if error.may_have_landed:
            detail = f"health gave no answer within {format_duration(HEALTH_TIMEOUT)} or broke off"
            return _reading(Quality.BAD, detail, now)
        raise
    status = response.status_code
    if redirect := redirect_of(response):
        detail = f"{target.health_url} {redirect}; set url or health_path in the catalog to where it leads"
        return _reading(Quality.NO_DATA, detail, now, value=float(status))
    quality = Quality.GOOD if response.is_success else Quality.BAD
    return _reading(quality, f"health {status}", now, value=float(status))


def _reading(
    quality: Quality, detail: str, now: datetime, *, value: float | None = None, decides: bool = True
) -> Reading:
    return Reading(
        kind="health", quality=quality, value=value, detail=detail, source="http", decides=decides, at=now
    )
