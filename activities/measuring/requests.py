"""The numbers of a service's requests, from every source that the catalog names and that there is.

The first source with data measures, and later ones check it. Prometheus, load balancers and Service Connect know a whole
window. The service's own metrics are only seen from now on, so they stand in where no earlier source has data, and check
nothing. What Prometheus breaks down further, by endpoint, type and release, is here too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from activities.measuring.balanced import Balanced
from activities.prometheus import promql
from activities.prometheus.evidence import NO_LATENCY, PrometheusEvidence
from activities.prometheus.scrape import question
from runbook_model.catalog.fields import EvidenceSource
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError
from runbook_model.measured.evidence import Breakdown
from runbook_model.measured.measurements import Measurement
from runbook_model.measured.symptoms import EndpointTime

if TYPE_CHECKING:
    from activities.measuring.sources import Sources
    from activities.prometheus.evidence import Window

SLOWEST = 5
"""Endpoints of which a diagnosis says how slow they are."""

Measure = Callable[[], Awaitable[Measurement | None]]


class Measured(NamedTuple):
    """One number as the sources have it."""

    first: Measurement
    """Of the first source that has data, or why none has."""
    others: tuple[Measurement, ...] = ()
    """Of later sources that have data too, or will have it."""

    def worst(self, limit: float) -> Measured:
        """Put first what is above a limit: a problem needs one source that has it."""
        found = next((item for item in (self.first, *self.others) if item.is_bad(limit)), self.first)
        return Measured(found, tuple(item for item in (self.first, *self.others) if item is not found))


async def measure_errors(
    sources: Sources,
    ask: PrometheusEvidence,
    window: Window,
    *,
    live: bool = False,
    since: datetime | None = None,
    pause: timedelta | None = None,
) -> Measured:
    """Measure the share of requests that fail.

    A window that ended before now is not known to the service's own metrics.

    Args:
        sources: where to measure.
        ask: the target's Prometheus.
        window: when, and of which release.
        live: whether it must speak of tasks that live.
        since: from when on requests count; a window back unless given.
        pause: how long the service's own metrics are watched where nothing earlier is remembered.
    """
    target, least = ask.target, ask.target.thresholds.min_requests

    async def scraped() -> Measurement:
        asked = Measurement.of(question(target, ask.now))
        try:
            return await sources.scraper.traffic(target, since, pause) if target.has("scrape") else asked
        except OutsideError as error:
            return asked.unread(error)

    balanced = Balanced(sources, target, ask.now, since)
    found = await _whole_windows(
        target,
        {
            "prometheus": lambda: ask.error_share(window, live=live),
            "load-balancer": lambda: balanced.errors(window.end),
            "service-connect": lambda: balanced.connect_errors(window.end),
        },
    )
    if window.end is None and (target.has("scrape") or not found) and _may_stand_in(found, target.evidence):
        found = [*_instead(found, await scraped())]
    elif not found:
        found = [await ask.error_share(window, live=live)]
    return _in_order([item.if_enough(least) for item in found])


async def measure_p95(
    sources: Sources, ask: PrometheusEvidence, window: Window, since: datetime | None = None
) -> Measured:
    """Measure in what time 95 % of the requests are answered."""
    target = ask.target
    balanced = Balanced(sources, target, ask.now, since)
    found = await _whole_windows(
        target,
        {
            "prometheus": lambda: ask.p95(window),
            "load-balancer": lambda: balanced.p95(window.end),
            "service-connect": lambda: balanced.connect_p95(window.end),
        },
    )
    return _in_order(found or [await ask.p95(window)])


async def _whole_windows(target: Target, measures: dict[EvidenceSource, Measure]) -> list[Measurement]:
    asked = [measures[name]() for name in target.evidence if name in measures and target.has(name)]
    return [item for item in await asyncio.gather(*asked) if item is not None]


def _in_order(found: list[Measurement]) -> Measured:
    """Put the first that has data first; where none has, say why of each."""
    first = next((item for item in found if item.value is not None), None)
    if first is not None:
        later = found[found.index(first) + 1 :]
        return Measured(first, tuple(item for item in later if item.value is not None or item.waiting))
    why = "; ".join(dict.fromkeys(item.why for item in found if item.why))
    first = next((item for item in found if item.waiting), found[0])
    return Measured(first.model_copy(update={"why": why}))


def _may_stand_in(found: list[Measurement], order: tuple[EvidenceSource, ...]) -> bool:
    """Whether the service's own metrics are read: no source before them has data, or can say why it has none."""
    before = order[: order.index("scrape")] if "scrape" in order else order
    return all(
        item.uncounted or item.quality == "error" or (item.source != "prometheus" and item.value is None)
        for item in found
        if item.source in before
    ) and not any(item.waiting for item in found)


def _instead(found: list[Measurement], scraped: Measurement) -> list[Measurement]:
    """Put the service's own metrics where they say more than others did."""
    seen = next((item for item in found if item.source == "prometheus"), None)
    if seen is None:
        return [*found, scraped] if scraped.failed is None else [scraped, *found]
    rest = [item for item in found if item is not seen]
    if seen.uncounted:
        return [seen if scraped.failed is None else scraped, *rest]
    if scraped.failed is None:
        return [scraped.model_copy(update={"why": f"{seen.why}; {scraped.why}"}), *rest]
    return [scraped.model_copy(update={"note": f"{scraped.note}: {seen.why}"}), *rest]


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
    failures, asked = await ask.failures
    if failures is None:
        return Breakdown.of(asked)
    query = promql.errors_by_type(target, None, target.verify.rate_window, failures)
    return await ask.breakdown(query, failures.kind)


async def breakdown_by_release(ask: PrometheusEvidence, target: Target) -> Breakdown:
    """Ask for each release's share of errors; those with too few requests are left out."""
    window, label = target.verify.rate_window, target.release_label
    failures, asked = await ask.failures
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
