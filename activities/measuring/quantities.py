"""Each quantity of a service is measured here, and only here: verification and diagnosis show the same measurement.

What 95 % of the requests took is asked of Prometheus alone: ``PrometheusEvidence.p95``. Error lines are in ``logs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from activities.cloudwatch.utilization import read_statistics
from activities.docker.reading import read_project
from activities.docker.reading import read_statistics as read_engine_statistics
from activities.prometheus.scrape import question
from runbook_model.errors import InputError, OutsideError
from runbook_model.measured.evidence import Breakdown, Evidence, Figure
from runbook_model.measured.measurements import Measurement

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from activities.measuring.sources import Sources
    from activities.prometheus.evidence import PrometheusEvidence, Window
    from runbook_model.catalog.catalog import Target
    from runbook_model.containers import Container
    from runbook_model.measured.measurements import Resource

METRICS: dict[Resource, Literal["CPUUtilization", "MemoryUtilization"]] = {
    "cpu": "CPUUtilization",
    "memory": "MemoryUtilization",
}


async def measure_errors(
    sources: Sources,
    ask: PrometheusEvidence,
    window: Window,
    *,
    live: bool = False,
    since: datetime | None = None,
    pause: timedelta | None = None,
) -> Measurement:
    """Measure the share of requests that fail: from Prometheus, else from the service's own metrics.

    A window that ended before now is known to Prometheus only.

    Args:
        sources: where to measure.
        ask: the target's Prometheus.
        window: when, and of which release.
        live: whether it must speak of tasks that live.
        since: from when on the service's own metrics count; a rate window back unless given.
        pause: how long they are watched where nothing earlier is remembered; two seconds unless given.
    """
    target = ask.target

    async def scraped() -> Measurement:
        asked = Measurement.of(question(target, ask.now))
        if target.url is None:
            return asked
        try:
            return await sources.scraper.traffic(target, since, pause)
        except OutsideError as error:
            return asked.unread(error)

    seen = await ask.error_share(window, live=live)
    if window.end is None and target.prometheus_url is None:
        seen = await scraped()
    elif window.end is None and target.url and (seen.uncounted or seen.quality == "error"):
        seen = _instead(seen, await scraped())
    return seen.if_enough(target.thresholds.min_requests)


def _instead(seen: Measurement, scraped: Measurement) -> Measurement:
    """Return what the service's own metrics say, where they say more than Prometheus did."""
    if seen.uncounted:
        return seen if scraped.failed is None else scraped
    if scraped.failed is None:
        return scraped.model_copy(update={"why": f"{seen.why}; {scraped.why}"})
    return scraped.model_copy(update={"note": f"{scraped.note}: {seen.why}"})


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
