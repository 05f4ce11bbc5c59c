"""Ask a Prometheus for evidence: whatever comes of a question, it is a fact with the query and the time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from activities.prometheus import promql
from activities.prometheus.answers import NoData
from activities.prometheus.failures import find_failures
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError
from runbook_model.measured.evidence import AcrossRelease, Breakdown, Evidence, Figure, Points, ReleaseStart
from runbook_model.measured.measurements import LABEL, Measurement, Resource
from runbook_model.releases.release import Release
from runbook_model.text.durations import format_duration
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from activities.prometheus.client import Prometheus, Stores

T = TypeVar("T")
UNNAMED = "the catalog names no prometheus_url"
NO_LATENCY = 'the catalog says latency_kind = "none"'
UNDATED = "the release's start is not known"
KEYS = ("task", "id", "name", "instance")
"""Labels that tell one task's series from another's, best first: container hosts differ."""
MOST_SERIES = 50


class Window(NamedTuple):
    """The time that a number speaks of."""

    span: timedelta
    release: Release | None = None
    """Whose tasks; all of the service's where it is None, or where no label distinguishes releases."""
    end: datetime | None = None
    """None: now."""


class PrometheusEvidence:
    """One target's Prometheus at one moment."""

    def __init__(self, stores: Stores, target: Target, now: datetime) -> None:
        self._prometheus = stores.of(target)
        self.target = target
        self.now = now

    async def error_share(self, window: Window, *, live: bool = False) -> Measurement:
        """Ask what share of the requests failed.

        Args:
            window: when, and whose.
            live: whether it must speak of tasks that live: a rate lives on for a window after the last of them.
        """
        (failures, uncounted), requests, dead = await asyncio.gather(
            self.failures, self.requests(window), self._dead(window) if live else _nothing()
        )
        if dead:
            return self._of(window, dead)
        if requests.value is None or round(requests.value) == 0:
            return self._of(window, requests, requests=requests.value, failed=requests.value)
        if failures is None:
            return self._of(window, uncounted, uncounted=uncounted.quality == "no-data")
        share = await self.figure(
            promql.error_share(self.target, window.release, window.span, failures), window.end
        )
        if share.value is None:
            return self._of(window, share)
        failed = share.value * requests.value
        return self._of(window, share, value=share.value, requests=requests.value, failed=failed)

    async def p95(self, window: Window) -> Measurement:
        """Ask in what time 95 % of the requests were answered; too few requests say nothing."""
        target = self.target
        if target.convention.latency is None:
            return self._of(window, self.unasked(NO_LATENCY))
        seconds, requests, (highest, unread) = await asyncio.gather(
            self.figure(promql.p95_seconds(target, window.release, window.span), window.end),
            self.requests(window),
            self.highest_bucket(window),
        )
        found = self._if_enough(seconds, requests, window)
        if found.value is None:
            return found
        if unread:
            return found.model_copy(update={"quality": unread.quality, "why": unread.why, "value": None})
        return found.model_copy(update={"at_least": highest is not None and found.value >= highest})

    async def use(self, resource: Resource, window: Window) -> Figure:
        """Ask what is used of the limit: CPU on average, memory by the task that uses most."""
        if resource == "memory":
            return await self.figure(promql.most_memory_share(self.target, window.release), window.end)
        query = promql.mean_cpu_share(self.target, window.release, window.span)
        return await self.figure(query, window.end)

    async def cpu_under_load(self, window: Window) -> Figure:
        """Ask what CPU is used while there are enough requests; without them it idles, and says nothing."""
        cpu, requests = await asyncio.gather(self.use("cpu", window), self.requests(window))
        return self._if_enough(cpu, requests, window)

    async def requests(self, window: Window) -> Figure:
        """Ask how many requests were answered."""
        return await self.figure(promql.request_count(self.target, window.release, window.span), window.end)

    async def figure(self, query: str, at: datetime | None = None) -> Figure:
        """Ask for one number, now or at another moment."""
        found, asked = await self._ask(query, lambda prometheus: prometheus.value(query, at))
        return Figure.of(asked, value=found, at=at or self.now)

    async def breakdown(self, query: str, label: str) -> Breakdown:
        """Ask for a number for each value of a label."""
        found, asked = await self._ask(query, lambda prometheus: prometheus.values(query, label))
        values = {excerpt(value, LABEL): number for value, number in (found or {}).items()}
        return Breakdown.of(asked, values=_bounded(values))

    async def by_task(self, query: str) -> tuple[Breakdown, dict[str, dict[str, str]]]:
        """Ask for a number for each task; also returns all labels of each."""
        found, asked = await self._ask(query, lambda prometheus: prometheus.rows(query))
        rows = {_key(labels): (labels, number) for labels, number in found or []}
        values = _bounded({key: number for key, (_, number) in rows.items()})
        return Breakdown.of(asked, values=values), {key: rows[key][0] for key in values}

    def unasked(self, why: str) -> Evidence:
        """Say why something is not asked for."""
        return Evidence(quality="no-data", why=why, source="prometheus", query="", at=self.now)

    async def history(
        self, query: str, span: timedelta, step: timedelta
    ) -> tuple[Evidence, dict[str, Points]]:
        """Ask how each task's number went."""
        since = self.now - span
        found, asked = await self._ask(
            query, lambda prometheus: prometheus.history(query, since, self.now, step)
        )
        return asked, {_key(labels): points for labels, points in (found or [])[:MOST_SERIES]}

    async def highest_bucket(self, window: Window) -> tuple[float | None, Evidence | None]:
        """Ask for the histogram's highest finite bound in seconds, and return why if it cannot be known.

        A native histogram has none.
        """
        convention = self.target.convention
        if convention.latency is None or convention.native:
            return None, None
        query = promql.latency_buckets(self.target, window.release, window.span)
        found, asked = await self._ask(query, lambda prometheus: prometheus.values(query, "le", window.end))
        highest = highest_bound(found or {})
        if highest is not None and convention.unit == "milliseconds":
            highest /= 1000
        return highest, asked if found is None else None

    async def across_release(
        self, measure: Callable[[Window], Awaitable[Figure]], onset: ReleaseStart, release: Release | None
    ) -> AcrossRelease:
        """Measure just before the present release, in its first windows, and now."""
        (before, first), now = await asyncio.gather(
            self.earlier(measure, onset, release), measure(Window(self.target.verify.rate_window))
        )
        return AcrossRelease(before=before, first=first, now=now)

    async def earlier(
        self, measure: Callable[[Window], Awaitable[Figure]], onset: ReleaseStart, release: Release | None
    ) -> tuple[Figure, Figure]:
        """Measure just before the present release, and in its first windows."""
        window = self.target.verify.rate_window
        if onset.began is None:
            undated = Figure.of(self.unasked(UNDATED))
            return undated, undated
        before = measure(Window(window, end=onset.began))
        settled = min(self.now, (onset.settled or self.now) + 2 * window)
        if self.target.release_label and release:
            first = measure(Window(2 * window, release, settled))
        elif onset.settled and self.now >= onset.settled + window:
            first = measure(Window(window, end=settled))
        else:
            early = "no label distinguishes releases, and the first window is not over"
            return await before, Figure.of(self.unasked(early))
        return await asyncio.gather(before, first)

    def _if_enough(self, found: Figure, requests: Figure, window: Window) -> Measurement:
        """Return a number with the requests that it is of; without the number where there were too few."""
        if requests.value is None:
            unknown = requests if found.known else found
            return self._of(window, found, quality=unknown.quality, why=unknown.why)
        of = self._of(window, found, value=found.value, requests=requests.value)
        return of.if_enough(self.target.thresholds.min_requests)

    def _of(self, window: Window, found: Evidence, **more: Any) -> Measurement:
        return Measurement.of(found, window=window.span, at=window.end or self.now, **more)

    async def _dead(self, window: Window) -> Evidence | None:
        """Say that no task of the window's release lives, or is scraped any more; None where one is."""
        age = await self.figure(promql.sample_age(self.target, window.release))
        if age.value is None:
            if age.quality == "error":
                return age
            ours = promql.selector(self.target, window.release)
            return age.unanswered(f"no live task of {ours} shows any requests: {age.why}")
        if age.value > window.span.total_seconds() / 2:
            return age.unanswered(
                f"the newest scrape is {age.value:.0f}s old, the window only {format_duration(window.span)}"
            )
        return None

    @cached_property
    def failures(self) -> asyncio.Future[tuple[promql.Failures | None, Evidence]]:
        """By what failures are counted; found once, when it is first asked for."""
        query = promql.error_share(self.target, None, self.target.verify.rate_window)
        return asyncio.ensure_future(
            self._ask(query, lambda prometheus: find_failures(prometheus, self.target, self.now))
        )

    async def _ask(
        self, query: str, ask: Callable[[Prometheus], Awaitable[T | NoData]]
    ) -> tuple[T | None, Evidence]:
        asked = Evidence(quality="no-data", why=UNNAMED, source="prometheus", query=query, at=self.now)
        if self._prometheus is None:
            return None, asked
        try:
            found = await ask(self._prometheus)
        except OutsideError as error:
            return None, asked.unread(error)
        if isinstance(found, NoData):
            return None, asked.unanswered(found.why)
        if found in ({}, []):
            return found, asked.unanswered("Prometheus has no such series")
        return found, asked.answered()


async def _nothing() -> None:
    """Ask nothing."""


def highest_bound(buckets: Iterable[str]) -> float | None:
    """Return the highest finite bound of a histogram's buckets; None where there is none."""
    bounds: list[float] = []
    for bucket in buckets:
        with suppress(ValueError):
            bounds.append(float(bucket))
    return max((bound for bound in bounds if math.isfinite(bound)), default=None)


def _key(labels: dict[str, str]) -> str:
    return next((labels[name] for name in KEYS if labels.get(name)), "?")


def _bounded(values: dict[str, float]) -> dict[str, float]:
    largest = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:MOST_SERIES]
    return dict(largest)
