"""Turn what the ECS API answers into facts. Pure; the shapes are botocore's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from activities.ecs.shifting import read_shift, read_shifting
from activities.runtime.fence import Standing
from runbook_model.releases.history import OwnRollback, ServiceDeployment
from runbook_model.releases.release import Deployment, Fence, Image, Judgement, Mark, Release, ServiceState
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        ContainerImageTypeDef,
        DeploymentTypeDef,
        DescribeTaskDefinitionResponseTypeDef,
        LoadBalancerTypeDef,
        ServiceDeploymentTypeDef,
        ServiceTypeDef,
        TagTypeDef,
        TaskDefinitionTypeDef,
    )


NOT_IN_TAGS = re.compile(r"[^\w\s+\-=.:/@]", re.ASCII)
"""Characters that AWS does not take in a tag's value."""

EVENTS_KEPT = 10
EVENT = 500
"""Characters of what ECS says in an event, or as a reason."""

LEDGER = {"runbook:verified:": Judgement.GOOD, "runbook:bad:": Judgement.BAD}
"""Tag prefix -> what it says; ``<environment>/<service>`` follows the prefix."""


def read_service_state(service: ServiceTypeDef) -> ServiceState:
    """Read one service of DescribeServices."""
    configuration = service.get("deploymentConfiguration", {})
    return ServiceState(
        arn=service["serviceArn"],
        status=service["status"],
        controller=service.get("deploymentController", {}).get("type", "ECS"),
        strategy=configuration.get("strategy", "ROLLING"),
        scheduling=service.get("schedulingStrategy", "REPLICA"),
        shifting=read_shifting(configuration, service.get("loadBalancers", [])),
        desired=service["desiredCount"],
        running=service["runningCount"],
        pending=service["pendingCount"],
        task_definition=service.get("taskDefinition", ""),
        deployments=tuple(read_deployment(deployment) for deployment in service.get("deployments", [])),
        service_deployment=service.get("currentServiceDeployment"),
        service_revisions=tuple(revision["arn"] for revision in service.get("currentServiceRevisions", [])),
        balanced=balanced_containers(service.get("loadBalancers", [])),
        target_groups=target_groups(service.get("loadBalancers", [])),
        discovery_names=discovery_names(service.get("deployments", [])),
        events=tuple(excerpt(event["message"], EVENT) for event in service.get("events", [])[:EVENTS_KEPT]),
        read_at=datetime.now(UTC),
    )


def _reason(said: str | None) -> str | None:
    return None if said is None else excerpt(said, EVENT)


def read_deployment(deployment: DeploymentTypeDef) -> Deployment:
    """Read one of a service's ``deployments``."""
    return Deployment(
        id=deployment["id"],
        status=deployment["status"],
        task_definition=deployment["taskDefinition"],
        desired=deployment.get("desiredCount", 0),
        running=deployment.get("runningCount", 0),
        pending=deployment.get("pendingCount", 0),
        failed_tasks=deployment.get("failedTasks", 0),
        rollout_state=deployment.get("rolloutState"),
        rollout_reason=_reason(deployment.get("rolloutStateReason")),
        created_at=deployment["createdAt"],
    )


def read_service_deployment(found: ServiceDeploymentTypeDef, release: Release) -> ServiceDeployment:
    """Read one service deployment; ``release`` is what its target revision brings."""
    rollback = found.get("rollback")
    return ServiceDeployment(
        arn=found["serviceDeploymentArn"],
        status=found["status"],
        reason=_reason(found.get("statusReason")),
        created_at=found["createdAt"],
        finished_at=found.get("finishedAt"),
        sources=tuple(source["arn"] for source in found.get("sourceServiceRevisions", [])),
        revision=found.get("targetServiceRevision", {}).get("arn", ""),
        release=release,
        rollback=OwnRollback(
            reason=excerpt(rollback.get("reason", ""), EVENT), revision=rollback.get("serviceRevisionArn")
        )
        if rollback
        else None,
        alarms=tuple(found.get("alarms", {}).get("triggeredAlarmNames", [])),
        shift=read_shift(found),
    )


def target_groups(balancers: Iterable[LoadBalancerTypeDef]) -> tuple[str, ...]:
    """Name the target groups of a service, each once."""
    found = (
        arn
        for item in balancers
        for arn in (
            item.get("targetGroupArn"),
            item.get("advancedConfiguration", {}).get("alternateTargetGroupArn"),
        )
        if arn
    )
    return tuple(dict.fromkeys(found))


