"""Amazon ECS: every change that the product makes to a service, fenced so that it is made at most once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities.ecs.configuring import quick_configuration
from activities.ecs.orders import (
    Deployed,
    DeployRelease,
    ForceDeployment,
    MarkRelease,
    RegisterRelease,
    StopDeployment,
)
from activities.ecs.reading import read_release, read_service_state, standing, write_mark
from activities.ecs.registering import (
    CHANGE_TAG,
    check_belongs,
    copy_of,
    images_of,
    not_allowed,
    registered_by,
)
from activities.ecs.shifting import read_shift
from activities.ecs.tasks import describe_service
from activities.runtime.fence import Standing, fenced, sending
from runbook_model.catalog.target import Target
from runbook_model.errors import DriftedError, EndedError, RejectedError, UnknownReplyError
from runbook_model.releases.release import ROLLING_BACK, UNDER_WAY, Fence, Release, ServiceState
from runbook_model.releases.shifting import Moment

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        RegisterTaskDefinitionRequestTypeDef,
        ServiceDeploymentTypeDef,
        TagTypeDef,
    )

    from activities.aws.clients import AwsClients


class EcsChanges:
    """Changes of ECS. Temporal may run any of them again; the service is changed once."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    @activity.defn
    def deploy_release(self, change: DeployRelease) -> Deployed:
        """Update the service to the release, unless that is done or somebody else was there first."""
        with fenced():
            now = describe_service(self._clients, change.target)
            wanted = change.release.task_definition
            stands = standing(change.fence, now, wanted, may_be_ours=activity.info().attempt > 1)
            if stands is Standing.UNCHANGED:
                check_belongs(self._clients, change.target, wanted, now)
                if change.registered:
                    self._check_registered_here(change.target, change.release)
                quick = self._quick(change)
                return self._update(change.target, change.fence, task_definition=wanted, configuration=quick)
            if stands is Standing.OURS:
                return _deployed(now, change.fence, adopted=True)
            raise drifted(change.fence, now)

    @activity.defn
    def force_deployment(self, change: ForceDeployment) -> Deployed:
        """Force a new deployment of what runs; after an unknown reply a newer one is adopted and none is forced twice."""
        with fenced():
            now = describe_service(self._clients, change.target)
            wanted = change.fence.task_definition
            sent_before = activity.info().attempt > 1 and any(activity.info().heartbeat_details)
            stands = standing(change.fence, now, wanted, may_be_ours=activity.info().attempt > 1)
            if stands is Standing.OURS:
                return _deployed(now, change.fence, adopted=True)
            if stands is not Standing.UNCHANGED:
                raise drifted(change.fence, now)
            if sent_before:
                raise UnknownReplyError(
                    "a forced deployment was sent, no answer came and no new deployment is to be seen; "
                    "it is not sent again",
                    fix="look at the service and start again",
                )
            return self._update(change.target, change.fence, force=True)

    @activity.defn
    def stop_deployment(self, change: StopDeployment) -> Deployed:
        """Stop the deployment under way and let ECS roll it back; asked twice it simply continues."""
        with fenced():
            ecs = self._clients.ecs(change.target.account)
            with self._clients.naming_errors("describe the service deployment"):
                found = ecs.describe_service_deployments(serviceDeploymentArns=[change.service_deployment])
            status = found["serviceDeployments"][0]["status"] if found["serviceDeployments"] else "gone"
            now = describe_service(self._clients, change.target)
            if now.service_deployment != change.service_deployment:
                raise drifted(change.fence, now)
            for item in found["serviceDeployments"]:
                self._check_stops_in_time(change, item)
            if status not in UNDER_WAY | ROLLING_BACK | {"ROLLBACK_SUCCESSFUL"}:
                raise DriftedError(f"the deployment ended before it could be stopped: it is {status}")
            adopted = status in ROLLING_BACK or status == "ROLLBACK_SUCCESSFUL"
            if not adopted:
                with sending(), self._clients.naming_errors("stop the service deployment"):
                    ecs.stop_service_deployment(
                        serviceDeploymentArn=change.service_deployment, stopType="ROLLBACK"
                    )
            return Deployed(
                deployment=now.primary.id if now.primary else "",
                task_definition=now.task_definition,
                service_deployment=change.service_deployment,
                adopted=adopted,
                at=datetime.now(UTC),
            )

    def _quick(self, change: DeployRelease) -> dict[str, Any] | None:
        """Return the service's deployment configuration without its waits, where the plan takes them out."""
        settings = change.settings
        return quick_configuration(self._clients, change.target, settings) if settings else None

    def _check_stops_in_time(self, change: StopDeployment, found: ServiceDeploymentTypeDef) -> None:
        """Let a deployment be stopped that shifts traffic, as long as the old tasks run.

        Raises:
            EndedError: it ends the old tasks, or has ended: people are asked about what is next.
            PolicyError: it was to bring what the run deployed, and brings something else.
        """
        if change.brings:
            revision = found.get("targetServiceRevision", {}).get("arn", "")
            self.check_brings(change.target, change.brings, revision, registered=change.registered)
        shift = read_shift(found)
        if shift and shift.moment(found["status"]) in {Moment.CLEANING_UP, Moment.FINISHED}:
            where = shift.summary(found["status"])
            raise EndedError(f"the deployment was not stopped: {where}")

    def check_brings(self, target: Target, release: Release, revision: str, *, registered: bool) -> None:
        """Let a deployment pass whose revision brings a release, which the run registered if it says so.

        Raises:
            PolicyError: it brings something else.
        """
        with self._clients.naming_errors("describe the service revision"):
            found = self._clients.ecs(target.account).describe_service_revisions(
                serviceRevisionArns=[revision]
            )
        if release.task_definition not in {item["taskDefinition"] for item in found["serviceRevisions"]}:
            raise not_allowed(f"the deployment under way does not bring {release.revision}")
        if registered:
            self._check_registered_here(target, release)

    @activity.defn
    def register_release(self, change: RegisterRelease) -> Release:
        """Register a deregistered release again with its images pinned by digest."""
        with fenced():
            ecs = self._clients.ecs(change.target.account)
            check_belongs(self._clients, change.target, change.release.task_definition)
            with self._clients.naming_errors(f"describe the task definition {change.release.revision}"):
                old = ecs.describe_task_definition(
                    taskDefinition=change.release.task_definition, include=["TAGS"]
                )
            request = copy_of(old, change.release, change.run_id)
            if made := self._registered_by(change, request):
                return made
            with sending(), self._clients.naming_errors(f"register {change.release.revision} again"):
                new = ecs.register_task_definition(**request)
            return read_release(
                {**old, "taskDefinition": new["taskDefinition"], "tags": []},
                change.target.key,
                named=change.release.container,
            )

    @activity.defn
    def mark_release(self, change: MarkRelease) -> None:
        """Tag the release's task definition with what was found out about it, unless an earlier attempt did."""
        now = describe_service(self._clients, change.target)
        if change.registered and now.task_definition != change.release.task_definition:
            raise not_allowed(f"{change.release.revision} does not run, so this run did not put it there")
        check_belongs(self._clients, change.target, change.release.task_definition, now)
        key, value = write_mark(change.mark, change.target.key)
        tag: TagTypeDef = {"key": key, "value": value}
        if activity.info().attempt > 1 and tag in self._tags(change.target, change.release):
            return
        with self._clients.naming_errors(f"tag {change.release.revision}"):
            self._clients.ecs(change.target.account).tag_resource(
                resourceArn=change.release.task_definition, tags=[tag]
            )

    def _check_registered_here(self, target: Target, release: Release) -> None:
        """Let a revision pass that the run registered which asks.

        Raises:
            PolicyError: another run did, or nobody says who.
        """
        if {"key": CHANGE_TAG, "value": activity.info().workflow_run_id} not in self._tags(target, release):
            raise not_allowed(f"{release.revision} was not registered by this run")

    def _tags(self, target: Target, release: Release) -> list[TagTypeDef]:
        with self._clients.naming_errors(f"describe the task definition {release.revision}"):
            found = self._clients.ecs(target.account).describe_task_definition(
                taskDefinition=release.task_definition, include=["TAGS"]
            )
        return found.get("tags", [])

    def _update(
        self,
        target: Target,
        fence: Fence,
        *,
        task_definition: str | None = None,
        configuration: dict[str, Any] | None = None,
        force: bool = False,
    ) -> Deployed:
        ecs = self._clients.ecs(target.account)
        with sending(), self._clients.naming_errors(f"update the service {target.ecs_service}"):
            if task_definition:
                settings: dict[str, Any] = {"deploymentConfiguration": configuration} if configuration else {}
                answer = ecs.update_service(
                    cluster=target.cluster,
                    service=target.ecs_service,
                    taskDefinition=task_definition,
                    **settings,
                )
            else:
                answer = ecs.update_service(
                    cluster=target.cluster, service=target.ecs_service, forceNewDeployment=force
                )
        now = read_service_state(answer["service"])
        if not now.primary or now.primary.id == fence.primary:
            raise RejectedError(f"ECS made no new deployment of {target.ecs_service}: it runs that already")
        return _deployed(now, fence)

    def _registered_by(
        self, change: RegisterRelease, request: RegisterTaskDefinitionRequestTypeDef
    ) -> Release | None:
        family, wanted = request["family"], images_of(request)
        with self._clients.naming_errors(f"look for a revision of {family} that this run registered"):
            found = registered_by(
                self._clients.ecs(change.target.account),
                family,
                change.run_id,
                lambda definition: images_of(definition) == wanted,
            )
        return read_release(found, change.target.key, named=change.release.container) if found else None


def drifted(fence: Fence, now: ServiceState) -> DriftedError:
    """Say who was there first."""
    primary = now.primary
    what = f"{primary.id} brings {primary.task_definition.rpartition('/')[2]}" if primary else "there is none"
    return DriftedError(
        f"somebody else changed the service: its deployment was {fence.primary} when the plan was made, now {what}; "
        "theirs stays"
    )


def _deployed(now: ServiceState, fence: Fence, *, adopted: bool = False) -> Deployed:
    primary = now.primary
    fresh = now.service_deployment if now.service_deployment != fence.service_deployment else None
    return Deployed(
        deployment=primary.id if primary else "",
        task_definition=now.task_definition,
        service_deployment=fresh,
        replaces=fence.service_deployment if now.shifting else None,
        adopted=adopted,
        at=datetime.now(UTC),
    )
