"""Every PromQL query of the product by name, as a target's procedures ask it: whether it has data, and what Prometheus lacks where not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from activities.doctor.looking import NotSetError, Questions, WrongError
from activities.prometheus import promql
from activities.prometheus.answers import NoData
from activities.prometheus.failures import find_failures
from runbook_model.catalog.matchers import Selector, label_name, quoted
from runbook_model.catalog.target import Target
from runbook_model.checks import QUERY
from runbook_model.errors import OutsideError, RejectedError

if TYPE_CHECKING:
    from activities.doctor.service import ServiceLook
    from activities.prometheus.client import Prometheus
    from activities.prometheus.promql import Failures

ALIKE = 0.4
"""How alike two names must be, 0 to 1, for one to be called near the other."""
OF_SCRAPES = "scrape_"
"""So begin the series that Prometheus itself writes of every target."""
LATELY = timedelta(hours=1)
METRIC = re.compile(r'\b(?P<plain>[a-zA-Z_:][a-zA-Z0-9_:]*)\{|\{"(?P<quoted>(?:[^"\\]|\\.)*)"(?=\s*[,}])')
BUCKETS = "_bucket"
IN_QUOTES = 'absent({"a name", "a label"="x"})'
"""What Prometheus reads since version 3."""
NEEDED = "sample-age"
"""Empty means that Prometheus does not scrape the service under its labels; of the others it says little."""
OF_FAILURES = ("error-share", "errors-by-type", "error-share-by-release")
"""Those that speak of failures: where nothing counts them, no answer says anything."""
SPEAKS_FOR = {
    "p95-seconds": "latency",
    "p95-by-endpoint": "endpoint_label",
    "errors-by-type": "type_label",
    "requests-by-release": "release_label",
}
"""The name of the catalog that a check has to find, by the check: where it is given, it must be there."""
COUNT_THEM = "count failures in {}, or give {} a label status with the HTTP status"
NAME_THEM = "set metrics.preset or metrics.failures in {} to what counts failures"


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
    return {f"{QUERY.name}{name}": partial(_ask, name) for name in names}


async def _ask(name: str, look: ServiceLook) -> str:
    target, prometheus = look.target, look.sources.stores.of(look.target)
    if prometheus is None:
        raise NotSetError(f"no prometheus_url in {target.table}")
    await _can_be_read(prometheus, target, name)
    failures = await _failures(prometheus, target) if name in OF_FAILURES else None
    asked = queries_of(target, failures)[name]
    rows = await prometheus.rows(asked)
    if isinstance(rows, NoData):
        raise WrongError(rows.why)
    label = label_of(target, name, failures)
    if rows and label and not any(labels.get(label) for labels, _ in rows):
        missing = await name_label(prometheus, target, _broken_down(target, name, failures), label)
        raise _lacks(target, name, f"Prometheus has data, by no {label}", missing)
    if rows:
        return "has data"
    missing = await name_missing(prometheus, target, asked)
    if name == NEEDED:
        ours = promql.selector(target, None)[1:-1]
        fix = (
            f"let Prometheus scrape the service with the labels {ours}, or correct metrics in {target.table}"
        )
        raise WrongError(f"Prometheus has no series of the service: {missing or asked}", fix)
    counted = await prometheus.rows(queries_of(target)[NEEDED])
    raise _lacks(target, name if counted else "", "Prometheus understands it and has no data", missing)


async def _can_be_read(prometheus: Prometheus, target: Target, name: str) -> None:
    """Say once, in the check that the others need, that this Prometheus reads no names in quotes."""
    names, problem = await unread_names(prometheus, target)
    if problem and name == NEEDED:
        fix = f"use Prometheus 3, or set metrics in {target.table} to the names that this one has"
        raise WrongError(problem, fix)
    asked = queries_of(target)
    if problem and any(quoted(item)[:-1] in f"{asked[name]} {asked[NEEDED]}" for item in names):
        raise NotSetError(f"unknown: {QUERY.name}{NEEDED} is not in place")


def _broken_down(target: Target, name: str, failures: Failures | None) -> Selector:
    """Return the series that a query breaks down by a label."""
    convention = target.convention
    if name.endswith("-by-endpoint") and convention.latency:
        latency = convention.latency
        return latency if convention.native else latency.named(f"{latency.metric}_count")
    return (
        (failures or promql.counter_of(target)).counter if name == "errors-by-type" else convention.requests
    )


def _lacks(target: Target, name: str, what: str, missing: str) -> Exception:
    """Say what a query has no data for: it is wrong where the catalog itself gives the name that is missing."""
    detail, key = f"{what}{missing and f': {missing}'}", SPEAKS_FOR.get(name, "")
    given = target.release_label if key == "release_label" else getattr(target.metrics, key, None)
    if missing and given:
        return WrongError(detail, f"correct {key} in the catalog, which is {quoted(given)}")
    return NotSetError(detail)


async def _failures(prometheus: Prometheus, target: Target) -> Failures | None:
    """Return by what failures are counted; where requests are counted, something must count them."""
    convention = target.convention
    if not await prometheus.rows(queries_of(target)[NEEDED]):
        return None
    failures = await find_failures(prometheus, target, datetime.now(UTC))
    if not isinstance(failures, NoData):
        return failures
    if convention.by_matcher:
        labels = [
            await name_label(prometheus, target, convention.requests, item.name)
            for item in convention.failing
        ]
        missing = next(filter(None, labels), "")
    else:
        query = promql.of_target(convention.failures, target, None)
        missing = await name_missing(prometheus, target, query)
    names = (convention.failures.text, convention.requests.text)
    fix = COUNT_THEM.format(*names) if convention.by_status else NAME_THEM.format(target.table)
    said, _, more = missing.partition("; ")
    raise WrongError("; ".join(filter(None, (failures.why, more if said in failures.why else missing))), fix)
