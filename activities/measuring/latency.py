"""How slow answers are: what 95 % of the requests took by Prometheus, and what the product's own probes took."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from activities.http.probes import Timed, time_probes
from activities.prometheus import promql
from activities.prometheus.client import NoData, Prometheus
from activities.prometheus.evidence import highest_bound
from runbook_model.errors import OutsideError
from runbook_model.fact import Fact
from runbook_model.readings import Quality, Reading
from runbook_model.sentences import count_of

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from runbook_model.readings import Observation

PROBES = 5
"""Probes in one reading."""


class P95(Fact):
    """What Prometheus says of the answers, or why it says nothing."""

    seconds: float | None
    words: str
    at_least: bool = False
    """Whether it lies beyond the histogram's highest bucket, so that nobody knows how slow answers really are."""
    query: str | None = None


async def read_latency(http: httpx.AsyncClient, observation: Observation, now: datetime) -> Reading:
    """Measure once: bad if either the requests or the probes were slow, good if what is known was quick.

    Raises:
        OutsideError: Prometheus cannot be read, and nothing may be sent instead.
    """
    target = observation.target
    may_probe = bool(observation.may_probe and target.probe and target.url)
    p95, probes = await asyncio.gather(
        _p95(http, observation, raising=not may_probe), _probed(http, observation)
    )
    return judge_latency(p95, probes, target.thresholds.p95_seconds, now)


def judge_latency(p95: P95, probes: Timed | None, limit: float, now: datetime) -> Reading:
    """Hold what is known of the answers' times against the limit."""
    words, known = [p95.words], [] if p95.seconds is None else [p95.seconds]
    if probes and probes.refused:
        words.append(f"the probe was answered {probes.refused}: correct probe in the catalog")
    elif probes and probes.seconds:
        known.append(probes.slowest)
        failed = f", {probes.failed} failed" if probes.failed else ""
        words.append(f"{count_of(len(probes.seconds), 'probe')} took at most {probes.slowest:.2f}s{failed}")
    failing = bool(probes and probes.failed)
    bad = failing or any(seconds > limit for seconds in known)
    good = known and not p95.at_least
    quality = Quality.BAD if known and bad else Quality.GOOD if good else Quality.NO_DATA
    return Reading(
        kind="latency",
        quality=quality,
        value=max(known, default=None),
        limit=limit,
        detail=f"{'; '.join(words)} (limit {limit:g}s)",
        source="probe" if p95.seconds is None and known else "prometheus",
        query=p95.query,
        at=now,
    )


async def _p95(http: httpx.AsyncClient, observation: Observation, *, raising: bool) -> P95:
    target, release, window = observation.target, observation.release, observation.target.verify.rate_window
    if target.prometheus_url is None:
        return P95(seconds=None, words="the catalog names no prometheus_url")
    prometheus = Prometheus(http, target.prometheus_url)
    query = promql.p95_seconds(target, release, window)
    try:
        seconds, requests, buckets = await asyncio.gather(
            prometheus.value(query),
            prometheus.value(promql.request_count(target, release, window)),
            prometheus.values(promql.latency_buckets(target, release, window), "le"),
        )
    except OutsideError as error:
        if raising:
            raise
        return P95(seconds=None, words=str(error), query=query)
    wanted = target.thresholds.min_requests
    if isinstance(requests, NoData) or round(requests) < wanted:
        few = (
            requests.why
            if isinstance(requests, NoData)
            else f"{round(requests)} requests, {wanted} are needed"
        )
        return P95(seconds=None, words=few, query=query)
    if isinstance(seconds, NoData):
        return P95(seconds=None, words=seconds.why, query=query)
    if isinstance(buckets, NoData):
        return P95(seconds=None, words=buckets.why, query=query)
    highest = highest_bound(buckets)
    if highest is not None and seconds >= highest:
        words = f"p95 at least {seconds:.2f}s of {round(requests)} requests: beyond the histogram's highest bucket"
        return P95(seconds=seconds, words=words, at_least=True, query=query)
    return P95(seconds=seconds, words=f"p95 {seconds:.2f}s of {round(requests)} requests", query=query)


async def _probed(http: httpx.AsyncClient, observation: Observation) -> Timed | None:
    target = observation.target
    if not observation.may_probe or target.probe is None or target.url is None:
        return None
    return await time_probes(http, target.url, target.probe, PROBES)
