"""CPU and memory against their limits, by Prometheus and by CloudWatch or the containers' engine, as readings of a verification."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from activities.cloudwatch.utilization import read_statistics
from activities.docker.reading import read_project
from activities.docker.reading import read_statistics as engine_statistics
from activities.prometheus import promql
from activities.prometheus.client import NoData, Prometheus
from runbook_model.errors import OutsideError, UnreachableError
from runbook_model.evidence import Evidence
from runbook_model.readings import Quality, Reading

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from activities.measuring.sources import Sources
    from runbook_model.readings import Observation

Resource = Literal["cpu", "memory"]
METRICS: dict[Resource, Literal["CPUUtilization", "MemoryUtilization"]] = {
    "cpu": "CPUUtilization",
    "memory": "MemoryUtilization",
}
NAMES: dict[Resource, str] = {"cpu": "CPU", "memory": "memory"}


class Share(Evidence):
    """What one source says of a resource: a share of the limit."""

    value: float | None = None


async def read_use(sources: Sources, observation: Observation, resource: Resource, now: datetime) -> Reading:
    """Measure once: bad if one source is above the limit, good if what is known is within it.

    CloudWatch comes minutes later and only what it averaged after the observation began counts.

    Raises:
        UnreachableError: neither source can be read.
    """
    platform = _by_engine if observation.target.platform == "compose" else _by_cloudwatch
    prometheus, other = await asyncio.gather(
        _by_prometheus(sources.http, observation, resource, now),
        asyncio.to_thread(platform, sources, observation, resource, now),
    )
    if prometheus.quality == other.quality == "error":
        raise UnreachableError(f"{prometheus.why}; {other.why}")
    thresholds = observation.target.thresholds
    limit = thresholds.cpu if resource == "cpu" else thresholds.memory
    return judge_use(resource, prometheus, other, limit, now)


def judge_use(resource: Resource, prometheus: Share, other: Share, limit: float, now: datetime) -> Reading:
    """Hold what is known against the limit."""
    known = [one for one in (prometheus, other) if one.value is not None]
    values = [one.value for one in known if one.value is not None]
    above = any(value > limit for value in values)
    quality = (Quality.BAD if above else Quality.GOOD) if values else Quality.NO_DATA
    said = [f"{100 * value:.0f} % by {one.source}" for one, value in zip(known, values, strict=True)]
    words = " and ".join(said) or f"{prometheus.why}; {other.why}"
    return Reading(
        kind=resource,
        quality=quality,
        value=max(values, default=None),
        limit=limit,
        detail=f"{NAMES[resource]} {words} (limit {100 * limit:g} %)",
        source=known[0].source if known else "prometheus",
        query=known[0].query if known else None,
        at=now,
    )


async def _by_prometheus(
    http: httpx.AsyncClient, observation: Observation, resource: Resource, now: datetime
) -> Share:
    target, release = observation.target, observation.release
    query = (
        promql.mean_cpu_share(target, release, target.verify.rate_window)
        if resource == "cpu"
        else promql.most_memory_share(target, release)
    )
    asked = Share(
        quality="no-data", why="the catalog names no prometheus_url", source="prometheus", query=query, at=now
    )
    if target.prometheus_url is None:
        return asked
    try:
        found = await Prometheus(http, target.prometheus_url).value(query)
    except OutsideError as error:
        return asked.model_copy(update={"quality": "error", "why": str(error)})
    if isinstance(found, NoData):
        return asked.model_copy(update={"why": found.why})
    return asked.model_copy(update={"quality": "known", "why": "", "value": found})


def _by_cloudwatch(sources: Sources, observation: Observation, resource: Resource, now: datetime) -> Share:
    found = read_statistics(sources.aws, observation.target, METRICS[resource], now)
    after = [value for moment, value in found.points if moment >= observation.since.timestamp()]
    why = found.why or "CloudWatch has averaged nothing since"
    asked = Share(quality=found.quality, why=why, source="cloudwatch", query=found.query, at=now)
    if not after:
        return asked if found.quality == "error" else asked.model_copy(update={"quality": "no-data"})
    return asked.model_copy(update={"why": "", "value": after[-1]})


def _by_engine(sources: Sources, observation: Observation, resource: Resource, now: datetime) -> Share:
    """Ask the engine what the service's containers use: CPU on average, memory of the one that has the most."""
    asked = Share(quality="no-data", why="no container runs", source="engine", query="stats", at=now)
    try:
        uses = engine_statistics(sources.engine, read_project(sources.engine, observation.target).own)
    except OutsideError as error:
        return asked.model_copy(update={"quality": "error", "why": str(error)})
    shares = [one.cpu_share if resource == "cpu" else one.memory_share for one in uses]
    known = [share for share in shares if share is not None]
    if not known:
        return asked
    value = sum(known) / len(known) if resource == "cpu" else max(known)
    return asked.model_copy(update={"quality": "known", "why": "", "value": value})
