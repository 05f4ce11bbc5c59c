"""Every PromQL query of the product by name, as a target's procedures ask it, and what one lacks at a Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from activities.doctor.looking import NotSetError, Questions, WrongError
from activities.prometheus import promql
from activities.prometheus.answers import NoData
from activities.prometheus.failures import find_failures
from runbook_model.catalog.matchers import Selector
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError

if TYPE_CHECKING:
    from activities.doctor.service import ServiceLook
    from activities.prometheus.client import Prometheus
    from activities.prometheus.promql import Failures

NEEDED = "sample-age"
"""Empty means that Prometheus does not scrape the service under its labels; of the others it says little."""


OF_FAILURES = ("error-share", "errors-by-type", "error-share-by-release")
"""Those that speak of failures: where nothing counts them, no answer says anything."""


ALIKE = 0.4
"""How alike two names must be, 0 to 1, for one to be called near the other."""
OF_SCRAPES = "scrape_"
"""So begin the series that Prometheus itself writes of every target."""
LATELY = timedelta(hours=1)
METRIC = re.compile(r'\b(?P<plain>[a-zA-Z_:][a-zA-Z0-9_:]*)\{|\{"(?P<quoted>(?:[^"\\]|\\.)*)"(?=\s*[,}])')
BUCKETS = "_bucket"
COUNT_THEM = "count failures in {}, or give {} a label status with the HTTP status"
NAME_THEM = "set metrics.preset or metrics.failures in {} to what counts failures"


def queries_of(target: Target, failures: Failures | None = None) -> dict[str, str]:
    """Return the queries by name; those by release, of endpoints and of latency only where there are names for it."""
    window, convention = target.verify.rate_window, target.convention
    rate = promql.request_rate(target, window)
    always = {
        NEEDED: promql.sample_age(target, None),
        "error-share": promql.error_share(target, None, window, failures),
        "request-count": promql.request_count(target, None, window),
        "request-rate": rate,
        "usual": promql.usual(rate, window),
        "errors-by-type": promql.errors_by_type(target, None, window, failures),
        "cpu-share": promql.cpu_share(target, window),
        "mean-cpu-share": promql.mean_cpu_share(target, None, window),
        "memory-share": promql.memory_share(target),
        "most-memory-share": promql.most_memory_share(target, None),
        "memory-bytes": promql.memory_bytes(target),
        "memory-limit": promql.memory_limit(target),
        "ended-processes": promql.ended_processes(target, None, window),
    }
    of_latency = {"p95-seconds": promql.p95_seconds(target, None, window)} if convention.latency else {}
    if convention.latency and not convention.native:
        of_latency["latency-buckets"] = promql.latency_buckets(target, None, window)
    if convention.latency and convention.endpoint:
        of_latency["p95-by-endpoint"] = promql.p95_by_endpoint(target, window)
        of_latency["mean-by-endpoint"] = promql.mean_by_endpoint(target, window)
    by_release = {
        "error-share-by-release": promql.error_share_by_release(target, window, failures),
        "requests-by-release": promql.requests_by_release(target, window),
    }
    return always | of_latency | (by_release if target.release_label else {})


def label_of(target: Target, name: str, failures: Failures | None) -> str | None:
    """Return the label that a query breaks its number down by; None of one that does not."""
    if name.endswith("-by-endpoint"):
        return target.convention.endpoint
    if name == "errors-by-type":
        return (failures or promql.counter_of(target)).kind
    return target.release_label if name.endswith("-by-release") else None


def ask_queries(target: Target) -> Questions[ServiceLook]:
    """Return a question for each query of a target, by the name of its check; none without a Prometheus."""
    names = queries_of(target) if target.store else ()
    return {f"prometheus-{name}": partial(_ask, name) for name in names}


async def _ask(name: str, look: ServiceLook) -> str:
    target, prometheus = look.target, look.sources.stores.of(look.target)
    if prometheus is None:
        raise NotSetError(f"no prometheus_url in {target.table}")
    failures = await _failures(prometheus, target) if name in OF_FAILURES else None
    asked = queries_of(target, failures)[name]
    rows = await prometheus.rows(asked)
    if isinstance(rows, NoData):
        raise WrongError(rows.why)
    label = label_of(target, name, failures)
    if rows and label and not any(labels.get(label) for labels, _ in rows):
        unlabelled = await name_label(prometheus, target, label)
        raise NotSetError(f"Prometheus has data, by no {label}{unlabelled and f': {unlabelled}'}")
    if rows:
        return "has data"
    missing = await name_missing(prometheus, target, asked)
    if name == NEEDED:
        ours = promql.selector(target, None)[1:-1]
        fix = (
            f"let Prometheus scrape the service with the labels {ours}, or correct metrics in {target.table}"
        )
        raise WrongError(f"Prometheus has no series of the service: {missing or asked}", fix)
    raise NotSetError(f"Prometheus understands it and has no data{missing and f': {missing}'}")


async def _failures(prometheus: Prometheus, target: Target) -> Failures | None:
    """Return by what failures are counted; where requests are counted, something must count them."""
    convention = target.convention
    if not await prometheus.rows(queries_of(target)[NEEDED]):
        return None
    failures = await find_failures(prometheus, target, datetime.now(UTC))
    if not isinstance(failures, NoData):
        return failures
    if convention.by_matcher:
        labels = [await name_label(prometheus, target, item.name) for item in convention.failing]
        missing = next(filter(None, labels), "")
    else:
        query = promql.of_target(convention.failures, target, None)
        missing = await name_missing(prometheus, target, query)
    names = (convention.failures.text, convention.requests.text)
    fix = COUNT_THEM.format(*names) if convention.by_status else NAME_THEM.format(target.table)
    said, _, more = missing.partition("; ")
    raise WrongError("; ".join(filter(None, (failures.why, more if said in failures.why else missing))), fix)


async def name_missing(prometheus: Prometheus, target: Target, query: str) -> str:
    """Say which metric of a query, or which of the target's labels, Prometheus lacks.

    Empty where it lacks none, or does not list what it has.
    """
    with suppress(OutsideError):
        return await _missing(prometheus, target, query, datetime.now(UTC) - LATELY)
    return ""


async def name_label(prometheus: Prometheus, target: Target, label: str) -> str:
    """Say that the target's requests have no such label, and which is the nearest.

    Empty where they have it, or Prometheus does not list what it has.
    """
    with suppress(OutsideError):
        requests = promql.of_target(target.convention.requests, target, None)
        labels = await prometheus.labels(requests, datetime.now(UTC) - LATELY)
        if label not in labels:
            return f"no series has a label {label}{_nearest(label, labels - {'__name__'})}"
    return ""


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
