"""Memory of each task over time: by Prometheus, and by Container Insights where Prometheus has none of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from activities.cloudwatch.insights import question, read_memory
from activities.ecs.tasks import fetch_tasks
from activities.prometheus import promql
from runbook_model.errors import OutsideError
from runbook_model.measured.symptoms import MemorySeries
from runbook_model.releases.release import Release

if TYPE_CHECKING:
    from activities.measuring.sources import Sources
    from activities.prometheus.evidence import PrometheusEvidence

POINTS = 60
"""Readings of each task's memory."""
SHORTEST = timedelta(minutes=30)
"""Container Insights is looked at for so long at least: it has one reading a minute, minutes late."""
MOST_TASKS = 50
NOT_ENABLED = "Container Insights has no memory of its tasks: enhanced observability is not enabled"


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
    series = without.model_copy(update={"source": "cloudwatch", "query": question(target)})
    if not tasks:
        why = "Container Insights has nothing of the tasks of the release that runs yet"
        return MemoryFound(series.unanswered(why), {})
    limits = {task: found.limits[task] for task in tasks if task in found.limits}
    return MemoryFound(series.answered(tasks=tasks, limits=limits), {task: ours[task] for task in tasks})
