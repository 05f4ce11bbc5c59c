"""Ask the outside for what a diagnosis reads: Prometheus, ECS, CloudWatch and the logs, each as far as it answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from activities.cloudwatch.utilization import read_utilization
from activities.ecs.activities import EcsActivities
from activities.ecs.tasks import read_restarts, read_tasks
from activities.measuring.examining_containers import container_resources, scraped_errors
from activities.measuring.logs import read_recent_logs
from activities.prometheus import promql
from activities.prometheus.evidence import PrometheusEvidence
from activities.runtime.passing import try_again_if_it_passes
from runbook_model.errors import OutsideError
from runbook_model.evidence import QUERY, AcrossRelease, Breakdown, Figure, Onset, Restarts, onset_of
from runbook_model.symptoms import (
    EndpointTime,
    ErrorsRead,
    LatencyRead,
    LoadRead,
    LogsRead,
    MemorySeries,
    ResourcesRead,
    TasksRead,
    UtilizationRead,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from activities.measuring.sources import Sources
    from activities.prometheus.promql import Failures
    from runbook_model.catalog.catalog import Target
    from runbook_model.release import Release

LOOKBACK_WINDOWS = 12
"""How many rate windows back memory and restarts are looked at: an hour of the runbook's windows."""
POINTS = 60
"""Readings of each task's memory over that time."""
SLOWEST = 5


