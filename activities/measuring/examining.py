"""Evidence for a diagnosis: from Prometheus, ECS or the containers' engine, CloudWatch and the logs, as far as they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.utilization import read_utilization
from activities.ecs.activities import EcsActivities
from activities.ecs.tasks import read_restarts, read_tasks
from activities.measuring.balanced import measure_load
from activities.measuring.logs import measure_error_lines
from activities.measuring.quantities import measure_engine_use, measure_memory
from activities.measuring.requests import (
    Measured,
    breakdown_by_endpoint,
    breakdown_by_release,
    breakdown_by_type,
    measure_errors,
    measure_p95,
    slowest_of,
)
from activities.measuring.revisions import measure_revisions
from activities.prometheus import promql
from activities.prometheus.evidence import PrometheusEvidence, Window
from activities.runtime.fence import unread
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError
from runbook_model.measured.evidence import (
    QUERY,
    AcrossRelease,
    Breakdown,
    Figure,
    ReleaseStart,
    Restarts,
    Source,
    onset_of,
)
from runbook_model.measured.measurements import Measurement
from runbook_model.measured.publishing import LATE, published, published_late
from runbook_model.measured.revisions import RevisionPair, RevisionsQuery, RevisionsRead, pair_of
from runbook_model.measured.symptoms import (
    ErrorsRead,
    LatencyRead,
    LoadRead,
    LogsRead,
    MemorySeries,
    ResourcesRead,
    TasksRead,
    UtilizationRead,
)
from runbook_model.releases.release import Release

if TYPE_CHECKING:
    from activities.measuring.sources import Sources

LOOKBACK_WINDOWS = 12
"""How many rate windows back memory and restarts are looked at: an hour of the runbook's windows."""

SHORTEST_LOOK = timedelta(minutes=1)
"""Logs are read for so long at least."""

LONGEST_LOOK = timedelta(seconds=15)
"""How long the service's own counters are watched; a read is not to take longer."""

NO_RELEASES = "compose keeps no releases"

TOGETHER = {
    "scrape": "a scrape sees the present only",
    "load-balancer": "a target group has the requests of all releases together",
    "service-connect": "a discovery name has the requests of all releases together",
}
"""Why a source does not distinguish releases."""


