"""Every PromQL query of the product: pure functions from a target, a release and a window to text.

What requests, failures and latency are named is the target's convention. The queries hold on Prometheus 2.42 and 3: rate
windows should span four scrapes at least, and no query compares ``le`` with a number, which Prometheus 3 writes as
``1.0`` and Prometheus 2 as ``1``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from runbook_model.catalog.matchers import Matcher, Selector, label_name, quoted
from runbook_model.catalog.target import Target
from runbook_model.releases.release import Release

PROCESS = "process_start_time_seconds"
CPU_SECONDS = "container_cpu_usage_seconds_total"
CPU_QUOTA = "container_spec_cpu_quota"
CPU_PERIOD = "container_spec_cpu_period"
MEMORY = "container_memory_usage_bytes"
MEMORY_LIMIT = "container_spec_memory_limit_bytes"
USUAL_WINDOWS = 12
"""What is usual is the median over so many rate windows …"""
USUAL_OFFSET = 2
"""… the last of which ended so many windows ago, so that an outage that has just started is not in it."""


class Failures(NamedTuple):
    """By which series the requests that failed are counted."""

    counter: Selector
    kind: str
    """The label that says what kind of failure it was."""


def counter_of(target: Target) -> Failures:
    """Failures as the target's convention names them."""
    return Failures(target.convention.failures, target.convention.kind)


def by_status(target: Target, label: str) -> Failures:
    """Failures by a label of the request counter that holds the HTTP status, or its class as ``5xx``."""
    failing = Matcher(label_name(label), "=~", quoted("5.."))
    return Failures(target.convention.requests.where(failing), label)


def error_share(
    target: Target, release: Release | None, window: timedelta, failures: Failures | None = None
) -> str:
    """Share of requests that failed, 0 to 1; NaN without requests.

    No series of failures counts as none failed: ask it only with ``failures`` that are known to be counted. Without
    requests nothing is known, so the zero is for the failures alone; ask ``request_count`` too.
    """
    failed = _summed("rate", (failures or counter_of(target)).counter, target, release, window)
    requests = _summed("rate", target.convention.requests, target, release, window)
    return f"({failed} or vector(0)) / {requests}"


def request_count(target: Target, release: Release | None, window: timedelta) -> str:
    """How many requests were answered in the window; empty when no series has two samples in it."""
    return _summed("increase", target.convention.requests, target, release, window)


def sample_age(target: Target, release: Release | None) -> str:
    """Seconds since the newest scrape of a live task; empty when every series has ended."""
    return f"time() - max(timestamp({of_target(target.convention.requests, target, release)}))"


def p95_seconds(target: Target, release: Release | None, window: timedelta, *by: str | None) -> str:
    """Time in which 95 % of the requests were answered, in seconds; NaN without requests."""
    if target.convention.native:
        buckets = _summed_rate(_latency(target), target, release, window, *by)
    else:
        buckets = _summed_rate(_part(target, "_bucket"), target, release, window, "le", *by)
    return _in_seconds(target, f"histogram_quantile(0.95, {buckets})")


def latency_buckets(target: Target, release: Release | None, window: timedelta) -> str:
    """Which buckets the histogram has, a series for each bound, in its own unit; a native one has none to ask for.

    A quantile that lies beyond the highest finite one is given as that bound: it is at least so much.
    """
    buckets = of_users(_part(target, "_bucket"), target, release)
    return f"group by (le) (last_over_time({buckets}[{span(window)}]))"


def errors_by_type(
    target: Target, release: Release | None, window: timedelta, failures: Failures | None = None
) -> str:
    """How many requests failed in the window, a series for each kind of failure."""
    failures = failures or counter_of(target)
    return _summed("increase", failures.counter, target, release, window, failures.kind)


def error_share_by_release(target: Target, window: timedelta, failures: Failures | None = None) -> str:
    """Share of requests that failed, a series for each release; needs a release label."""
    requests = _summed("rate", target.convention.requests, target, None, window, target.release_label)
    counter = (failures or counter_of(target)).counter
    errors = _summed("rate", counter, target, None, window, target.release_label)
    return f"({errors} or 0 * {requests}) / {requests}"


def requests_by_release(target: Target, window: timedelta) -> str:
    """How many requests were answered in the window, a series for each release; needs a release label."""
    return _summed("increase", target.convention.requests, target, None, window, target.release_label)


def request_rate(target: Target, window: timedelta) -> str:
    """How many requests a second are answered."""
    return _summed("rate", target.convention.requests, target, None, window)


def p95_by_endpoint(target: Target, window: timedelta) -> str:
    """Time in which 95 % of the requests were answered, in seconds, a series for each endpoint."""
    return p95_seconds(target, None, window, target.convention.endpoint)


