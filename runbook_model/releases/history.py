"""What ECS knows of a service's deployments: each one, and ECS's own rollback of it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from runbook_model.fact import Fact
from runbook_model.releases.release import UNDER_WAY, Release, ServiceState
from runbook_model.releases.shifting import CLEAN_UP, Shift


class OwnRollback(Fact):
    """The rollback that ECS itself made of a service deployment."""

    reason: str
    revision: str | None = None
    """ARN of the service revision that it went back to."""


class ServiceDeployment(Fact):
    """One service deployment, with the release that it brought."""

    arn: str
    status: str
    reason: str | None = None
    created_at: datetime
    finished_at: datetime | None = None
    sources: tuple[str, ...] = ()
    """ARNs of the service revisions that ran when it started."""
    revision: str
    """ARN of the service revision that it brings."""
    release: Release
    rollback: OwnRollback | None = None
    alarms: tuple[str, ...] = ()
    """CloudWatch alarms that stopped it."""
    shift: Shift | None = None
    """How far it has shifted traffic; None where it shifts none."""

    @property
    def under_way(self) -> bool:
        """Whether it can still be stopped."""
        return self.status in UNDER_WAY

    @property
    def cleaning_up(self) -> bool:
        """Whether the old release is being ended: a stop would no longer be a quick way back."""
        return self.under_way and self.shift is not None and self.shift.stage == CLEAN_UP

    @property
    def landed(self) -> str | None:
        """ARN of the service revision that ran when it had ended; None when it landed nowhere."""
        if self.status == "SUCCESSFUL":
            return self.revision
        return self.rollback.revision if self.status == "ROLLBACK_SUCCESSFUL" and self.rollback else None


class ReleaseHistory(Fact):
    """What runs now and what ran before."""

    service: ServiceState
    current: Release
    deployments: tuple[ServiceDeployment, ...] = ()
    """Service deployments, newest first."""
    releases: dict[str, Release] = Field(default_factory=dict)
    """Releases by ARN of their service revision, for every revision that ``deployments`` names."""

    @property
    def latest(self) -> ServiceDeployment | None:
        """The newest service deployment."""
        return self.deployments[0] if self.deployments else None
