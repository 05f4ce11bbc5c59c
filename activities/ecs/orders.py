"""Orders of changes to an ECS service, and what a change of its deployment came to."""

from __future__ import annotations

from datetime import datetime

from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.fact import Fact
from runbook_model.plans import PlannedCall
from runbook_model.releases.configuring import QuickSettings
from runbook_model.releases.release import Fence, Mark, Release


class DeployRelease(ChangeOrder):
    """Make a service run a release that is registered."""

    release: Release
    fence: Fence
    registered: bool = False
    """Whether this very run registered it."""
    settings: QuickSettings | None = None
    """The waits of its deployment configuration, which the update takes out."""

    @property
    def call(self) -> PlannedCall:
        """The update."""
        return calls.deploy(self.target, self.release, registered=self.registered, settings=self.settings)


class ForceDeployment(ChangeOrder):
    """Start fresh tasks of the task definition that runs."""

    fence: Fence

    @property
    def call(self) -> PlannedCall:
        """The forced update."""
        return calls.force(self.target)


class StopDeployment(ChangeOrder):
    """Stop a service deployment that is under way; ECS puts back what ran before."""

    service_deployment: str
    fence: Fence
    brings: Release | None = None
    """The release that it brings, where the run itself deployed that: then any deployment of it is meant."""
    registered: bool = False
    """Whether this very run registered that release."""

    @property
    def call(self) -> PlannedCall:
        """The stop."""
        if self.brings:
            return calls.stop_own(self.brings, registered=self.registered)
        return calls.stop(self.service_deployment)


class RegisterRelease(ChangeOrder):
    """Register a release again, pinned by digest."""

    release: Release
    run_id: str
    """Marks the new revision, so that a repeat finds it."""

    @property
    def call(self) -> PlannedCall:
        """The registration."""
        return calls.register(self.release)


class MarkRelease(ChangeOrder):
    """Write an entry of the ledger."""

    release: Release
    mark: Mark
    registered: bool = False
    """Whether this very run put a revision there that nobody could name before."""

    @property
    def call(self) -> PlannedCall:
        """The tag."""
        return calls.mark(self.release, self.mark.verdict, registered=self.registered)


class Deployed(Fact):
    """A deployment that is ours."""

    deployment: str
    """Id of the deployment."""
    task_definition: str
    service_deployment: str | None = None
    replaces: str | None = None
    """ARN of the service deployment before it, where deployments shift traffic."""
    adopted: bool = False
    """An earlier attempt had made it."""
    at: datetime
