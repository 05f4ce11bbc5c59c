"""What a Prometheus lacks of the names that a target's queries are made of, and what it has that is nearest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from activities.prometheus import promql
from runbook_model.catalog.matchers import Selector, label_name, quoted
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError, RejectedError

if TYPE_CHECKING:
    from activities.prometheus.client import Prometheus

ALIKE = 0.4
"""How alike two names must be, 0 to 1, for one to be called near the other."""
OF_SCRAPES = "scrape_"
"""So begin the series that Prometheus itself writes of every target."""
LATELY = timedelta(hours=1)
METRIC = re.compile(r'\b(?P<plain>[a-zA-Z_:][a-zA-Z0-9_:]*)\{|\{"(?P<quoted>(?:[^"\\]|\\.)*)"(?=\s*[,}])')
BUCKETS = "_bucket"
IN_QUOTES = 'absent({"a name", "a label"="x"})'
"""What Prometheus reads since version 3."""


async def name_missing(prometheus: Prometheus, target: Target, query: str) -> str:
    """Say which metric of a query, or which of the target's labels, Prometheus lacks.

    Empty where it lacks none, or does not list what it has.
    """
    with suppress(OutsideError):
        return await _missing(prometheus, target, query, datetime.now(UTC) - LATELY)
    return ""


async def name_label(prometheus: Prometheus, target: Target, series: Selector, label: str) -> str:
    """Say that the target's series of a metric have no such label, and which is the nearest.

    Empty where they have it, or Prometheus does not list what it has.
    """
    with suppress(OutsideError):
        ours = promql.of_target(series, target, None)
        labels = await prometheus.labels(ours, datetime.now(UTC) - LATELY)
        if label not in labels:
            return f"no series has a label {label}{_nearest(label, labels - {'__name__'})}"
    return ""


async def unread_names(prometheus: Prometheus, target: Target) -> tuple[list[str], str]:
    """Return the target's names that PromQL has in quotes, and why Prometheus does not read such; empty where it does.

    Raises:
        OutsideError: Prometheus cannot be asked.
    """
    names = [*_names_in_quotes(target)]
    try:
        if names:
            await prometheus.rows(IN_QUOTES)
    except RejectedError as error:
        return (
            names,
            f"Prometheus reads no names in quotes, as {quoted(names[0])} needs them: {error.message}",
        )
    return names, ""


def _names_in_quotes(target: Target) -> Iterator[str]:
    convention = target.convention
    series = [convention.requests, convention.failures, *([convention.latency] if convention.latency else [])]
    matchers = [*convention.ignore, *(matcher for item in series for matcher in item.matchers)]
    labels = [*convention.labels, *(matcher.name for matcher in matchers), convention.endpoint]
    yield from (item.metric for item in series if item.written(()).startswith("{"))
    yield from (
        name for name in [*labels, convention.kind, target.release_label] if name and label_name(name) != name
    )


async def _missing(prometheus: Prometheus, target: Target, query: str, since: datetime) -> str:
    ours = promql.selector(target, None)
    wanted = dict.fromkeys(found["plain"] or found["quoted"] for found in METRIC.finditer(query))
    of_service = await prometheus.names("__name__", ours, since)
    missing = [metric for metric in wanted if metric not in of_service]
    if not missing:
        return ""
    metric = missing[0]
    if of_service:
        advice = (
            f"; set {target.convention.buckets}"
            if metric.endswith(BUCKETS) and target.convention.buckets
            else ""
        )
        return f"there is no {metric} of {ours}{_nearest(metric, of_service)}{advice}"
    everywhere = await prometheus.names("__name__", '{__name__!=""}', since)
    if metric not in everywhere:
        return f"there is no {metric}{_nearest(metric, everywhere)}"
    series = Selector(metric).text
    labels = await prometheus.labels(series, since)
    for label, value in target.convention.labels.items():
        if label not in labels:
            return f"{metric} has no label {label}{_nearest(label, labels - {'__name__'})}"
        values = await prometheus.names(label, series, since)
        if value not in values:
            return f'{metric} has no {label}="{value}"{_nearest(value, values)}'
    return f"no series of {metric} has all of {ours}"


def _nearest(name: str, names: Iterable[str]) -> str:
    theirs = sorted(other for other in names if not other.startswith(OF_SCRAPES))
    found = get_close_matches(name, theirs, n=1, cutoff=ALIKE)
    return f"; the nearest is {found[0]}" if found else ""
