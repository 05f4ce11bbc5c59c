"""What a diagnosis reads: figures with how and when they were asked for. Facts only; causes are decided elsewhere."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from runbook_model.fact import Fact
from runbook_model.measured.evidence import (
    AcrossRelease,
    Breakdown,
    Evidence,
    Figure,
    Points,
    ReleaseStart,
    Restarts,
    Statistics,
    TaskSeen,
)
from runbook_model.measured.revisions import RevisionsRead
from runbook_model.releases.release import ServiceState
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import count_of


class ErrorsRead(Fact):
    """Which requests fail, and since when."""

    onset: ReleaseStart
    share: AcrossRelease
    """Share of requests that failed, 0 to 1; not known where there were too few requests to tell."""
    requests: Figure
    """Requests in the last rate window."""
    by_type: Breakdown
    """Failed requests in the last rate window."""
    by_release: Breakdown
    """Share that failed, for each release that answered enough requests lately; no data without a release label."""
    others: tuple[Figure, ...] = ()
    """The share in the last window by other sources."""
    revisions: RevisionsRead | None = None
    """The figures of both releases, while traffic is shifted between two."""

    @property
    def summary(self) -> str:
        """One line for people."""
        now = self.share.now
        if now.value is None:
            return f"errors are not known: {now.why}"
        counted = ((name, round(count)) for name, count in _largest(self.by_type.values))
        types = ", ".join(f"{name or 'no type'} {count}" for name, count in counted if count)
        began = f"{_share(self.share.before)} before {self.onset.release}, {_share(self.share.first)} in its first window"
        said = (
            f"{100 * now.value:.1f} % of requests fail ({began})"
            if self.onset.began
            else f"{100 * now.value:.1f} % fail"
        )
        said += "".join(f", {100 * (item.value or 0):.1f} % by {item.source}" for item in self.others)
        return f"{said}; by type: {types}" if types else said


class LoadRead(Fact):
    """How much the service is asked to do, against what is usual."""

    rate: Figure
    """Requests a second."""
    usual_rate: Figure
    """Median of the windows before the last two."""
    cpu: Figure
    """Share of the CPU limit, averaged over tasks."""
    usual_cpu: Figure

    @property
    def growth(self) -> float | None:
        """Requests now as a multiple of the usual; None when either is not known."""
        return _ratio(self.rate, self.usual_rate)

    @property
    def cpu_growth(self) -> float | None:
        """CPU now as a multiple of the usual; None when either is not known."""
        return _ratio(self.cpu, self.usual_cpu)

    @property
    def summary(self) -> str:
        """One line for people."""
        rate = f"{self.rate.value:.1f} requests/s" if self.rate.value is not None else "requests not known"
        usual = f" (usual {self.usual_rate.value:.1f})" if self.usual_rate.value is not None else ""
        cpu = f"CPU {_share(self.cpu)} of its limit" if self.cpu.value is not None else "CPU not known"
        usual_cpu = f" (usual {_share(self.usual_cpu)})" if self.usual_cpu.value is not None else ""
        return f"{rate}{usual}, {cpu}{usual_cpu}"


class EndpointTime(Fact):
    """How slow one endpoint is."""

    endpoint: str
    p95: float | None = None
    mean: float | None = None
    """Both in seconds."""
    at_least: bool = False
    """Whether p95 is only a lower bound: it lies beyond the histogram's highest bucket."""

    @property
    def summary(self) -> str:
        """One line for people."""
        p95, mean = (f"{item:.2f}s" if item is not None else "not known" for item in (self.p95, self.mean))
        return f"{self.endpoint}: p95 {'at least ' if self.at_least else ''}{p95}, mean {mean}"


class LatencyRead(Fact):
    """How slow answers are, and which."""

    onset: ReleaseStart
    p95: AcrossRelease
    """Seconds in which 95 % of the requests were answered."""
    slowest: tuple[EndpointTime, ...] = ()
    """Slowest first; empty when the histogram has no endpoint label."""
    endpoints: Evidence
    """How the endpoints were asked for."""
    others: tuple[Figure, ...] = ()
    """The same seconds in the last window by other sources."""
    revisions: RevisionsRead | None = None
    """The figures of both releases, while traffic is shifted between two."""

    @property
    def summary(self) -> str:
        """One line for people."""
        now = self.p95.now
        if now.value is None:
            return f"latency is not known: {now.why}"
        worst = f"; slowest {self.slowest[0].endpoint}" if self.slowest else ""
        earlier = _seconds(self.p95.before)
        before = f" ({earlier} before {self.onset.release})" if earlier else ""
        others = "".join(f", {_seconds(item)} by {item.source}" for item in self.others)
        return f"p95 {_seconds(now)}{before}{others}{worst}"