def discovery_names(deployments: Iterable[DeploymentTypeDef]) -> tuple[str, ...]:
    """Name what callers in Service Connect know a service by; nothing where it only calls others."""
    newest = next((found for found in deployments if found["status"] == "PRIMARY"), None)
    configuration = newest.get("serviceConnectConfiguration", {}) if newest else {}
    if newest is None or not configuration.get("enabled"):
        return ()
    made = [item.get("discoveryName") for item in newest.get("serviceConnectResources", [])]
    asked = [item.get("discoveryName", item["portName"]) for item in configuration.get("services", [])]
    return tuple(dict.fromkeys(name for name in made or asked if name))


def balanced_containers(balancers: Iterable[LoadBalancerTypeDef]) -> tuple[str, ...]:
    """Name the containers behind a service's load balancers, each once."""
    return tuple(dict.fromkeys(name for balancer in balancers if (name := balancer.get("containerName"))))


def app_container(
    definition: TaskDefinitionTypeDef, named: str | None, balanced: tuple[str, ...]
) -> str | None:
    """Find the container whose image is the release; None where it cannot be known.

    Args:
        definition: the task definition.
        named: what the catalog says; nothing else counts where it says something.
        balanced: the containers behind load balancers.
    """
    names = [item["name"] for item in definition["containerDefinitions"]]
    if len(names) == 1 or named:
        return named if named in names else names[0] if len(names) == 1 else None
    essential = [item["name"] for item in definition["containerDefinitions"] if item.get("essential", True)]
    for found in ([name for name in names if name in balanced], essential):
        if len(found) == 1:
            return found[0]
    return None


def read_release(
    described: DescribeTaskDefinitionResponseTypeDef,
    key: str,
    ran: Iterable[ContainerImageTypeDef] = (),
    *,
    named: str | None = None,
    balanced: tuple[str, ...] = (),
) -> Release:
    """Read a release from its task definition and, where it ran, from the images of its service revision.

    Args:
        described: with the task definition's tags.
        key: ``<environment>/<service>``, whose ledger entries count.
        ran: the images that tasks really ran, with their digests.
        named: the app's container, as the catalog has it.
        balanced: the containers behind load balancers.
    """
    definition = described["taskDefinition"]
    digests = {image.get("containerName"): image.get("imageDigest") for image in ran}
    images = tuple(
        Image(
            container=container["name"],
            name=container["image"],
            digest=digests.get(container["name"]) or _pinned(container["image"]),
        )
        for container in definition["containerDefinitions"]
    )
    app = app_container(definition, named, balanced)
    return Release(
        task_definition=definition["taskDefinitionArn"],
        images=images,
        container=app,
        unclear=() if app else tuple(image.container for image in images),
        active=definition["status"] == "ACTIVE",
        marks=read_marks(described.get("tags", []), key),
    )


def _pinned(image: str) -> str | None:
    return image.partition("@")[2] or None


def read_marks(tags: Iterable[TagTypeDef], key: str) -> tuple[Mark, ...]:
    """Read the ledger's entries for a target among a task definition's tags.

    A bad mark that cannot be read still counts, until a later one says otherwise; a good one does not.
    """
    found = (
        (verdict, tag) for prefix, verdict in LEDGER.items() for tag in tags if tag.get("key") == prefix + key
    )
    return tuple(mark for verdict, tag in found if (mark := _read_mark(verdict, tag.get("value", ""))))


def _read_mark(verdict: Judgement, value: str) -> Mark | None:
    match value.split(" ", 2):
        case [digest, at, source]:
            try:
                moment = datetime.fromisoformat(at)
            except ValueError:
                return _unreadable(verdict)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return Mark(verdict=verdict, digest=digest, source=source, at=moment)
        case _:
            return _unreadable(verdict)


def _unreadable(verdict: Judgement) -> Mark | None:
    if verdict is Judgement.GOOD:
        return None
    return Mark(
        verdict=verdict,
        digest="unknown",
        source="a tag that cannot be read",
        at=datetime.min.replace(tzinfo=UTC),
    )


def write_mark(mark: Mark, key: str) -> tuple[str, str]:
    """Write a ledger entry as a tag's key and value: digest, time and source."""
    prefix = next(prefix for prefix, verdict in LEDGER.items() if verdict is mark.verdict)
    source = NOT_IN_TAGS.sub("-", mark.source)
    return prefix + key, f"{mark.digest} {mark.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S+00:00} {source}"[:256]


def standing(fence: Fence, now: ServiceState, wanted: str, *, may_be_ours: bool) -> Standing:
    """Say whether a change to a task definition is still to be made.

    Args:
        fence: what was recorded when the plan was made.
        now: a fresh reading.
        wanted: ARN of the task definition that the change brings.
        may_be_ours: whether an earlier attempt may have made the change already.
    """
    primary = now.primary
    if primary and primary.id == fence.primary and now.task_definition == fence.task_definition:
        return Standing.UNCHANGED
    if may_be_ours and primary and primary.id != fence.primary and primary.task_definition == wanted:
        return Standing.OURS
    return Standing.DRIFTED
