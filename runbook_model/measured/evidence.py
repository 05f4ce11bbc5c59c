"""What one question to an outside system brought: a number, a few, or why there is none; with query and time.

What could not be read is an answer too, with its reason: a source that is away never stops a procedure.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pydantic import Field

from runbook_model.fact import Fact
from runbook_model.releases.history import ReleaseHistory, ServiceDeployment
from runbook_model.releases.release import Release
from runbook_model.text.plain_text import one_line

Source = Literal[
    "prometheus", "cloudwatch", "ecs", "logs", "engine", "scrape", "load-balancer", "service-connect"
]

SAID = 300
"""Characters of an answer that a report cites."""

SHOWN = 5

WHY = 500
"""Characters of the reason why something could not be read."""

Points = tuple[tuple[float, float], ...]
"""Seconds since 1970 and a value, oldest first."""


class Cited(Fact):
    """One question and its answer, as a report cites it."""

    what: str
    """Which of a step's questions: ``share before``."""
    said: str
    """The answer in short, or why there is none."""
    source: Source
    query: str
    at: datetime


class Evidence(Fact):
    """One question to an outside system and whether it was answered."""

    quality: Literal["known", "no-data", "error"]
    """``no-data``: it answered and the answer says nothing. ``error``: it could not be read."""
    why: str = ""
    """Why nothing is known."""
    source: Source
    query: str
    """PromQL, or the call and what it asked for."""
    at: datetime
    """The moment that the answer speaks of."""

    @property
    def known(self) -> bool:
        """Whether it was answered."""
        return self.quality == "known"

    @property
    def brief(self) -> str:
        """The answer in short."""
        return "known"

    @classmethod
    def of(cls, asked: Evidence, **found: Any) -> Self:
        """Return what was found by a question that was asked already, or that nothing was, for the same reason."""
        return cls(**{name: getattr(asked, name) for name in Evidence.model_fields} | found)

    def answered(self, **found: object) -> Self:
        """Return the question with its answer."""
        return self.model_copy(update={"quality": "known", "why": "", **found})

    def unanswered(self, why: str, **found: object) -> Self:
        """Return the question whose answer says nothing of the service."""
        return self.model_copy(update={"quality": "no-data", "why": why, **found})

    def unread(self, error: Exception) -> Self:
        """Return the question that could not be asked."""
        return self.model_copy(update={"quality": "error", "why": one_line(str(error))[:WHY]})

    def cited(self, what: str) -> Cited:
        """Cite it as the answer to one of several questions."""
        said = self.brief if self.known else self.why
        return Cited(what=what, said=said[:SAID], source=self.source, query=self.query, at=self.at)


class Figure(Evidence):
    """One number."""

    value: float | None = None
    at_least: bool = False
    """Whether the number is only a lower bound, as a quantile at the end of its histogram is."""

    @property
    def brief(self) -> str:
        """The number."""
        bound = "at least " if self.at_least else ""
        return f"{bound}{self.value:.4g}" if self.value is not None else "nothing"

    def above(self, limit: float) -> bool:
        """Whether it is known and higher than a limit."""
        return self.value is not None and self.value > limit

    def within(self, limit: float) -> bool:
        """Whether it is known and not higher than a limit."""
        return self.value is not None and self.value <= limit and not self.at_least


