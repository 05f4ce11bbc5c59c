"""Requests that the product itself sends, where the catalog allows it, to settle what too little traffic leaves open."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.errors import OutsideError
from activities.http_errors import http_errors
from activities.traffic import Probes

if TYPE_CHECKING:
    import httpx

    from activities.catalog import Probe

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
    return Probes(
        sent=len(statuses),
        failed=sum(status is None or status >= 500 for status in statuses),
        refused=next((status for status in statuses if status is not None and 400 <= status < 500), None),
    )


async def _status(http: httpx.AsyncClient, url: str, probe: Probe) -> int | None:
    try:
        with http_errors("send a probe"):
            response = await http.post(
                f"{url}{probe.path}",
                content=probe.body,
                headers={"content-type": "application/json"},
                timeout=TIMEOUT.total_seconds(),
            )
    except OutsideError:
        return None  # that it failed is what was to be found out
    return response.status_code
