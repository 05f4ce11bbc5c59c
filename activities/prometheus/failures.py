"""By what a service's failures are counted: a series that is not there is not zero failures.

A counter of failures that never grew has no series in many libraries, and so has one that the service does not have at
all. Only the first is zero.
"""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.prometheus import promql
from activities.prometheus.client import NoData

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from activities.prometheus.client import Prometheus
    from activities.prometheus.promql import Failures
    from runbook_model.catalog.catalog import Target

STATUS_LABELS = (
    "status",
    "code",
    "status_code",
    "http_status",
    "http_status_code",
    "response_code",
    "http_response_status_code",
)
"""Labels that hold a request's HTTP status in libraries that many use; the first that does counts."""
REMEMBERED = timedelta(days=30)
"""A counter of failures that existed within this time still does: it only did not grow since the service started."""
_STATUS = re.compile(r"0|[0-9](?:[0-9]{2}|[xX]{2})")


async def find_failures(prometheus: Prometheus, target: Target, now: datetime) -> Failures | NoData:
    """Find by what the target's failures are counted, or say that nothing counts them.

    Raises:
        OutsideError: Prometheus cannot be read.
    """
    ours = promql.selector(target, None)
    own, requests = await asyncio.gather(
        prometheus.rows(f"count({promql.ERRORS}{ours})"),
        prometheus.rows(f"count by ({', '.join(STATUS_LABELS)}) ({promql.REQUESTS}{ours})"),
    )
    if isinstance(own, NoData):
        return own
    if isinstance(requests, NoData):
        return requests
    if own:
        return promql.COUNTER
    if label := status_label(labels for labels, _ in requests):
        return promql.by_status(label)
    if await _is_declared(prometheus, target):
        return promql.COUNTER
    if await prometheus.has_series(f"{promql.ERRORS}{ours}", now - REMEMBERED, now):
        return promql.COUNTER
    return NoData(why=uncounted(ours))


def status_label(series: Iterable[Mapping[str, str]]) -> str | None:
    """Return the label in which every one of some series holds an HTTP status; None where none does."""
    rows = list(series)
    return next(
        (
            label
            for label in STATUS_LABELS
            if rows and all(_STATUS.fullmatch(row.get(label, "")) for row in rows)
        ),
        None,
    )


def uncounted(where: str) -> str:
    """Say that nothing counts the failures, and what would."""
    return (
        f"nothing counts failures: there is no {promql.ERRORS} of {where}, "
        f"and no label of {promql.REQUESTS} holds the HTTP status"
    )


async def _is_declared(prometheus: Prometheus, target: Target) -> bool:
    """Whether a live task's last scrape had the counter's TYPE line."""
    rows = await prometheus.rows(
        f"count by (job, instance) ({promql.REQUESTS}{promql.selector(target, None)})"
    )
    live = [labels for labels, _ in rows if labels.get("job")] if not isinstance(rows, NoData) else []
    if not live:
        return False
    asked = ", ".join(
        f"{name}=~{_any_of(row[name] for row in live if name in row)}" for name in ("job", "instance")
    )
    ours = {"service": target.service, "environment": target.environment}
    found = await prometheus.declared(promql.ERRORS, f"{{{asked}}}")
    return any(all(labels.get(name, value) == value for name, value in ours.items()) for labels in found)


def _any_of(values: Iterable[str]) -> str:
    return '"' + promql.escape("|".join(re.escape(value) for value in sorted({*values}))) + '"'