class Breakdown(Evidence):
    """A number for each type, task, release or endpoint."""

    values: dict[str, float] = Field(default_factory=dict)

    @property
    def brief(self) -> str:
        """The largest of the numbers."""
        largest = sorted(self.values.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
        return ", ".join(f"{name} {value:.4g}" for name, value in largest) or "nothing"

    @property
    def mean(self) -> float | None:
        """The average; None of nothing."""
        return sum(self.values.values()) / len(self.values) if self.values else None

    @property
    def most(self) -> float | None:
        """The highest; None of nothing."""
        return max(self.values.values(), default=None)


class ReleaseStart(Evidence):
    """Which release runs, when it started, and which ran before it."""

    release: str = ""
    """``family:revision``."""
    began: datetime | None = None
    """When its deployment started; None when it is older than what ECS remembers."""
    settled: datetime | None = None
    """When its deployment had ended; None while it is under way."""
    before: str | None = None
    """``family:revision`` of the release that ran before."""

    @property
    def brief(self) -> str:
        """What runs, and since when."""
        since = f" since {self.began:%Y-%m-%d %H:%M:%S} UTC" if self.began else ""
        before = f", {self.before} before" if self.before else ""
        return f"{self.release}{since}{before}"


class AcrossRelease(Fact):
    """One number in three windows: just before the present release, its first one, and the last one."""

    before: Figure
    first: Figure
    now: Figure

    def began_with_release(self, limit: float) -> bool:
        """Whether it was within the limit before the release and above from the release's first window on."""
        return self.before.within(limit) and self.first.above(limit) and self.now.above(limit)


class Statistics(Evidence):
    """A CloudWatch metric's averages over time, as shares of the limit."""

    points: Points = ()

    @property
    def newest(self) -> float | None:
        """The last value; None when there is none."""
        return self.points[-1][1] if self.points else None

    @property
    def brief(self) -> str:
        """The last value."""
        return f"{self.newest:.4g}" if self.newest is not None else "nothing"


def citations(fact: object) -> tuple[Cited, ...]:
    """Cite all evidence that a fact is or holds, in the order of its fields."""
    own = (fact.cited(""),) if isinstance(fact, Evidence) else ()
    return (*own, *_inside(fact, ""))


def _inside(fact: object, path: str) -> Iterator[Cited]:
    for name in type(fact).model_fields if isinstance(fact, Fact) else ():
        value, what = getattr(fact, name), f"{path} {name}".strip().replace("_", " ")
        if isinstance(value, Evidence):
            yield value.cited(what)
        elif isinstance(value, Fact):
            yield from _inside(value, what)


class TaskSeen(Fact):
    """One task as ECS reports it."""

    task: str
    release: str
    """``family:revision``."""
    status: str
    health: Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"] = "UNKNOWN"
    started: datetime | None = None
    stopped: datetime | None = None
    stop_code: str | None = None
    reason: str = ""
    """Why it stopped, with its containers' reasons."""
    exit_codes: tuple[int, ...] = ()
    """Of the container that ended it, or of all where that cannot be known."""

    @property
    def failed(self) -> bool:
        """Whether it ended by itself or was found sick; not whether somebody or a deployment stopped it."""
        by_itself = self.stop_code in {"EssentialContainerExited", "TaskFailedToStart"}
        return self.stopped is not None and (by_itself or self.sick)

    @property
    def sick(self) -> bool:
        """Whether it failed its health checks."""
        return self.health == "UNHEALTHY" or "health check" in self.reason.lower()

    @property
    def out_of_memory(self) -> bool:
        """Whether it was killed for the memory that it took."""
        killed = self.stop_code == "EssentialContainerExited" and 137 in self.exit_codes
        return killed or "outofmemory" in self.reason.replace(" ", "").lower()

    @property
    def lived(self) -> timedelta | None:
        """From its start to its stop; None when it never started or still runs."""
        return self.stopped - self.started if self.started and self.stopped else None


class Restarts(Evidence):
    """Tasks that ended by themselves lately."""

    count: int = 0
    out_of_memory: int = 0
    reasons: tuple[str, ...] = ()
    """Newest first, without repetitions."""

    @property
    def brief(self) -> str:
        """How many."""
        return f"{self.count}, of which {self.out_of_memory} for their memory"


QUERY = "ListServiceDeployments, DescribeServiceDeployments, DescribeServiceRevisions"


def onset_of(history: ReleaseHistory, now: datetime) -> ReleaseStart:
    """Find when the release that runs started; a forced deployment of the same release is not its start."""
    current = history.current
    ours: list[ServiceDeployment] = []
    before: Release | None = None
    for deployment in history.deployments:
        release = _brought(deployment, history)
        if release is None:
            continue
        if not release.same_as(current):
            before = release
            break
        ours.append(deployment)
    return ReleaseStart(
        quality="known",
        source="ecs",
        query=QUERY,
        at=now,
        release=current.revision,
        began=ours[-1].created_at if ours and before else None,
        settled=ours[-1].finished_at if ours and before else None,
        before=before.revision if before else None,
    )


def _brought(deployment: ServiceDeployment, history: ReleaseHistory) -> Release | None:
    """Return the release that ran from a deployment on; None when it left the one before in place."""
    if deployment.under_way:
        return deployment.release
    return history.releases.get(deployment.landed or "")