class Examination:
    """Asks every source that a target has."""

    def __init__(
        self,
        sources: Sources,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = sources
        self._aws, self._http = sources.aws, sources.http
        self._now = clock

    async def errors(self, target: Target) -> ErrorsRead:
        """Ask which requests fail, and since when."""
        ask, (onset, release) = self._prometheus(target), await self._onset(target)
        if target.platform == "compose" and target.prometheus_url is None:
            return await scraped_errors(self._http, target, onset, self._now())
        window = target.verify.rate_window
        count = ask.figure(promql.request_count(target, None, window))
        (failures, asked), requests = await asyncio.gather(ask.failures(), count)
        if failures is None:
            unknown, none = Figure(**asked.model_dump()), Breakdown(**asked.model_dump())
            course = AcrossRelease(before=unknown, first=unknown, now=unknown)
            return ErrorsRead(onset=onset, share=course, requests=requests, by_type=none, by_release=none)
        by_kind = promql.errors_by_type(target, None, window, failures)
        share, by_type, by_release = await asyncio.gather(
            ask.across_release(partial(promql.error_share, failures=failures), onset, release),
            ask.breakdown(by_kind, failures.kind),
            _share_by_release(ask, target, failures),
        )
        return ErrorsRead(onset=onset, share=share, requests=requests, by_type=by_type, by_release=by_release)

    async def load(self, target: Target) -> LoadRead:
        """Ask how much is requested, and how busy tasks are, against the usual."""
        ask, window = self._prometheus(target), target.verify.rate_window
        rate, cpu = promql.request_rate(target, window), promql.mean_cpu_share(target, None, window)
        queries = (rate, promql.usual(rate, window), cpu, promql.usual(cpu, window))
        now, usual, busy, usually_busy = await asyncio.gather(*(ask.figure(query) for query in queries))
        return LoadRead(rate=now, usual_rate=usual, cpu=busy, usual_cpu=usually_busy)

    async def latency(self, target: Target) -> LatencyRead:
        """Ask how slow answers are, and which."""
        ask, (onset, release) = self._prometheus(target), await self._onset(target)
        window = target.verify.rate_window
        p95, (highest, _), endpoints, means = await asyncio.gather(
            ask.across_release(promql.p95_seconds, onset, release),
            ask.highest_bucket(),
            ask.breakdown(promql.p95_by_endpoint(target, window), "endpoint"),
            ask.breakdown(promql.mean_by_endpoint(target, window), "endpoint"),
        )
        p95 = p95.ending_at(highest)
        return LatencyRead(
            onset=onset, p95=p95, slowest=_slowest(endpoints, means, highest), endpoints=endpoints
        )

    async def resources(self, target: Target) -> ResourcesRead:
        """Ask what each task uses of its limits, how its memory went, and which tasks ended by themselves."""
        ask, now, (onset, release) = self._prometheus(target), self._now(), await self._onset(target)
        span = LOOKBACK_WINDOWS * target.verify.rate_window
        if target.platform == "compose":
            return await container_resources(self._sources.engine, ask, target, onset, span, now)
        (cpu, _), (memory, labels), (limits, _), (asked, series), course, restarts = await asyncio.gather(
            ask.by_task(promql.cpu_share(target, target.verify.rate_window)),
            ask.by_task(promql.memory_share(target)),
            ask.by_task(promql.memory_limit(target)),
            # What tasks of earlier releases did, which are gone, says nothing about this one.
            ask.history(promql.memory_bytes(target, release), span, max(span / POINTS, timedelta(seconds=1))),
            ask.across_release(promql.mean_cpu_share, onset, release),
            asyncio.to_thread(read_restarts, self._aws, target, now - span, now),
        )
        if not restarts.known:
            restarts = await _ended(ask, target, release, span, restarts)
        return ResourcesRead(
            onset=onset,
            cpu=cpu,
            cpu_course=course,
            memory=memory,
            releases={task: found.get(target.release_label or "", "") for task, found in labels.items()},
            series=MemorySeries(**asked.model_dump(), tasks=series, limits=limits.values),
            restarts=restarts,
        )

    async def utilization(self, target: Target) -> UtilizationRead:
        """Ask CloudWatch for CPU and memory."""
        return await read_utilization(self._aws, target, self._now())

    async def tasks(self, target: Target) -> TasksRead:
        """Ask ECS which tasks run and why others stopped."""
        onset, _ = await self._onset(target)
        return await asyncio.to_thread(read_tasks, self._aws, target, onset, self._now())

    async def logs(self, target: Target) -> LogsRead:
        """Ask for the error lines of the last minutes."""
        return await read_recent_logs(self._sources, target, self._now())

    def _prometheus(self, target: Target) -> PrometheusEvidence:
        return PrometheusEvidence(self._http, target, self._now())

    async def _onset(self, target: Target) -> tuple[Onset, Release | None]:
        """Find which release runs and since when.

        Raises:
            InputError: the cluster has no such service.
        """
        now = self._now()
        asked = Onset(quality="no-data", why="it does not run on ECS", source="ecs", query=QUERY, at=now)
        if target.platform != "ecs":
            return asked, None
        try:
            history = await asyncio.to_thread(EcsActivities(self._aws).read_history, target)
        except OutsideError as error:
            try_again_if_it_passes(error)
            return asked.model_copy(update={"quality": "error", "why": str(error)[:500]}), None
        return onset_of(history, now), history.current


async def _ended(
    ask: PrometheusEvidence, target: Target, release: Release | None, span: timedelta, unread: Restarts
) -> Restarts:
    """Count the processes that are no more, where ECS does not tell why tasks ended."""
    ended = await ask.figure(promql.ended_processes(target, release, span))
    if ended.value is None:
        return unread.model_copy(update={"why": f"{unread.why}; {ended.why}"})
    return Restarts(**ended.model_dump(exclude={"value"}), count=round(ended.value))


async def _share_by_release(ask: PrometheusEvidence, target: Target, failures: Failures) -> Breakdown:
    """Ask for each release's share of errors; those with too few requests are left out."""
    window, label = target.verify.rate_window, target.release_label
    if label is None:
        return ask.unasked("the catalog names no release_label")
    shares, requests = await asyncio.gather(
        ask.breakdown(promql.error_share_by_release(target, window, failures), label),
        ask.breakdown(promql.requests_by_release(target, window), label),
    )
    enough = target.thresholds.min_requests
    told = {name: share for name, share in shares.values.items() if requests.values.get(name, 0) >= enough}
    return shares.model_copy(update={"values": told})


def _slowest(p95: Breakdown, mean: Breakdown, highest: float | None) -> tuple[EndpointTime, ...]:
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
    return tuple(sorted(times, key=lambda one: (-(one.p95 or one.mean or 0), one.endpoint))[:SLOWEST])
