"""Ask a Prometheus for evidence: whatever comes of a question, it is a fact with the query and the time."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from activities.prometheus import promql
from activities.prometheus.client import NoData, Prometheus
from activities.prometheus.failures import find_failures
from runbook_model.errors import OutsideError
from runbook_model.evidence import AcrossRelease, Breakdown, Evidence, Figure, Onset, Points

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime, timedelta

    import httpx

    from runbook_model.catalog.catalog import Target
    from runbook_model.release import Release

    Query = Callable[[Target, Release | None, timedelta], str]

T = TypeVar("T")
UNNAMED = "the catalog names no prometheus_url"
KEYS = ("task", "id", "name", "instance")
"""Labels that tell one task's series from another's, best first: container hosts differ."""
MOST_SERIES = 50


class PrometheusEvidence:
    """One target's Prometheus at one moment."""

    def __init__(self, http: httpx.AsyncClient, target: Target, now: datetime) -> None:
        self._prometheus = Prometheus(http, target.prometheus_url) if target.prometheus_url else None
        self._target = target
        self._now = now

    async def figure(self, query: str, at: datetime | None = None) -> Figure:
        """Ask for one number, now or at another moment."""
        found, asked = await self._ask(query, lambda prometheus: prometheus.value(query, at))
        if at:
            asked = asked.model_copy(update={"at": at})
        return Figure(**asked.model_dump(), value=found)

    async def failures(self) -> tuple[promql.Failures | None, Evidence]:
        """Find by what failures are counted."""
        query = promql.error_share(self._target, None, self._target.verify.rate_window)
        return await self._ask(query, lambda prometheus: find_failures(prometheus, self._target, self._now))

    async def breakdown(self, query: str, label: str) -> Breakdown:
        """Ask for a number for each value of a label."""
        found, asked = await self._ask(query, lambda prometheus: prometheus.values(query, label))
        return Breakdown(**asked.model_dump(), values=_bounded(found or {}))

    async def by_task(self, query: str) -> tuple[Breakdown, dict[str, dict[str, str]]]:
        """Ask for a number for each task; also returns all labels of each."""
        found, asked = await self._ask(query, lambda prometheus: prometheus.rows(query))
        rows = {_key(labels): (labels, number) for labels, number in found or []}
        values = _bounded({key: number for key, (_, number) in rows.items()})
        return Breakdown(**asked.model_dump(), values=values), {key: rows[key][0] for key in values}

    def unasked(self, why: str) -> Breakdown:
        """Say why something is not asked for."""
        return Breakdown(quality="no-data", why=why, source="prometheus", query="", at=self._now)

    async def history(
        self, query: str, span: timedelta, step: timedelta
    ) -> tuple[Evidence, dict[str, Points]]:
        """Ask how each task's number went."""
        since = self._now - span
        found, asked = await self._ask(
            query, lambda prometheus: prometheus.history(query, since, self._now, step)
        )
        return asked, {_key(labels): points for labels, points in (found or [])[:MOST_SERIES]}

    async def highest_bucket(self) -> tuple[float | None, Evidence]:
        """Ask for the highest finite bound of the latency's histogram; None where there is none."""
        query = promql.latency_buckets(self._target, None, self._target.verify.rate_window)
        found, asked = await self._ask(query, lambda prometheus: prometheus.values(query, "le"))
        return highest_bound(found or {}), asked

    async def across_release(self, query: Query, onset: Onset, release: Release | None) -> AcrossRelease:
        """Ask for a number just before the present release, in its first windows, and now.

        Windows with fewer requests than the catalog wants say nothing: not of the CPU either, which idles then.
        """
        window = self._target.verify.rate_window
        before, first, now = await asyncio.gather(
            self._in_window(query, None, window, onset.began, "the release's beginning is not known"),
            self._first(query, onset, release),
            self._in_window(query, None, window, self._now, ""),
        )
        return AcrossRelease(before=before, first=first, now=now)

    async def _first(self, query: Query, onset: Onset, release: Release | None) -> Figure:
        window = self._target.verify.rate_window
        if onset.began is None:
            return await self._in_window(query, release, window, None, "the release's beginning is not known")
        if self._target.release_label and release:
            end = min(self._now, (onset.settled or self._now) + 2 * window)
            return await self._in_window(query, release, 2 * window, end, "")
        early = "no label tells releases apart, and the first window is not over"
        over = onset.settled is not None and self._now >= onset.settled + window
        closed = min(self._now, onset.settled + 2 * window) if onset.settled and over else None
        return await self._in_window(query, None, window, closed, early)

    async def _in_window(
        self, query: Query, release: Release | None, window: timedelta, end: datetime | None, unless: str
    ) -> Figure:
        """Ask in the window that ends at a moment, if there were enough requests in it."""
        text = query(self._target, release, window)
        if end is None:
            return Figure(quality="no-data", why=unless, source="prometheus", query=text, at=self._now)
        requests, found = await asyncio.gather(
            self.figure(promql.request_count(self._target, release, window), end), self.figure(text, end)
        )
        wanted = self._target.thresholds.min_requests
        if not found.known:
            return found
        if requests.value is None:
            return _void(found, requests.why)
        few = f"{round(requests.value)} requests, {wanted} are needed"
        return found if round(requests.value) >= wanted else _void(found, few)

    async def _ask(
        self, query: str, ask: Callable[[Prometheus], Awaitable[T | NoData]]
    ) -> tuple[T | None, Evidence]:
        asked = Evidence(quality="no-data", why=UNNAMED, source="prometheus", query=query, at=self._now)
        if self._prometheus is None:
            return None, asked
        try:
            found = await ask(self._prometheus)
        except OutsideError as error:
            return None, asked.model_copy(update={"quality": "error", "why": str(error)[:500]})
        if isinstance(found, NoData):
            return None, asked.model_copy(update={"why": found.why})
        if found in ({}, []):
            return found, asked.model_copy(update={"why": "Prometheus has no such series"})
        return found, asked.model_copy(update={"quality": "known", "why": ""})


def highest_bound(buckets: Iterable[str]) -> float | None:
    """Return the highest finite bound of a histogram's buckets; None where there is none."""
    bounds: list[float] = []
    for bucket in buckets:
        with suppress(ValueError):
            bounds.append(float(bucket))
    return max((bound for bound in bounds if math.isfinite(bound)), default=None)


def _void(figure: Figure, why: str) -> Figure:
    return figure.model_copy(update={"quality": "no-data", "why": why, "value": None})


def _key(labels: dict[str, str]) -> str:
    return next((labels[name] for name in KEYS if labels.get(name)), "?")


def _bounded(values: dict[str, float]) -> dict[str, float]:
    largest = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:MOST_SERIES]
    return dict(largest)
