"""Each quantity of a service is measured here, and only here: verification and diagnosis show the same measurement.

Memory over time is that of Prometheus, and of Container Insights where Prometheus has none of it. Requests are measured in
``requests``, and error lines in ``logs``.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from activities.cloudwatch.utilization import memory_question, read_memory, read_statistics
from activities.docker.reading import read_project
from activities.docker.reading import read_statistics as read_engine_statistics
from activities.ecs.tasks import fetch_tasks
from activities.prometheus import promql
from runbook_model.catalog.target import Target
from runbook_model.containers import Container
from runbook_model.errors import InputError, OutsideError
from runbook_model.measured.evidence import Breakdown, Evidence, Figure
from runbook_model.measured.measurements import Resource
from runbook_model.measured.symptoms import MemorySeries
from runbook_model.releases.release import Release

if TYPE_CHECKING:
    from activities.measuring.sources import Sources
    from activities.prometheus.evidence import PrometheusEvidence

METRICS: dict[Resource, Literal["CPUUtilization", "MemoryUtilization"]] = {
    "cpu": "CPUUtilization",
    "memory": "MemoryUtilization",
}
POINTS = 60
"""Readings of each task's memory."""
SHORTEST = timedelta(minutes=30)
"""Container Insights is looked at for so long at least: it has one reading a minute, minutes late."""
MOST_TASKS = 50
NOT_ENABLED = "Container Insights has no memory of its tasks: enhanced observability is not enabled"


class EngineUse(NamedTuple):
    """What a compose service's containers use, as the engine tells; shares of their limits, by container."""

    asked: Evidence
    containers: tuple[Container, ...]
    cpu: Breakdown
    memory: Breakdown


def measure_engine_use(sources: Sources, target: Target, now: datetime) -> EngineUse:
    """Ask the engine what the service's containers use; blocks."""
    asked = Evidence(quality="no-data", why="no container runs", source="engine", query="stats", at=now)
    own: tuple[Container, ...] = ()
    shares: dict[Resource, dict[str, float | None]] = {"cpu": {}, "memory": {}}
    try:
        own = read_project(sources.engine, target).own
        uses = read_engine_statistics(sources.engine, own)
    except (OutsideError, InputError) as error:
        asked = asked.unread(error)
    else:
        shares = {
            "cpu": {use.name: use.cpu_share for use in uses},
            "memory": {use.name: use.memory_share for use in uses},
        }
    return EngineUse(asked, own, _by_container(asked, shares["cpu"]), _by_container(asked, shares["memory"]))


def measure_platform_use(
    sources: Sources, target: Target, resource: Resource, since: datetime, now: datetime
) -> Figure:
    """Measure CPU or memory by what runs the tasks: CloudWatch, or the containers' engine; blocks.

    CloudWatch comes minutes later, and only what it averaged since a moment counts.
    """
    if target.platform == "compose":
        use = measure_engine_use(sources, target, now)
        return (
            Figure.of(use.cpu, value=use.cpu.mean)
            if resource == "cpu"
            else Figure.of(use.memory, value=use.memory.most)
        )
    found = read_statistics(sources.aws, target, METRICS[resource], now)
    after = [value for moment, value in found.points if moment >= since.timestamp()]
    asked = Figure.of(found)
    if after:
        return asked.answered(value=after[-1])
    return (
        asked
        if found.quality == "error"
        else asked.unanswered(found.why or "CloudWatch has averaged nothing since")
    )


def _by_container(asked: Evidence, shares: dict[str, float | None]) -> Breakdown:
    values = {name: share for name, share in shares.items() if share is not None}
    return Breakdown.of(asked.answered() if values else asked, values=values)


class MemoryFound(NamedTuple):
    """Memory over time, and what is known of whose it is."""

    series: MemorySeries
    releases: dict[str, str]
    """``family:revision`` by task, where ECS was asked."""


async def measure_memory(
    sources: Sources, ask: PrometheusEvidence, release: Release | None, span: timedelta
) -> MemoryFound:
    """Measure how the memory of a release's tasks went; what those of earlier releases did says nothing of it."""
    query = promql.memory_bytes(ask.target, release)
    course = ask.history(query, span, max(span / POINTS, timedelta(seconds=1)))
    (asked, tasks), (limits, _) = await asyncio.gather(course, ask.by_task(promql.memory_limit(ask.target)))
    series = MemorySeries.of(asked, tasks=tasks, limits=limits.values)
    if series.quality != "no-data" or ask.target.platform != "ecs":
        return MemoryFound(series, {})
    return await asyncio.to_thread(_by_insights, sources, ask, release, span, series)


def _by_insights(
    sources: Sources, ask: PrometheusEvidence, release: Release | None, span: timedelta, without: MemorySeries
) -> MemoryFound:
    """Ask Container Insights; where it has nothing either, say why next to why Prometheus has nothing."""
    target = ask.target
    try:
        found = read_memory(sources.aws, target, ask.now - max(span, SHORTEST), ask.now)
        if found.why or not found.used:
            return MemoryFound(without.unanswered(f"{without.why}; {found.why or NOT_ENABLED}"), {})
        seen = (
            task
            for status in ("RUNNING", "STOPPED")
            for task in fetch_tasks(sources.aws, target, status, target.container)
        )
        ours = {
            task.task: task.release for task in seen if release is None or task.release == release.revision
        }
    except OutsideError as error:
        return MemoryFound(without.unanswered(f"{without.why}; {error}"), {})
    tasks = {task: found.used[task] for task in list(ours)[:MOST_TASKS] if task in found.used}
    series = without.model_copy(update={"source": "cloudwatch", "query": memory_question(target)})
    if not tasks:
        why = "Container Insights has nothing of the tasks of the release that runs yet"
        return MemoryFound(series.unanswered(why), {})
    limits = {task: found.limits[task] for task in tasks if task in found.limits}
    return MemoryFound(series.answered(tasks=tasks, limits=limits), {task: ours[task] for task in tasks})
