"""Each quantity of a service is measured here, and only here: verification and diagnosis show the same measurement.

Requests are measured in ``requests``, and error lines in ``logs``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from activities.cloudwatch.utilization import read_statistics
from activities.docker.reading import read_project
from activities.docker.reading import read_statistics as read_engine_statistics
from runbook_model.catalog.target import Target
from runbook_model.containers import Container
from runbook_model.errors import InputError, OutsideError
from runbook_model.measured.evidence import Breakdown, Evidence, Figure
from runbook_model.measured.measurements import Resource

if TYPE_CHECKING:
    from activities.measuring.sources import Sources

METRICS: dict[Resource, Literal["CPUUtilization", "MemoryUtilization"]] = {
    "cpu": "CPUUtilization",
    "memory": "MemoryUtilization",
}


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
