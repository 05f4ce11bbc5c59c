"""The demo company's delivery pipeline: registers a release's task definition and updates the service to it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.aws_clients import ecs_client
from sandbox.names import ACCOUNT, BLUE_GREEN, CONTAINER, FIRST_VERSION, REGION, SERVICE, EcsEnvironment

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import (
        DeploymentConfigurationUnionTypeDef,
        LoadBalancerTypeDef,
        RegisterTaskDefinitionRequestTypeDef,
    )


FINAL_STATUSES = {"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}
WAIT_SECONDS = 120.0
BAKE_MINUTES = 5
"""How long both revisions run after the traffic is shifted; a minute is two seconds here."""


@dataclass(frozen=True)
class Delivery:
    """A release on its way."""

    task_definition: str
    """The ARN of the revision that was registered."""
    deployment_id: str
    """The id of the service's PRIMARY deployment after the update."""


def release_definition(
    environment: EcsEnvironment,
    version: str,
    settings: Mapping[str, str],
    *,
    cpu: int = 256,
    memory: int = 512,
) -> RegisterTaskDefinitionRequestTypeDef:
    """Return a release's task definition; ``settings`` is the container environment that is not everyday."""
    everyday = {"ENVIRONMENT": environment.name}
    return {
        "family": environment.family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": str(cpu),
        "memory": str(memory),
        "executionRoleArn": environment.execution_role,
        "containerDefinitions": [
            {
                "name": CONTAINER,
                "image": f"{SERVICE}:{version}",
                "essential": True,
                "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
                "environment": [
                    {"name": name, "value": value} for name, value in sorted({**everyday, **settings}.items())
                ],
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": environment.log_group,
                        "awslogs-region": REGION,
                        "awslogs-stream-prefix": CONTAINER,
                    },
                },
            }
        ],
    }


def deliver(
    ecs: ECSClient, environment: EcsEnvironment, definition: RegisterTaskDefinitionRequestTypeDef
) -> Delivery:
    """Register a release and update the service to it."""
    registered = ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
    service = ecs.update_service(
        cluster=environment.cluster, service=environment.ecs_service, taskDefinition=registered
    )["service"]
    primary = next(deployment for deployment in service["deployments"] if deployment["status"] == "PRIMARY")
    return Delivery(registered, primary["id"])


def create_service(
    ecs: ECSClient, environment: EcsEnvironment, definition: RegisterTaskDefinitionRequestTypeDef
) -> None:
    """Create the environment's cluster and its service, on a first release."""
    ecs.create_cluster(clusterName=environment.cluster)
    registered = ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
    ecs.create_service(
        cluster=environment.cluster,
        serviceName=environment.ecs_service,
        taskDefinition=registered,
        desiredCount=2,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-5a11db0c"]}},
        loadBalancers=[_load_balancer(environment)],
        deploymentConfiguration=_deployment_configuration(environment),
    )


def _load_balancer(environment: EcsEnvironment) -> LoadBalancerTypeDef:
    group = environment.target_group
    found: LoadBalancerTypeDef = {"targetGroupArn": group, "containerName": CONTAINER, "containerPort": 8080}
    if environment.variant == BLUE_GREEN:
        found["advancedConfiguration"] = {
            "alternateTargetGroupArn": environment.alternate_target_group,
            "productionListenerRule": environment.rule("production"),
            "testListenerRule": environment.rule("test"),
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/{SERVICE}-{environment.name}-traffic",
        }
    return found


def _deployment_configuration(environment: EcsEnvironment) -> DeploymentConfigurationUnionTypeDef:
    if environment.variant == BLUE_GREEN:
        return {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": BAKE_MINUTES}
    breaker = environment.circuit_breaker
    return {
        "minimumHealthyPercent": 100,
        "maximumPercent": 200,
        "deploymentCircuitBreaker": {"enable": breaker, "rollback": breaker},
    }


def await_end(ecs: ECSClient, environment: EcsEnvironment, seconds: float = WAIT_SECONDS) -> str:
    """Wait until the service's newest service deployment has ended, and return its status.

    Raises:
        TimeoutError: it did not end in time.
    """
    give_up_at = time.monotonic() + seconds
    status = "not started"
    while time.monotonic() < give_up_at:
        found = ecs.list_service_deployments(cluster=environment.cluster, service=environment.ecs_service)
        if found["serviceDeployments"]:
            status = found["serviceDeployments"][0]["status"]
            if status in FINAL_STATUSES:
                return status
        time.sleep(0.25)
    raise TimeoutError(f"the deployment of {environment.ecs_service} is {status} after {seconds:.0f} s")


def release_first(endpoint_url: str, environment: EcsEnvironment) -> None:
    """Release the first version, as somebody once did, and wait until it runs.

    Raises:
        RuntimeError: it does not.
    """
    ecs = ecs_client(endpoint_url)
    create_service(ecs, environment, release_definition(environment, FIRST_VERSION, {}))
    status = await_end(ecs, environment)
    if status != "SUCCESSFUL":
        raise RuntimeError(f"the first deployment in {environment.name} ended {status}")