class Examination:
    """Asks every source that a target has."""

    def __init__(
        self,
        sources: Sources,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = sources
        self._aws = sources.aws
        self._now = clock

    async def errors(self, target: Target) -> ErrorsRead:
        """Ask which requests fail, and since when; where sources differ, by the one that has the problem."""
        ask, (onset, release, pair) = self._prometheus(target), await self._onset(target)
        span = target.verify.rate_window

        async def measure(window: Window) -> Measured:
            pause = min(window.span, LONGEST_LOOK)
            return await measure_errors(self._sources, ask, window, pause=pause)

        now = await measure(Window(span))
        share, others = now.worst(target.thresholds.error_rate)
        before, first = await self._earlier(target, onset, release, share.source, measure)
        if share.source in TOGETHER:
            requests = Figure.of(share, value=share.requests)
            if share.requests is not None:
                requests = requests.answered()
            by_type = Breakdown.of(requests, values=share.by_type)
            by_release = Breakdown.of(share.unanswered(TOGETHER[share.source]))
        else:
            requests, by_type, by_release = await asyncio.gather(
                ask.requests(Window(span)), breakdown_by_type(ask, target), breakdown_by_release(ask, target)
            )
        return ErrorsRead(
            onset=onset,
            share=AcrossRelease(before=before, first=first, now=share),
            requests=requests,
            by_type=by_type,
            by_release=by_release,
            others=_figures(others),
            revisions=await self._revisions(target, pair),
        )

    async def load(self, target: Target) -> LoadRead:
        """Ask how much is requested, and how busy tasks are, against the usual."""
        ask, window = self._prometheus(target), target.verify.rate_window
        if not target.has("prometheus") and published_late(target):
            return await measure_load(self._sources, target, self._now())
        rate, cpu = promql.request_rate(target, window), promql.mean_cpu_share(target, None, window)
        queries = (rate, promql.usual(rate, window), cpu, promql.usual(cpu, window))
        now, usual, busy, usually_busy = await asyncio.gather(*(ask.figure(query) for query in queries))
        return LoadRead(rate=now, usual_rate=usual, cpu=busy, usual_cpu=usually_busy)

    async def latency(self, target: Target) -> LatencyRead:
        """Ask how slow answers are, and which."""
        ask, (onset, release, pair) = self._prometheus(target), await self._onset(target)
        window = target.verify.rate_window

        async def measure(at: Window) -> Measured:
            return await measure_p95(self._sources, ask, at)

        measured, (highest, _), endpoints, means = await asyncio.gather(
            measure(Window(window)),
            ask.highest_bucket(Window(window)),
            breakdown_by_endpoint(ask, promql.p95_by_endpoint),
            breakdown_by_endpoint(ask, promql.mean_by_endpoint),
        )
        now, others = measured.worst(target.thresholds.p95_seconds)
        before, first = await self._earlier(target, onset, release, now.source, measure)
        return LatencyRead(
            onset=onset,
            p95=AcrossRelease(before=before, first=first, now=now),
            slowest=slowest_of(endpoints, means, highest),
            endpoints=endpoints,
            others=_figures(others),
            revisions=await self._revisions(target, pair),
        )

    def revisions(self, asked: RevisionsQuery) -> RevisionsRead:
        """Ask CloudWatch what each of two releases did that run at the same time; blocks."""
        return measure_revisions(self._sources, asked.target, asked.pair, self._now())

    async def _revisions(self, target: Target, pair: RevisionPair | None) -> RevisionsRead | None:
        if pair is None:
            return None
        return await asyncio.to_thread(self.revisions, RevisionsQuery(target=target, pair=pair))

    async def _earlier(
        self,
        target: Target,
        onset: ReleaseStart,
        release: Release | None,
        source: Source,
        measure: Callable[[Window], Awaitable[Measured]],
    ) -> tuple[Figure, Figure]:
        """Measure before the present release and in its first windows, by the source that measures now."""

        async def same(window: Window) -> Measurement:
            first, others = await measure(window)
            return next((item for item in (first, *others) if item.source == source), first)

        ask = self._prometheus(target)
        if (
            source in LATE
        ):  # which have no label for releases, windows of their own, and no figures of just now
            verify = target.verify.model_copy(update={"rate_window": published(target.verify, ask.now).span})
            target = target.model_copy(update={"release_label": None, "verify": verify})
            ask = PrometheusEvidence(self._sources.stores, target, ask.now - verify.lag)
        return await ask.earlier(same, onset, release)

    async def resources(self, target: Target) -> ResourcesRead:
        """Ask what each task uses of its limits, how its memory went, and which tasks ended by themselves."""
        ask, now, (onset, release, _) = self._prometheus(target), self._now(), await self._onset(target)
        span = LOOKBACK_WINDOWS * target.verify.rate_window
        series, releases = await measure_memory(self._sources, ask, release, span)
        if target.platform == "compose":
            return await self._containers(target, onset, series)
        (cpu, _), (memory, labels), cpu_course, restarts = await asyncio.gather(
            ask.by_task(promql.cpu_share(target, target.verify.rate_window)),
            ask.by_task(promql.memory_share(target)),
            ask.across_release(ask.cpu_under_load, onset, release),
            asyncio.to_thread(read_restarts, self._aws, target, now - span, now),
        )
        if not restarts.known:
            restarts = await _ended(ask, target, release, span, restarts)
        return ResourcesRead(
            onset=onset,
            cpu=cpu,
            cpu_course=cpu_course,
            memory=memory,
            releases={task: found.get(target.release_label or "", "") for task, found in labels.items()}
            | releases,
            series=series,
            restarts=restarts,
        )

    async def _containers(self, target: Target, onset: ReleaseStart, series: MemorySeries) -> ResourcesRead:
        """Ask the engine what containers use; it remembers nothing, so only Prometheus knows how memory went."""
        use = await asyncio.to_thread(measure_engine_use, self._sources, target, self._now())
        course = Figure.of(use.asked, why=NO_RELEASES)
        restarts = Restarts.of(use.asked)
        if own := use.containers:
            restarts = restarts.answered(
                query="inspect",
                count=sum(item.restarts for item in own),
                out_of_memory=sum(item.out_of_memory for item in own),
                reasons=tuple(item.summary for item in own if item.failed),
            )
        return ResourcesRead(
            onset=onset,
            cpu=use.cpu,
            cpu_course=AcrossRelease(before=course, first=course, now=course),
            memory=use.memory,
            series=series,
            restarts=restarts,
        )

    async def utilization(self, target: Target) -> UtilizationRead:
        """Ask CloudWatch for CPU and memory."""
        return await read_utilization(self._aws, target, self._now())

    async def tasks(self, target: Target) -> TasksRead:
        """Ask ECS which tasks run and why others stopped."""
        onset, _, _ = await self._onset(target)
        return await asyncio.to_thread(read_tasks, self._aws, target, onset, self._now())

    async def logs(self, target: Target) -> LogsRead:
        """Ask for the error lines of the last minutes."""
        span = max(2 * target.verify.rate_window, SHORTEST_LOOK)
        return await measure_error_lines(self._sources, target, span, self._now())

    def _prometheus(self, target: Target) -> PrometheusEvidence:
        return PrometheusEvidence(self._sources.stores, target, self._now())

    async def _onset(self, target: Target) -> tuple[ReleaseStart, Release | None, RevisionPair | None]:
        """Find which release runs and since when, and between which two traffic is being shifted, if any.

        Raises:
            InputError: the cluster has no such service.
        """
        now = self._now()
        asked = ReleaseStart(
            quality="no-data", why="it does not run on ECS", source="ecs", query=QUERY, at=now
        )
        if target.platform != "ecs":
            return asked, None, None
        try:
            history = await asyncio.to_thread(EcsActivities(self._aws).read_history, target)
        except OutsideError as error:
            return unread(asked, error), None, None
        return onset_of(history, now), history.current, pair_of(history)


async def _ended(
    ask: PrometheusEvidence, target: Target, release: Release | None, span: timedelta, unknown: Restarts
) -> Restarts:
    """Count the processes that are no more, where ECS does not say why tasks ended."""
    ended = await ask.figure(promql.ended_processes(target, release, span))
    if ended.value is None:
        return unknown.model_copy(update={"why": f"{unknown.why}; {ended.why}"})
    return Restarts.of(ended, count=round(ended.value))


def _figures(others: tuple[Measurement, ...]) -> tuple[Figure, ...]:
    """Return what later sources say of the same number, as a report shows it."""
    return tuple(Figure.of(item, value=item.value) for item in others if item.value is not None)
