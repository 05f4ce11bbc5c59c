"""How tasks and service deployments look in answers."""

from __future__ import annotations

from sandbox.ecs.answers.services import revision_counts, tag_list, without_none
from sandbox.ecs.model import Cluster, Revision, Service, ServiceDeployment, Task
from sandbox.ecs.names import Fields, Names

_HEALTH = {True: "HEALTHY", False: "UNHEALTHY", None: "UNKNOWN"}


def task_fields(names: Names, cluster: Cluster, task: Task, *, tags: bool = False) -> Fields:
    """Return a ``Task``."""
    definition = task.deployment.revision.task_definition
    config = task.deployment.revision.config
    container = _container_fields(names, cluster, task)
    return without_none(
        {
            "taskArn": task.arn,
            "clusterArn": cluster.arn,
            "taskDefinitionArn": definition.arn,
            "containers": [container],
            "attachments": [],
            "attributes": [],
            "overrides": {
                "containerOverrides": [{"name": container["name"]}],
                "inferenceAcceleratorOverrides": [],
            },
            "group": f"service:{task.service}",
            "startedBy": task.started_by,
            "launchType": config.get("launchType"),
            "platformVersion": config.get("platformVersion"),
            "platformFamily": config.get("platformFamily"),
            "cpu": definition.fields.get("cpu", str(definition.container.get("cpu", 0))),
            "memory": definition.fields.get("memory", str(definition.container.get("memory", 0))),
            "availabilityZone": f"{names.region}a",
            "enableExecuteCommand": False,
            "desiredStatus": task.desired_status,
            "lastStatus": task.last_status,
            "healthStatus": container["healthStatus"],
            "connectivity": "CONNECTED" if task.running else None,
            "createdAt": task.created_at,
            "pullStartedAt": task.pull_started_at,
            "pullStoppedAt": task.started_at,
            "startedAt": task.started_at,
            "connectivityAt": task.started_at,
            "stoppingAt": task.stopping_at,
            "executionStoppedAt": task.stopped_at,
            "stoppedAt": task.stopped_at,
            "stopCode": task.stop_code,
            "stoppedReason": task.stopped_reason,
            "tags": tag_list(task.tags) if tags else [],
            "version": 1 + sum(1 for at in (task.pull_started_at, task.started_at, task.stopped_at) if at),
        }
    )


def _container_fields(names: Names, cluster: Cluster, task: Task) -> Fields:
    revision = task.deployment.revision
    definition = revision.task_definition.container
    bindings, interfaces = [], []
    if task.running is not None:
        host, _, port = task.running.address.partition(":")
        ports = definition.get("portMappings") or [{"containerPort": int(port)}]
        bindings = [
            {"bindIP": host, "hostPort": int(port), "protocol": "tcp", "containerPort": item["containerPort"]}
            for item in ports[:1]
        ]
        interfaces = [{"attachmentId": task.id, "privateIpv4Address": host}]
    return without_none(
        {
            "containerArn": names.container(cluster.name, task.id, task.id[:32]),
            "taskArn": task.arn,
            "name": definition["name"],
            "image": definition["image"],
            "imageDigest": revision.digests[definition["name"]] if task.started_at else None,
            "runtimeId": f"{task.id}-{task.id[:10]}" if task.started_at else None,
            "lastStatus": task.last_status if task.last_status in {"RUNNING", "STOPPED"} else "PENDING",
            "exitCode": task.exit_code,
            "reason": task.container_reason,
            "networkBindings": bindings,
            "networkInterfaces": interfaces,
            "healthStatus": _HEALTH[task.healthy if task.live else None],
            "cpu": str(definition.get("cpu", 0)),
            "memory": str(definition["memory"]) if "memory" in definition else None,
        }
    )


