"""What load balancers counted of each of two releases that run at the same time, while traffic is shifted between them. Pure.

Each has a target group of its own, so their figures can be held against each other.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.measured.evidence import Evidence
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Release
from runbook_model.text.sentences import count_of


class RunningRevision(Fact):
    """One of the two service revisions that run."""

    arn: str
    release: str
    """``family:revision``."""
    name: str
    """What people call the release: ``family:revision (tag)``."""


class RevisionPair(Fact):
    """Two service revisions that run at the same time: a deployment shifts traffic from one to the other."""

    coming: RunningRevision
    old: RunningRevision
    wanted: int
    """Tasks that each of them shall have."""
    has_traffic: bool
    """Whether users may have met the coming one; test traffic alone does not count."""


class RevisionsQuery(Fact):
    """A pair of revisions whose figures are wanted."""

    target: Target
    pair: RevisionPair


class RevisionFigures(Evidence):
    """One revision's figures, of the target groups that ECS says are its own."""

    revision: RunningRevision
    target_groups: tuple[str, ...] = ()
    """What CloudWatch calls them: ``targetgroup/<name>/<id>``."""
    begin: datetime | None = None
    end: datetime | None = None
    """The time that was counted; the two revisions' may begin at different moments."""
    share: float | None = None
    """Share of the requests that failed, 0 to 1; not known where there were too few of them."""
    requests: float | None = None
    failed: float | None = None
    by_type: dict[str, float] = Field(default_factory=dict)
    """Failed requests of each kind: answers with a 5xx, refused connections."""
    healthy: int | None = None
    """Targets that were healthy in the newest minute."""
    wanted: int = 0
    p95: float | None = None
    """Seconds in which 95 % of the requests were answered."""
    bad: str = ""
    """What else is bad, whatever share of the requests failed."""
    unsure: str = ""
    """What keeps it from being good."""

    @property
    def brief(self) -> str:
        """The figures in one line."""
        if not self.known or self.share is None:
            return f"not known: {self.why}"
        said = [f"{100 * self.share:.1f} % of {round(self.requests or 0):,} requests failed"]
        if refused := round(self.by_type.get("refused connections", 0)):
            said.append(f"{count_of(refused, 'connection')} refused")
        if self.healthy is not None:
            said.append(f"{self.healthy} of {count_of(self.wanted, 'target')} healthy")
        said.append(f"p95 {self.p95:.2f}s" if self.p95 is not None else "p95 not known")
        return ", ".join(said)

    @property
    def summary(self) -> str:
        """The release and its figures."""
        return f"{self.revision.name}: {self.brief}"


class RevisionsRead(Fact):
    """The figures of both, over the same time."""

    coming: RevisionFigures
    old: RevisionFigures
    has_traffic: bool
    """Whether users may have met the coming one."""
    together: bool = False
    """Whether they answered requests in the same minutes; where all traffic is shifted at once, one does after the other."""

    @property
    def summary(self) -> str:
        """One line for people."""
        return "; ".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each release, with the time that it speaks of, since CloudWatch publishes late; one where nothing is known."""
        if not self.coming.known and self.coming.why == self.old.why:
            return (f"the figures of each release are not known: {self.coming.why}",)
        return self._line(self.coming), self._line(self.old)

    def _line(self, figures: RevisionFigures) -> str:
        if not figures.known or figures.begin is None or figures.end is None:
            return figures.summary
        return f"{figures.summary} ({figures.begin:%H:%M:%S} to {figures.end:%H:%M:%S} UTC)"


def pair_of(history: ReleaseHistory) -> RevisionPair | None:
    """Find the two revisions between which traffic is being shifted; None where there are no two, or the old one is being ended."""
    latest = history.latest
    if latest is None or latest.shift is None or not latest.under_way or latest.cleaning_up:
        return None
    before = history.releases.get(latest.sources[0]) if len(latest.sources) == 1 else None
    if before is None:
        return None
    return RevisionPair(
        coming=_running(latest.revision, latest.release),
        old=_running(latest.sources[0], before),
        wanted=history.service.desired,
        has_traffic=latest.shift.has_traffic(latest.status),
    )


def _running(arn: str, release: Release) -> RunningRevision:
    return RunningRevision(arn=arn, release=release.revision, name=release.name)
