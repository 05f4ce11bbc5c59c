"""Every PromQL query of the product: pure functions from a target, a release and a window to text.

The metric names are the runbook's. The queries hold on Prometheus 2.42 and 3: rate windows should span four scrapes at
least, and no query compares ``le`` with a number, which Prometheus 3 writes as ``1.0`` and Prometheus 2 as ``1``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from activities.catalog import Target
    from activities.models import Release

REQUESTS = "http_requests_total"
ERRORS = "http_errors_total"
SECONDS = "http_request_duration_seconds_bucket"


def error_share(target: Target, release: Release | None, window: timedelta) -> str:
    """Share of requests that failed, 0 to 1; NaN without requests.

    A service that never failed has no error series: it counts as zero errors. Without requests nothing is known, so the
    zero is for the errors alone; ask ``request_count`` too.
    """
    errors, requests = (
        f"sum(rate({metric}{selector(target, release)}[{span(window)}]))" for metric in (ERRORS, REQUESTS)
    )
    return f"({errors} or vector(0)) / {requests}"


def request_count(target: Target, release: Release | None, window: timedelta) -> str:
    """How many requests were answered in the window; empty when no series has two samples in it."""
    return f"sum(increase({REQUESTS}{selector(target, release)}[{span(window)}]))"


def sample_age(target: Target, release: Release | None) -> str:
    """Seconds since the newest scrape of a live task; empty when every series has ended."""
    return f"time() - max(timestamp({REQUESTS}{selector(target, release)}))"


def p95_seconds(target: Target, release: Release | None, window: timedelta) -> str:
    """Time in which 95 % of the requests were answered, in seconds; NaN without requests."""
    buckets = f"rate({SECONDS}{selector(target, release)}[{span(window)}])"
    return f"histogram_quantile(0.95, sum by (le) ({buckets}))"


def errors_by_type(target: Target, release: Release | None, window: timedelta) -> str:
    """How many requests failed in the window, a series for each ``type``."""
    return f"sum by (type) (increase({ERRORS}{selector(target, release)}[{span(window)}]))"


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