class MemorySeries(Evidence):
    """Memory of each task over time, in bytes."""

    tasks: dict[str, Points] = Field(default_factory=dict)
    limits: dict[str, float] = Field(default_factory=dict)
    """Bytes that each task may use."""

    @property
    def brief(self) -> str:
        """How much was read."""
        return f"{count_of(sum(map(len, self.tasks.values())), 'reading')} of {count_of(len(self.tasks), 'task')}"


class ResourcesRead(Fact):
    """CPU and memory of each task against its limits."""

    onset: ReleaseStart
    cpu: Breakdown
    """Share of the CPU limit by task."""
    cpu_course: AcrossRelease
    """Share of the CPU limit, averaged over tasks."""
    memory: Breakdown
    """Share of the memory limit by task."""
    releases: dict[str, str] = Field(default_factory=dict)
    """``family:revision`` by task."""
    series: MemorySeries
    restarts: Restarts

    @property
    def summary(self) -> str:
        """One line for people."""
        cpu, memory = self.cpu.mean, self.memory.most
        if cpu is None and memory is None and self.cpu.why == self.memory.why:
            used = [f"CPU and memory of each task not known: {self.cpu.why}"]
        else:
            used = [
                f"CPU of each task not known: {self.cpu.why}" if cpu is None else f"CPU {100 * cpu:.0f} %",
                f"memory of each task not known: {self.memory.why}"
                if memory is None
                else f"memory {100 * memory:.0f} % of the limit",
            ]
        restarts = (
            count_of(self.restarts.count, "restart")
            if self.restarts.known
            else f"restarts not known: {self.restarts.why}"
        )
        return ", ".join((*used, restarts))


class UtilizationRead(Fact):
    """CPU and memory as CloudWatch has them."""

    cpu: Statistics
    memory: Statistics

    @property
    def summary(self) -> str:
        """One line for people."""
        parts = (("CPU", self.cpu), ("memory", self.memory))
        return "CloudWatch: " + ", ".join(
            f"{name} {100 * part.newest:.0f} %"
            if part.newest is not None
            else f"{name} not known: {part.why}"
            for name, part in parts
        )


class TasksRead(Evidence):
    """The service's tasks, those that run and those that stopped lately."""

    onset: ReleaseStart
    service: ServiceState | None = None
    tasks: tuple[TaskSeen, ...] = ()
    """Those that shall run."""
    stopped: tuple[TaskSeen, ...] = ()
    """Newest first; ECS remembers them for about an hour."""

    @property
    def brief(self) -> str:
        """The same as is reported."""
        return self.summary

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.service is None:
            return f"tasks are not known: {self.why}"
        state = self.service
        sick = sum(task.health == "UNHEALTHY" for task in self.tasks)
        newest = f"; the last to stop: {self.stopped[0].reason}" if self.stopped else ""
        return (
            f"{state.counts}, {state.pending} pending, {sick} unhealthy, "
            f"{len(self.stopped)} stopped lately{newest}"
        )


class LogsRead(Evidence):
    """The error lines of the last minutes."""

    count: int = 0
    complete: bool = True
    """False when there were more than are read: the count is then a lower bound."""
    span: timedelta = timedelta(0)
    newest: tuple[str, ...] = ()
    """Redacted and cut, oldest first."""
    dependencies: dict[str, int] = Field(default_factory=dict)
    """Error lines that name a dependency, by word: ``database``, ``connection``, ``timeout`` …"""
    about_dependencies: int = 0
    """Error lines that name any dependency."""

    @property
    def brief(self) -> str:
        """The same as is reported."""
        return self.summary

    @property
    def summary(self) -> str:
        """One line for people."""
        if not self.known:
            return f"logs not known: {self.why}"
        words = ", ".join(f"{word} {count}" for word, count in _largest(self.dependencies))
        return f"{self.lines}; they name {words}" if words else self.lines

    @property
    def lines(self) -> str:
        """How many, in how long."""
        bound = "" if self.complete else "at least "
        return f"{bound}{count_of(self.count, 'error line')} in {format_duration(self.span)}"


def _ratio(now: Figure, usual: Figure) -> float | None:
    if now.value is None or not usual.value or usual.value <= 0:
        return None
    return now.value / usual.value


def _seconds(figure: Figure) -> str:
    if figure.value is None:
        return ""
    return f"{'at least ' if figure.at_least else ''}{figure.value:.2f}s"


def _share(figure: Figure) -> str:
    return f"{100 * figure.value:.0f} %" if figure.value is not None else "unknown"


def _largest(values: dict[str, float] | dict[str, int], most: int = 4) -> list[tuple[str, float]]:
    return sorted(values.items(), key=lambda item: (-item[1], item[0]))[:most]
