"""The service's ``/health``, asked as its users reach it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from activities.http.errors import http_errors, was_refused
from runbook_model.durations import format_duration
from runbook_model.errors import UnreachableError
from runbook_model.readings import Quality, Reading

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from runbook_model.catalog.catalog import Target

TIMEOUT = timedelta(seconds=4)


async def read_health(http: httpx.AsyncClient, target: Target, now: datetime) -> Reading:
    """GET ``/health`` once: 2xx is good; any other answer, silence after the request, or a closed port is bad.

    A target without a url has no health to ask for, and then others decide.

    Raises:
        OutsideError: the request never reached the service, so nothing is known of it.
    """
    if target.url is None:
        return _reading(Quality.NO_DATA, "the catalog gives no url for health", now, decides=False)
    try:
        with http_errors(f"reach {target.url}/health"):
            response = await http.get(f"{target.url}/health", timeout=TIMEOUT.total_seconds())
    except UnreachableError as error:
        if was_refused(error):
            return _reading(Quality.BAD, "health: nothing listens there", now)
        if error.may_have_landed:
            detail = f"health gave no answer within {format_duration(TIMEOUT)} or broke off"
            return _reading(Quality.BAD, detail, now)
        raise
    status = response.status_code
    quality = Quality.GOOD if response.is_success else Quality.BAD
    return _reading(quality, f"health {status}", now, value=float(status))


def _reading(
    quality: Quality, detail: str, now: datetime, *, value: float | None = None, decides: bool = True
) -> Reading:
    return Reading(
        kind="health", quality=quality, value=value, detail=detail, source="http", decides=decides, at=now
    )