def brief_fields(service: Service, deployment: ServiceDeployment) -> Fields:
    """Return a ``ServiceDeploymentBrief``."""
    return without_none(
        {
            "serviceDeploymentArn": deployment.arn,
            "serviceArn": service.arn,
            "clusterArn": service.cluster.arn,
            "startedAt": deployment.started_at,
            "createdAt": deployment.created_at,
            "finishedAt": deployment.finished_at,
            "targetServiceRevisionArn": deployment.target.arn,
            "status": deployment.status,
            "statusReason": deployment.reason,
        }
    )


def service_deployment_fields(service: Service, deployment: ServiceDeployment) -> Fields:
    """Return a ``ServiceDeployment``."""
    fields = brief_fields(service, deployment)
    del fields["targetServiceRevisionArn"]
    rollback = deployment.rollback and {
        "reason": deployment.rollback.reason,
        "startedAt": deployment.rollback.started_at,
        "serviceRevisionArn": deployment.rollback.revision.arn,
    }
    return fields | without_none(
        {
            "stoppedAt": deployment.stopped_at,
            "updatedAt": deployment.updated_at,
            "sourceServiceRevisions": [
                _counts(service, deployment, revision) for revision in deployment.sources
            ],
            "targetServiceRevision": _counts(service, deployment, deployment.target),
            "deploymentConfiguration": deployment.deployment_configuration,
            "rollback": rollback,
            "deploymentCircuitBreaker": _breaker_fields(deployment),
            "alarms": _alarm_fields(deployment),
            **_shift_fields(deployment),
        }
    )


def _counts(service: Service, service_deployment: ServiceDeployment, revision: Revision) -> Fields:
    found = service_deployment.counts.get(revision.arn) or revision_counts(service, revision)
    if service_deployment.shift is None:
        return found
    wanted, arn = service_deployment.shift.wanted, revision.arn
    green = arn == service_deployment.target.arn
    blue = service_deployment.blue is not None and arn == service_deployment.blue.revision.arn
    return found | {
        "requestedTestTrafficWeight": wanted.test if green else 100.0 - wanted.test if blue else 0.0,
        "requestedProductionTrafficWeight": (
            wanted.production if green else 100.0 - wanted.production if blue else 0.0
        ),
    }


def _shift_fields(deployment: ServiceDeployment) -> Fields:
    """Return the members of a ``ServiceDeployment`` that only a deployment that shifts traffic has."""
    shift = deployment.shift
    if shift is None:
        return {}
    hooks = [
        without_none(
            {
                "hookId": run.id,
                "targetType": run.hook.kind,
                "targetArn": run.hook.target,
                "status": run.status,
                "expiresAt": run.expires_at,
                "timeoutAction": run.hook.at_timeout,
            }
        )
        for run in shift.hooks
    ]
    return {"lifecycleStage": shift.stage, "lifecycleHookDetails": hooks}


def _alarm_fields(deployment: ServiceDeployment) -> Fields:
    if not deployment.plan.alarms:
        return {"status": "DISABLED", "alarmNames": [], "triggeredAlarmNames": []}
    over = deployment.finished or deployment.rollback is not None
    status = "TRIGGERED" if deployment.triggered else "MONITORING_COMPLETE" if over else "MONITORING"
    names = {"alarmNames": list(deployment.plan.alarms), "triggeredAlarmNames": list(deployment.triggered)}
    return {"status": status, **names}


def _breaker_fields(service_deployment: ServiceDeployment) -> Fields:
    enabled = service_deployment.deployment_configuration.get("deploymentCircuitBreaker", {}).get(
        "enable", False
    )
    if service_deployment.shift is not None:
        status = "DISABLED"  # the circuit breaker is for rolling deployments
    elif service_deployment.breaker_tripped:
        status = "TRIGGERED"
    elif not enabled:
        status = "DISABLED"
    else:
        status = "MONITORING_COMPLETE" if service_deployment.finished else "MONITORING"
    return {
        "status": status,
        "failureCount": service_deployment.failures,
        "threshold": service_deployment.threshold,
    }
