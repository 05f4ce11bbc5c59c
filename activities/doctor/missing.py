"""What a query lacks at a Prometheus: the metric or the label that is not there, and the nearest one that is."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from activities.prometheus import promql
from runbook_model.errors import OutsideError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from activities.prometheus.client import Prometheus
    from runbook_model.catalog.catalog import Target

ALIKE = 0.4
"""How alike two names must be, 0 to 1, for one to be called near the other."""
LATELY = timedelta(hours=1)
METRIC = re.compile(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\{")


async def name_missing(prometheus: Prometheus, target: Target, query: str) -> str:
    """Say which metric of a query, or which of the target's labels, Prometheus lacks.

    Empty where it lacks none, or does not list what it has.
    """
    with suppress(OutsideError):
        return await _missing(prometheus, target, query, datetime.now(UTC) - LATELY)
    return ""


async def _missing(prometheus: Prometheus, target: Target, query: str, since: datetime) -> str:
    ours = promql.selector(target, None)
    wanted = dict.fromkeys(METRIC.findall(query))
    of_service = await prometheus.names("__name__", ours, since)
    missing = [metric for metric in wanted if metric not in of_service]
    if not missing:
        return ""
    metric = missing[0]
    if of_service:
        return f"there is no {metric} of {ours}{_nearest(metric, of_service)}"
    everywhere = await prometheus.names("__name__", '{__name__!=""}', since)
    if metric not in everywhere:
        return f"there is no {metric}{_nearest(metric, everywhere)}"
    labels = await prometheus.labels(metric, since)
    for label, value in {"service": target.service, "environment": target.environment}.items():
        if label not in labels:
            return f"{metric} has no label {label}{_nearest(label, labels - {'__name__'})}"
        values = await prometheus.names(label, metric, since)
        if value not in values:
            return f'{metric} has no {label}="{value}"{_nearest(value, values)}'
    return f"no series of {metric} has all of {ours}"


def _nearest(name: str, names: Iterable[str]) -> str:
    found = get_close_matches(name, sorted(names), n=1, cutoff=ALIKE)
    return f"; the nearest is {found[0]}" if found else ""