def mean_by_endpoint(target: Target, window: timedelta) -> str:
    """Mean time of a request in seconds, a series for each endpoint."""
    endpoint = target.convention.endpoint
    if target.convention.native:
        of_each = _summed_rate(_latency(target), target, None, window, endpoint)
        return _in_seconds(target, f"histogram_sum({of_each}) / histogram_count({of_each})")
    time, requests = (
        _summed_rate(_part(target, part), target, None, window, endpoint) for part in ("_sum", "_count")
    )
    return _in_seconds(target, f"{time} / {requests}")


def cpu_share(target: Target, window: timedelta, release: Release | None = None) -> str:
    """CPU used as a share of what each task may use; without a limit there is no share."""
    labels = selector(target, release)
    # Some container hosts count each core apart.
    used = f"sum without (cpu) (rate({CPU_SECONDS}{labels}[{span(window)}]))"
    return f"{used} / ({CPU_QUOTA}{labels} / {CPU_PERIOD}{labels})"


def mean_cpu_share(target: Target, release: Release | None, window: timedelta) -> str:
    """CPU used as a share of the limit, averaged over the tasks."""
    return f"avg({cpu_share(target, window, release)})"


def memory_share(target: Target, release: Release | None = None) -> str:
    """Memory used as a share of what each task may use; tasks without a limit are left out."""
    return f"{memory_bytes(target, release)} / ({memory_limit(target, release)} > 0)"


def most_memory_share(target: Target, release: Release | None) -> str:
    """Memory used as a share of the limit by the task that uses most: it is the one that will be killed."""
    return f"max({memory_share(target, release)})"


def memory_bytes(target: Target, release: Release | None = None) -> str:
    """Memory used by each task, in bytes."""
    return f"{MEMORY}{selector(target, release)}"


def memory_limit(target: Target, release: Release | None = None) -> str:
    """Memory that each task may use, in bytes; 0 without a limit."""
    return f"{MEMORY_LIMIT}{selector(target, release)}"


def ended_processes(target: Target, release: Release | None, window: timedelta) -> str:
    """How many processes were there in the window and are no more; of one release, these are its restarts."""
    labels = selector(target, release)
    seen = f"count(last_over_time({PROCESS}{labels}[{span(window)}]))"
    changed = f"(sum(changes({PROCESS}{labels}[{span(window)}])) or vector(0))"
    return f"{seen} - (count({PROCESS}{labels}) or vector(0)) + {changed}"


def usual(query: str, window: timedelta) -> str:
    """Return the median of a query's one number over the windows before the last ones."""
    lookback = span(USUAL_WINDOWS * window)
    return (
        f"quantile_over_time(0.5, ({query})[{lookback}:{span(window)}] offset {span(USUAL_OFFSET * window)})"
    )


def of_target(series: Selector, target: Target, release: Release | None) -> str:
    """Write the series of a metric that are the target's, and the release's."""
    return series.written(_labels(target, release))


def of_users(series: Selector, target: Target, release: Release | None) -> str:
    """Write the same without the requests that the catalog ignores, each matcher negated by itself."""
    ignored = [matcher.negated for matcher in target.convention.ignore]
    return series.written([*_labels(target, release), *ignored])


def selector(target: Target, release: Release | None) -> str:
    """Braces with the labels of the target, and of the release where the catalog names a label for it."""
    return "{" + ", ".join(_labels(target, release)) + "}"


def span(window: timedelta) -> str:
    """Write a duration as PromQL has it: whole seconds, else milliseconds."""
    milliseconds = max(1, round(window / timedelta(milliseconds=1)))
    seconds, rest = divmod(milliseconds, 1000)
    return f"{milliseconds}ms" if rest else f"{seconds}s"


def _labels(target: Target, release: Release | None) -> list[str]:
    labels = dict(target.convention.labels)
    if release and target.release_label:
        labels[target.release_label] = release.revision
    return [f"{label_name(name)}={quoted(value)}" for name, value in labels.items()]


def _summed(
    function: str,
    series: Selector,
    target: Target,
    release: Release | None,
    window: timedelta,
    by: str | None = None,
) -> str:
    """Write the sum of what a counter grew by, a series for each value of a label if one is given."""
    counted = f"{function}({of_users(series, target, release)}[{span(window)}])"
    if target.convention.counts_natively(series):
        counted = f"histogram_count({counted})"
    return f"sum{_by(by)}({counted})"


def _summed_rate(
    series: Selector, target: Target, release: Release | None, window: timedelta, *by: str | None
) -> str:
    """Write the summed rate of a histogram or of one of its parts."""
    return f"sum{_by(*by)}(rate({of_users(series, target, release)}[{span(window)}]))"


def _in_seconds(target: Target, query: str) -> str:
    return f"({query}) / 1000" if target.convention.unit == "milliseconds" else query


def _part(target: Target, suffix: str) -> Selector:
    latency = _latency(target)
    return latency.named(f"{latency.metric}{suffix}")


def _latency(target: Target) -> Selector:
    latency = target.convention.latency
    assert latency, "asked for the latency of a target that has none"
    return latency


def _by(*labels: str | None) -> str:
    named = ", ".join(label_name(label) for label in labels if label)
    return f" by ({named}) " if named else ""
