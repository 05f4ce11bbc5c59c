"""The calls that change something, as plans show them and as changes are about to make them: written in one place. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runbook_model.catalog.service_policies import Terraform
from runbook_model.catalog.target import Target
from runbook_model.measured.database import SessionName
from runbook_model.plans import PlannedCall
from runbook_model.releases.capacity import Capacity, TaskChange
from runbook_model.releases.configuring import QuickSettings
from runbook_model.releases.release import Judgement, Release

AS_REGISTERED = "<as registered>"
"""Stands for the number of a revision that the same run registers first."""
DECIDED_LATER = frozenset({"changes"})
"""What is shown of a call and decided by something else: what Terraform does is bound by its plan's hash."""

ACTIONS = (
    "UpdateService",
    "StopServiceDeployment",
    "RegisterTaskDefinition",
    "TagResource",
    "RegisterScalableTarget",
    "apply",
    "RebootDBInstance",
    "pg_terminate_backend",
    "ContainerRestart",
)
"""What the product's own changes call, as plans name it."""


def update_service(target: Target, **what: object) -> PlannedCall:
    """Update the service."""
    return ecs("UpdateService", cluster=target.cluster, service=target.ecs_service, **what)


def deploy(
    target: Target, release: Release, *, registered: bool = False, settings: QuickSettings | None = None
) -> PlannedCall:
    """Update the service to a release, or to the revision that the same run registers of it; with ``settings`` without waits."""
    quick = {"deploymentConfiguration": settings.shown(quick=True)} if settings else {}
    return update_service(target, taskDefinition=_revision(release, registered=registered), **quick)


def put_settings_back(target: Target, settings: QuickSettings) -> PlannedCall:
    """Give the service's deployment configuration its waits back; starts no deployment."""
    return update_service(target, deploymentConfiguration=settings.shown(quick=False))


def force(target: Target) -> PlannedCall:
    """Start fresh tasks of what runs."""
    return update_service(target, forceNewDeployment=True)


def stop(service_deployment: str | None) -> PlannedCall:
    """Stop a deployment; ECS puts back what ran before."""
    return ecs("StopServiceDeployment", serviceDeploymentArn=service_deployment, stopType="ROLLBACK")


def stop_own(release: Release, *, registered: bool = False) -> PlannedCall:
    """Stop the deployment of a release that the same run makes first, whose ARN nobody knows before."""
    revision = _revision(release, registered=registered)
    return ecs("StopServiceDeployment", deploymentOf=revision, stopType="ROLLBACK")


def continue_own(release: Release, *, registered: bool = False) -> PlannedCall:
    """Continue the deployment of a release that the same run makes, at any of its pause hooks."""
    revision = _revision(release, registered=registered)
    parameters = {"deploymentOf": revision, "action": "CONTINUE"}
    return PlannedCall(service="ecs", action="ContinueServiceDeployment", parameters=parameters)


def register(release: Release, change: TaskChange | None = None) -> PlannedCall:
    """Register a release once more, pinned by digest, with other sizes where they are given."""
    family = release.revision.partition(":")[0]
    images = {image.container: image.digest or image.name for image in release.images}
    sizes = {"cpu": change.cpu, "memory": change.memory} if change else {}
    given: dict[str, object] = {name: str(value) for name, value in sizes.items() if value is not None}
    if change and change.value is not None:
        given["environment"] = {name: {change.variable: change.value} for name in change.containers}
    return ecs("RegisterTaskDefinition", family=family, copyOf=release.revision, images=images, **given)


def mark(release: Release, judgement: Judgement, *, registered: bool = False) -> PlannedCall:
    """Tag a release with what was found out about it."""
    revision = _revision(release, registered=registered)
    return ecs("TagResource", revision=revision, judgement=str(judgement))


def scale(target: Target, capacity: Capacity) -> PlannedCall:
    """Set how many tasks run: autoscaling's bounds where it manages the service, else the count."""
    if capacity.minimum is None:
        return update_service(target, desiredCount=capacity.desired)
    bounds = {"MinCapacity": capacity.minimum, "MaxCapacity": capacity.maximum}
    return PlannedCall(
        service="application-autoscaling",
        action="RegisterScalableTarget",
        parameters={"ResourceId": f"service/{target.cluster}/{target.ecs_service}", **bounds},
    )


def terraform(module: Terraform | None, variables: Mapping[str, str]) -> PlannedCall:
    """Apply a module with values for some of its variables."""
    where: dict[str, object] = {"directory": module.directory} if module else {}
    if module and module.workspace:
        where["workspace"] = module.workspace
    return PlannedCall(
        service="terraform", action="apply", parameters={**where, "variables": dict(variables)}
    )


def reboot(instance: str | None) -> PlannedCall:
    """Reboot a database instance."""
    return PlannedCall(
        service="rds", action="RebootDBInstance", parameters={"DBInstanceIdentifier": instance}
    )


def terminate(sessions: Sequence[SessionName]) -> PlannedCall:
    """End sessions of the database."""
    names = [f"{name.pid} since {name.backend_start.isoformat()}" for name in sessions]
    return PlannedCall(service="postgresql", action="pg_terminate_backend", parameters={"sessions": names})


def restart(project: str, service: str, containers: Sequence[str]) -> PlannedCall:
    """Restart the containers of a compose service."""
    parameters = {"project": project, "service": service, "containers": list(containers)}
    return PlannedCall(service="docker", action="ContainerRestart", parameters=parameters)


def _revision(release: Release, *, registered: bool) -> str:
    family = release.revision.partition(":")[0]
    return f"{family}:{AS_REGISTERED}" if registered else release.revision


def ecs(action: str, **parameters: object) -> PlannedCall:
    """Call ECS."""
    return PlannedCall(service="ecs", action=action, parameters=parameters)


def same_call(sent: PlannedCall, shown: PlannedCall) -> bool:
    """Whether a call is the one that was shown."""
    said = {name: value for name, value in shown.parameters.items() if name not in DECIDED_LATER}
    return (sent.service, sent.action) == (shown.service, shown.action) and sent.parameters == said
