"""Every PromQL query of the product, by name, as a target's procedures ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.prometheus import promql

if TYPE_CHECKING:
    from activities.prometheus.promql import Failures
    from runbook_model.catalog.catalog import Target

NEEDED = "sample-age"
"""Empty means that Prometheus does not scrape the service under its labels; of the others it says little."""


OF_FAILURES = ("error-share", "errors-by-type", "error-share-by-release")
"""Those that speak of failures: where nothing counts them, no answer says anything."""


def queries_of(target: Target, failures: Failures = promql.COUNTER) -> dict[str, str]:
    """Return the queries by name; those by release only where the catalog names a label for it."""
    window = target.verify.rate_window
    rate = promql.request_rate(target, window)
    always = {
        NEEDED: promql.sample_age(target, None),
        "error-share": promql.error_share(target, None, window, failures),
        "request-count": promql.request_count(target, None, window),
        "request-rate": rate,
        "usual": promql.usual(rate, window),
        "errors-by-type": promql.errors_by_type(target, None, window, failures),
        "p95-seconds": promql.p95_seconds(target, None, window),
        "latency-buckets": promql.latency_buckets(target, None, window),
        "p95-by-endpoint": promql.p95_by_endpoint(target, window),
        "mean-by-endpoint": promql.mean_by_endpoint(target, window),
        "cpu-share": promql.cpu_share(target, window),
        "mean-cpu-share": promql.mean_cpu_share(target, None, window),
        "memory-share": promql.memory_share(target),
        "most-memory-share": promql.most_memory_share(target, None),
        "memory-bytes": promql.memory_bytes(target),
        "memory-limit": promql.memory_limit(target),
        "ended-processes": promql.ended_processes(target, None, window),
    }
    by_release = {
        "error-share-by-release": promql.error_share_by_release(target, window, failures),
        "requests-by-release": promql.requests_by_release(target, window),
    }
    return always | (by_release if target.release_label else {})
