"""Every PromQL query of the product: pure functions from a target, a release and a window to text.

The metric names are the runbook's. The queries hold on Prometheus 2.42 and 3: rate windows should span four scrapes at
least, and no query compares ``le`` with a number, which Prometheus 3 writes as ``1.0`` and Prometheus 2 as ``1``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from runbook_model.catalog.matchers import parse_matcher

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.release import Release

REQUESTS = "http_requests_total"
ERRORS = "http_errors_total"
SECONDS = "http_request_duration_seconds_bucket"
SECONDS_SUM = "http_request_duration_seconds_sum"
SECONDS_COUNT = "http_request_duration_seconds_count"
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

    metric: str
    matcher: str | None
    """Which of its series; None where all of them count failures only."""
    kind: str
    """The label that says what kind of failure it was."""

    @property
    def series(self) -> str:
        """The series in words: ``http_requests_total{status=~"5.."}``."""
        return f"{self.metric}{{{self.matcher}}}" if self.matcher else self.metric


COUNTER = Failures(ERRORS, None, "type")
"""Failures with a counter of their own."""


def by_status(label: str) -> Failures:
    """Failures by a label of the request counter that holds the HTTP status, or its class as ``5xx``."""
    return Failures(REQUESTS, f'{label}=~"5.."', label)


def error_share(
    target: Target, release: Release | None, window: timedelta, failures: Failures = COUNTER
) -> str:
    """Share of requests that failed, 0 to 1; NaN without requests.

    No series of failures counts as none failed: ask it only with ``failures`` that are known to be counted. Without
    requests nothing is known, so the zero is for the failures alone; ask ``request_count`` too.
    """
    failed = f"sum(rate({_failed(target, release, failures)}[{span(window)}]))"
    requests = f"sum(rate({REQUESTS}{user_requests(target, release)}[{span(window)}]))"
    return f"({failed} or vector(0)) / {requests}"


def request_count(target: Target, release: Release | None, window: timedelta) -> str:
    """How many requests were answered in the window; empty when no series has two samples in it."""
    return f"sum(increase({REQUESTS}{user_requests(target, release)}[{span(window)}]))"


def sample_age(target: Target, release: Release | None) -> str:
    """Seconds since the newest scrape of a live task; empty when every series has ended."""
    return f"time() - max(timestamp({REQUESTS}{selector(target, release)}))"


def p95_seconds(target: Target, release: Release | None, window: timedelta) -> str:
    """Time in which 95 % of the requests were answered, in seconds; NaN without requests."""
    buckets = f"rate({SECONDS}{user_requests(target, release)}[{span(window)}])"
    return f"histogram_quantile(0.95, sum by (le) ({buckets}))"


def latency_buckets(target: Target, release: Release | None, window: timedelta) -> str:
    """Which buckets the histogram has, a series for each bound.

    A quantile that lies beyond the highest finite one is given as that bound: it is at least so much.
    """
    return f"group by (le) (last_over_time({SECONDS}{user_requests(target, release)}[{span(window)}]))"


def errors_by_type(
    target: Target, release: Release | None, window: timedelta, failures: Failures = COUNTER
) -> str:
    """How many requests failed in the window, a series for each kind of failure."""
    return f"sum by ({failures.kind}) (increase({_failed(target, release, failures)}[{span(window)}]))"


def error_share_by_release(target: Target, window: timedelta, failures: Failures = COUNTER) -> str:
    """Share of requests that failed, a series for each release; needs a release label."""
    requests = (
        f"sum by ({target.release_label}) (rate({REQUESTS}{user_requests(target, None)}[{span(window)}]))"
    )
    errors = f"sum by ({target.release_label}) (rate({_failed(target, None, failures)}[{span(window)}]))"
    return f"({errors} or 0 * {requests}) / {requests}"


def requests_by_release(target: Target, window: timedelta) -> str:
    """How many requests were answered in the window, a series for each release; needs a release label."""
    return (
        f"sum by ({target.release_label}) (increase({REQUESTS}{user_requests(target, None)}[{span(window)}]))"
    )


def request_rate(target: Target, window: timedelta) -> str:
    """How many requests a second are answered."""
    return f"sum(rate({REQUESTS}{user_requests(target, None)}[{span(window)}]))"


def p95_by_endpoint(target: Target, window: timedelta) -> str:
    """Time in which 95 % of the requests were answered, in seconds, a series for each ``endpoint``."""
    buckets = f"rate({SECONDS}{user_requests(target, None)}[{span(window)}])"
    return f"histogram_quantile(0.95, sum by (le, endpoint) ({buckets}))"


def mean_by_endpoint(target: Target, window: timedelta) -> str:
    """Mean time of a request in seconds, a series for each ``endpoint``."""
    seconds, requests = (
        f"sum by (endpoint) (rate({metric}{user_requests(target, None)}[{span(window)}]))"
        for metric in (SECONDS_SUM, SECONDS_COUNT)
    )
    return f"{seconds} / {requests}"


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


def _failed(target: Target, release: Release | None, failures: Failures) -> str:
    labels = user_requests(target, release)
    return (
        f"{failures.metric}{labels[:-1]}, {failures.matcher}}}"
        if failures.matcher
        else f"{failures.metric}{labels}"
    )


def user_requests(target: Target, release: Release | None) -> str:
    """Return the same braces without the requests that the catalog ignores, each matcher negated by itself."""
    ignored = [parse_matcher(text).negated for text in target.metrics.ignore]
    return ", ".join([selector(target, release)[:-1], *ignored]) + "}"


def selector(target: Target, release: Release | None) -> str:
    """Braces with the labels of the target, and of the release where the catalog names a label for it."""
    labels = {"service": target.service, "environment": target.environment}
    if release and target.release_label:
        labels[target.release_label] = release.revision
    return "{" + ", ".join(f'{name}="{escape(value)}"' for name, value in labels.items()) + "}"


def escape(value: str) -> str:
    """Write a label's value so that it cannot leave its quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def span(window: timedelta) -> str:
    """Write a duration as PromQL has it: whole seconds, else milliseconds."""
    milliseconds = max(1, round(window / timedelta(milliseconds=1)))
    seconds, rest = divmod(milliseconds, 1000)
    return f"{milliseconds}ms" if rest else f"{seconds}s"
