"""Errors and latency, broken down: by endpoint, by type, by release."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from activities.prometheus import promql
from activities.prometheus.evidence import NO_LATENCY, PrometheusEvidence
from runbook_model.catalog.target import Target
from runbook_model.measured.evidence import (
    Breakdown,
)
from runbook_model.measured.symptoms import (
    EndpointTime,
)

SLOWEST = 5


async def breakdown_by_endpoint(
    ask: PrometheusEvidence, query: Callable[[Target, timedelta], str]
) -> Breakdown:
    """Ask for a number for each endpoint, where the convention has a label for it."""
    target, label = ask.target, ask.target.convention.endpoint
    if target.convention.latency is None:
        return Breakdown.of(ask.unasked(NO_LATENCY))
    if label is None:
        return Breakdown.of(ask.unasked("the catalog names no metrics.endpoint_label"))
    return await ask.breakdown(query(target, target.verify.rate_window), label)


async def breakdown_by_type(ask: PrometheusEvidence, target: Target) -> Breakdown:
    """Ask how many requests failed, for each type."""
    failures, asked = await ask.failures()
    if failures is None:
        return Breakdown.of(asked)
    query = promql.errors_by_type(target, None, target.verify.rate_window, failures)
    return await ask.breakdown(query, failures.kind)


async def breakdown_by_release(ask: PrometheusEvidence, target: Target) -> Breakdown:
    """Ask for each release's share of errors; those with too few requests are left out."""
    window, label = target.verify.rate_window, target.release_label
    failures, asked = await ask.failures()
    if failures is None:
        return Breakdown.of(asked)
    if label is None:
        return Breakdown.of(ask.unasked("the catalog names no release_label"))
    shares, requests = await asyncio.gather(
        ask.breakdown(promql.error_share_by_release(target, window, failures), label),
        ask.breakdown(promql.requests_by_release(target, window), label),
    )
    enough = target.thresholds.min_requests
    answered = {
        name: share for name, share in shares.values.items() if requests.values.get(name, 0) >= enough
    }
    return shares.model_copy(update={"values": answered})


def slowest_of(p95: Breakdown, mean: Breakdown, highest: float | None) -> tuple[EndpointTime, ...]:
    """Return the slowest endpoints, slowest first."""
    names = {*p95.values, *mean.values} - {""}
    times = [
        EndpointTime(
            endpoint=name,
            p95=(slow := p95.values.get(name)),
            mean=mean.values.get(name),
            at_least=slow is not None and highest is not None and slow >= highest,
        )
        for name in names
    ]
    return tuple(sorted(times, key=lambda time: (-(time.p95 or time.mean or 0), time.endpoint))[:SLOWEST])
