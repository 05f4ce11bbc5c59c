"""Why CPU or memory run out, and whether memory leaks: by a robust slope over many readings, never by two points.

The slope is Theil and Sen's, the median of the slopes between all pairs of readings: up to a quarter of the readings
may be wild without moving it much. A fall ends a stretch, and pairs are taken within stretches only, so that a restart
does not hide what memory did before it.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations, pairwise
from statistics import median
from typing import Literal

from runbook_model.catalog.target import Target
from runbook_model.measured.evidence import Points
from runbook_model.measured.symptoms import LoadRead, ResourcesRead, UtilizationRead
from runbook_model.messages import Message
from workflows.decisions.diagnosis.cause import Cause, Diagnosis, more_requests, unknown, unread

FEWEST = 10
"""Readings; fewer say nothing."""

MOST = 120
"""Readings that are looked at; of more, every second or third is enough."""

FALL = 0.3
"""Losing so large a part at once is a restart, or memory given back."""

FULL = 0.9
"""A fall from so large a part of the limit was a kill, not memory given back."""

GROWTH = 0.05
"""Less growth than this part of the limit is within what programs do."""

AGREE, DISAGREE = 0.6, 0.3
"""How far pairs must agree that memory grows (1: all do, 0: as many as do not), and from where on it does not."""

LEVELS_OFF = 0.3
"""A later slope of less than this part of the whole one is growth that comes to an end, as after a start."""

LONGEST = timedelta(days=365)


class Leak(Message):
    """What a memory series says."""

    verdict: Literal["leaks", "steady", "inconclusive"]
    why: str
    bytes_per_second: float | None = None
    full_in: timedelta | None = None
    """Until the limit is reached at this slope."""


def judge_leak(series: Points, limit: float | None = None) -> Leak:
    """Judge one task's memory over time.

    Args:
        series: seconds and bytes, oldest first.
        limit: bytes that the task may use, None when not known.
    """
    readings = series[:: 1 + len(series) // MOST]
    if len(readings) < FEWEST:
        return _inconclusive(f"{len(readings)} readings, {FEWEST} are needed")
    stretches = split_at_falls(readings)
    killed = sum(_was_full(stretch, limit) for stretch in stretches[:-1])
    if killed < len(stretches) - 1:
        return _judge_given_back(stretches, limit)
    return _judge_growth([stretch for stretch in stretches if len(stretch) > 2], limit, killed)


def split_at_falls(series: Points) -> list[Points]:
    """Cut a series where memory falls by much at once."""
    cuts = [place for place, (a, b) in enumerate(pairwise(series), 1) if b[1] < a[1] * (1 - FALL)]
    edges = [0, *cuts, len(series)]
    return [series[start:end] for start, end in pairwise(edges)]


def slope_of(stretches: list[Points]) -> tuple[float, float]:
    """Return the median slope of all pairs in bytes a second, and how far they agree on its sign (-1 to 1)."""
    slopes = [
        (b - a) / (later - earlier)
        for stretch in stretches
        for (earlier, a), (later, b) in combinations(stretch, 2)
        if later > earlier
    ]
    if not slopes:
        return 0.0, 0.0
    rising, falling = sum(slope > 0 for slope in slopes), sum(slope < 0 for slope in slopes)
    return median(slopes), (rising - falling) / len(slopes)


def _judge_growth(stretches: list[Points], limit: float | None, killed: int) -> Leak:
    if sum(len(stretch) for stretch in stretches) < FEWEST:
        return _inconclusive("it was restarted too often to be measured in between")
    slope, agreement = slope_of(stretches)
    span = sum(stretch[-1][0] - stretch[0][0] for stretch in stretches)
    newest = stretches[-1][-1][1]
    enough = GROWTH * (limit or max(newest, 1.0))
    if slope <= 0 or agreement <= DISAGREE or slope * span < enough:
        return Leak(verdict="steady", why=f"memory does not grow ({_rate(slope)})", bytes_per_second=slope)
    if agreement < AGREE:
        return _inconclusive(f"memory grows ({_rate(slope)}), but not all the time")
    later, _ = slope_of([stretch[len(stretch) // 2 :] for stretch in stretches])
    if later < LEVELS_OFF * slope:
        return Leak(verdict="steady", why=f"growth levels off ({_rate(later)})", bytes_per_second=later)
    left = _until_full(limit, newest, slope)
    times = f", was killed at its limit {killed} times" if killed else ""
    ends = f", full in {round(left.total_seconds() / 60)} min" if left is not None else ""
    why = f"it grows by {_rate(slope)}{ends}{times}"
    return Leak(verdict="leaks", why=why, bytes_per_second=slope, full_in=left)


def _judge_given_back(stretches: list[Points], limit: float | None) -> Leak:
    """Judge memory that falls without having been full: by what it falls to, as garbage collectors leave it."""
    floors = tuple(min(stretch, key=lambda point: point[1]) for stretch in stretches)
    if len(floors) < 4:
        return _inconclusive("it fell without being full: a restart by somebody, or memory given back")
    slope, agreement = slope_of([floors])
    grown = slope * (floors[-1][0] - floors[0][0])
    if slope > 0 and agreement >= AGREE and grown >= GROWTH * (limit or floors[-1][1]):
        left = _until_full(limit, floors[-1][1], slope)
        why = f"what is left after it gives memory back grows by {_rate(slope)}"
        return Leak(verdict="leaks", why=why, bytes_per_second=slope, full_in=left)
    return Leak(verdict="steady", why="it falls back by itself again and again", bytes_per_second=slope)


def _was_full(stretch: Points, limit: float | None) -> bool:
    return limit is not None and stretch[-1][1] >= FULL * limit


def _until_full(limit: float | None, newest: float, slope: float) -> timedelta | None:
    if limit is None:
        return None
    seconds = max(0.0, limit - newest) / slope
    return min(LONGEST, timedelta(seconds=min(seconds, LONGEST.total_seconds())))


def _rate(bytes_per_second: float) -> str:
    return f"{60 * bytes_per_second / 1024**2:.1f} MiB/min"


def _inconclusive(why: str) -> Leak:
    return Leak(verdict="inconclusive", why=why)


def classify_resources(
    target: Target, resources: ResourcesRead, load: LoadRead, utilization: UtilizationRead
) -> Diagnosis:
    """Decide: cpu, memory, leak, load, fine, or unknown.

    Prometheus is finer than CloudWatch, which stands in where Prometheus says nothing.
    """
    cpu = _above("CPU", resources.cpu.mean, utilization.cpu.newest, target.thresholds.cpu)
    memory = _above("memory", resources.memory.most, utilization.memory.newest, target.thresholds.memory)
    memory = memory or _killed(resources)
    leak, leaking = _leak(resources)
    doubts = unread(
        usual_requests=load.usual_rate, restarts=resources.restarts, memory_over_time=resources.series
    )
    if not (cpu or memory or leak):
        return _nothing(resources, utilization, doubts)
    seen = tuple(filter(None, (leak, cpu, memory)))
    surge = more_requests(target, load)
    if surge and leak:
        return unknown(*seen, f"but {surge}", doubts=doubts)
    if surge:
        return Diagnosis(cause=Cause.LOAD, because=(surge, *seen), doubts=doubts)
    if leak and (memory or not cpu):
        return Diagnosis(cause=Cause.LEAK, because=seen, doubts=doubts, release=leaking)
    if load.growth is None or (cpu and (memory or leak)):
        return unknown(*seen, load.summary, doubts=doubts)
    usual = f"requests are as usual ({load.rate.value:.1f}/s)"
    if cpu:
        began = resources.cpu_course.began_with_release(target.thresholds.cpu)
        release = resources.onset.release if began else None
        return Diagnosis(cause=Cause.CPU, because=(*seen, usual), doubts=doubts, release=release)
    return Diagnosis(cause=Cause.MEMORY, because=(*seen, usual), doubts=doubts)


def _above(name: str, prometheus: float | None, cloudwatch: float | None, limit: float) -> str | None:
    value = cloudwatch if prometheus is None else prometheus
    if value is None or value <= limit:
        return None
    source = " by CloudWatch" if prometheus is None else ""
    return f"{name} {100 * value:.0f} %{source} (limit {100 * limit:g} %)"


def _killed(resources: ResourcesRead) -> str | None:
    killed = resources.restarts.out_of_memory
    return f"{killed} tasks were killed for their memory" if killed > 1 else None


def _leak(resources: ResourcesRead) -> tuple[str | None, str | None]:
    """Say which tasks leak, and on which release if it is one."""
    judged = {
        task: judge_leak(points, resources.series.limits.get(task) or None)
        for task, points in resources.series.tasks.items()
    }
    leaks = {task: leak for task, leak in judged.items() if leak.verdict == "leaks"}
    if not leaks:
        return None, None
    worst = max(leaks.values(), key=lambda leak: leak.bytes_per_second or 0)
    releases = {resources.releases.get(task, "") for task in leaks} - {""}
    tasks = "task leaks" if len(leaks) == 1 else "tasks leak"
    return f"{len(leaks)} {tasks} memory: {worst.why}", releases.pop() if len(releases) == 1 else None


def _nothing(resources: ResourcesRead, utilization: UtilizationRead, doubts: tuple[str, ...]) -> Diagnosis:
    cpu_known = resources.cpu.known or utilization.cpu.known
    memory_known = resources.memory.known or utilization.memory.known
    if not cpu_known or not memory_known:
        return unknown(resources.summary, utilization.summary, doubts=doubts)
    seen = (resources.summary, utilization.summary)
    return Diagnosis(cause=Cause.FINE, because=seen if resources.cpu.known else seen[::-1], doubts=doubts)
