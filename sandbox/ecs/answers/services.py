"""How what the simulated ECS remembers looks in its answers: the members of botocore's service model."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from botocore.model import StructureShape

from sandbox.ecs.model import DAEMON_COUNT, Cluster, Deployment, Revision, Service, Task, TaskDefinition
from sandbox.ecs.names import Fields
from sandbox.ecs.protocol import service_model

ROLLED = (
    "capacityProviderStrategy",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "platformFamily",
    "platformVersion",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)
"""Service fields that belong to a revision: a change of them starts a deployment."""


def without_none(fields: Fields) -> Fields:
    """Leave out what is not set, as AWS does."""
    return {name: value for name, value in fields.items() if value is not None}


def without(fields: Fields, names: Iterable[str]) -> Fields:
    """Leave out some members."""
    return {name: value for name, value in fields.items() if name not in names}


@cache
def _members(structure: str) -> frozenset[str]:
    """Return the members that a structure has in botocore's model."""
    shape = service_model("ecs").shape_for(structure)
    assert isinstance(shape, StructureShape)
    return frozenset(shape.members)


def _pick(fields: Fields, structure: str) -> Fields:
    """Leave out what a structure has no member for."""
    return {name: value for name, value in fields.items() if name in _members(structure)}


def tag_list(tags: dict[str, str]) -> list[Fields]:
    """Return tags as ``[{"key", "value"}]``."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def counts(tasks: Iterable[Task]) -> tuple[int, int]:
    """Count what runs and what is on its way; a task that was asked to stop is neither."""
    staying = [task for task in tasks if task.stays]
    running = sum(1 for task in staying if task.last_status == "RUNNING")
    return running, len(staying) - running


def cluster_fields(cluster: Cluster, include: Iterable[str] = ()) -> Fields:
    """Return a ``Cluster``."""
    tasks = [task for task in cluster.tasks.values() if task.live]
    running = sum(1 for task in tasks if task.last_status == "RUNNING")
    fields = {
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": cluster.status,
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": running,
        "pendingTasksCount": len(tasks) - running,
        "activeServicesCount": sum(1 for service in cluster.services.values() if service.status == "ACTIVE"),
        "statistics": [],
        "tags": tag_list(cluster.tags) if "TAGS" in include else [],
        "settings": [{"name": "containerInsights", "value": "disabled"}],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    }
    return fields | cluster.settings if "SETTINGS" in include else fields | {"settings": []}


def task_definition_fields(definition: TaskDefinition) -> Fields:
    """Return a ``TaskDefinition``."""
    return without_none(
        definition.fields
        | {
            "taskDefinitionArn": definition.arn,
            "family": definition.family,
            "revision": definition.revision,
            "status": definition.status,
            "registeredAt": definition.registered_at,
            "deregisteredAt": definition.deregistered_at,
            "deleteRequestedAt": definition.delete_requested_at,
        }
    )


def desired_count(service: Service) -> int:
    """Return how many tasks a service wants; a DAEMON service one per instance."""
    if service.status == "ACTIVE" and service.config["schedulingStrategy"] == "DAEMON":
        return DAEMON_COUNT
    return service.desired


def deployment_fields(service: Service, deployment: Deployment) -> Fields:
    """Return a ``Deployment``."""
    tasks = [task for task in service.tasks if task.deployment is deployment]
    running, pending = counts(tasks)
    primary = deployment.status == "PRIMARY"
    fields = {
        "id": deployment.id,
        "status": deployment.status,
        "taskDefinition": deployment.revision.task_definition.arn,
        "desiredCount": desired_count(service) if primary else deployment.wanted,
        "pendingCount": pending,
        "runningCount": running,
        "failedTasks": deployment.failed_tasks,
        "createdAt": deployment.created_at,
        "updatedAt": deployment.updated_at,
        "rolloutState": deployment.rollout_state,
        "rolloutStateReason": deployment.reason,
    } | _pick(deployment.revision.config, "Deployment")
    if any("loadBalancerName" in item for item in deployment.revision.config.get("loadBalancers", [])):
        del fields["rolloutState"], fields["rolloutStateReason"]  # AWS has none behind a Classic LB
    return fields


def task_set_fields(service: Service, deployment: Deployment) -> Fields:
    """Return the ``TaskSet`` that a CODE_DEPLOY service shows in place of deployments."""
    running, pending = counts(task for task in service.tasks if task.deployment is deployment)
    return {
        "id": deployment.id,
        "taskSetArn": service.arn.replace(":service/", ":task-set/") + f"/{deployment.id}",
        "serviceArn": service.arn,
        "clusterArn": service.cluster.arn,
        "startedBy": "CODE_DEPLOY",
        "status": deployment.status,
        "taskDefinition": deployment.revision.task_definition.arn,
        "computedDesiredCount": desired_count(service),
        "pendingCount": pending,
        "runningCount": running,
        "createdAt": deployment.created_at,
        "updatedAt": deployment.updated_at,
        "scale": {"value": 100.0, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE" if service.steady else "STABILIZING",
        "tags": [],
    }


def service_fields(service: Service, *, tags: bool = False) -> Fields:
    """Return a ``Service``."""
    running, pending = counts(service.tasks)
    primary = service.primary
    fields = {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster.arn,
        "loadBalancers": [],
        "serviceRegistries": [],
        "status": service.status,
        "desiredCount": desired_count(service),
        "runningCount": running,
        "pendingCount": pending,
        "taskDefinition": primary.revision.task_definition.arn if primary else None,
        "deployments": [],
        "events": list(service.events),
        "createdAt": service.created_at,
        "createdBy": service.arn.split(":service/", maxsplit=1)[0].replace(":ecs:", ":iam:") + ":root",
        "tags": tag_list(service.tags) if tags else None,
    } | _pick(service.config, "Service")
    if service.controller == "ECS":
        fields["deployments"] = [deployment_fields(service, deployment) for deployment in service.deployments]
        fields |= _current_fields(service)
    else:
        fields["taskSets"] = [task_set_fields(service, deployment) for deployment in service.deployments]
    return without_none(fields)


def _current_fields(service: Service) -> Fields:
    if service.current is None:
        return {}
    revisions = list(dict.fromkeys(deployment.revision for deployment in service.deployments))
    return {
        "currentServiceDeployment": service.current.arn,
        "currentServiceRevisions": [revision_counts(service, revision) for revision in revisions],
    }


def revision_counts(service: Service, revision: Revision) -> Fields:
    """Return a ``ServiceRevisionSummary``: what is asked for and what runs of one revision."""
    running, pending = counts(task for task in service.tasks if task.deployment.revision is revision)
    wanted = (
        desired_count(service) if item.status == "PRIMARY" else item.wanted
        for item in service.deployments
        if item.revision is revision
    )
    return {
        "arn": revision.arn,
        "requestedTaskCount": sum(wanted),
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    }


def revision_fields(service: Service, revision: Revision) -> Fields:
    """Return a ``ServiceRevision``."""
    containers = revision.task_definition.fields["containerDefinitions"]
    images = [
        {
            "containerName": container["name"],
            "image": container["image"],
            "imageDigest": revision.digests[container["name"]],
        }
        for container in containers
    ]
    return without_none(
        revision.config
        | {
            "serviceRevisionArn": revision.arn,
            "serviceArn": service.arn,
            "clusterArn": service.cluster.arn,
            "taskDefinition": revision.task_definition.arn,
            "containerImages": images,
            "guardDutyEnabled": False,
            "createdAt": revision.created_at,
            "resolvedConfiguration": _resolved_fields(revision),
        }
    )


def _resolved_fields(revision: Revision) -> Fields | None:
    """Return a ``ResolvedConfiguration``: the target groups that serve a revision, where it has a pair of them."""
    found: list[Fields] = []
    for balancer in revision.config.get("loadBalancers", []):
        advanced = balancer.get("advancedConfiguration")
        if advanced is not None:
            first = not found
            group = revision.target_group if first and revision.target_group else balancer["targetGroupArn"]
            found.append(
                {"targetGroupArn": group, "productionListenerRule": advanced["productionListenerRule"]}
            )
    return {"loadBalancers": found} if found else None
