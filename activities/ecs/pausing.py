"""Amazon ECS: a pause hook of a deployment that the run itself made, answered so that the deployment continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.ecs.changes import EcsChanges, drifted
from activities.ecs.tasks import describe_service
from activities.runtime.fence import fenced, sending
from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.fact import Fact
from runbook_model.plans import PlannedCall
from runbook_model.releases.release import Fence, Release

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients


class ContinueDeployment(ChangeOrder):
    """Continue a deployment that the run made, at a pause hook."""

    service_deployment: str
    hook: str
    """Id of the pause hook, which is of this deployment and this time alone."""
    brings: Release
    """The release that the run deployed."""
    registered: bool = False
    """Whether this very run registered that release."""
    planned_on: Fence
    """The state that the run planned on: the deployment that ran then is never the run's own."""

    @property
    def call(self) -> PlannedCall:
        """The answer."""
        return calls.continue_own(self.brings, registered=self.registered)


class Continued(Fact):
    """What came of it."""

    detail: str

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return self.detail


class EcsPauses:
    """Answers pause hooks."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    @activity.defn
    def continue_deployment(self, change: ContinueDeployment) -> Continued:
        """Answer a pause hook of the run's own deployment with CONTINUE, as long as it waits for an answer."""
        with fenced():
            target, arn = change.target, change.service_deployment
            ecs = self._clients.ecs(target.account)
            now = describe_service(self._clients, target)
            if now.service_deployment != arn or arn == change.planned_on.service_deployment:
                raise drifted(change.planned_on, now)
            with self._clients.naming_errors("describe the service deployment"):
                found = ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
            for item in found:
                revision = item.get("targetServiceRevision", {}).get("arn", "")
                EcsChanges(self._clients).check_brings(
                    target, change.brings, revision, registered=change.registered
                )
            hooks = {
                hook.get("hookId"): hook.get("status", "gone")
                for item in found
                for hook in item.get("lifecycleHookDetails", [])
            }
            status = hooks.get(change.hook, "gone")
            if status != "AWAITING_ACTION":
                return Continued(detail=f"it waits no longer: {status}")
            with sending(), self._clients.naming_errors(f"continue at the pause hook {change.hook}"):
                ecs.continue_service_deployment(
                    serviceDeploymentArn=arn, hookId=change.hook, action="CONTINUE"
                )
            return Continued(detail="continued")
