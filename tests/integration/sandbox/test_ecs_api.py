"""The simulated ECS refuses what AWS refuses, with the same codes, and pages and tags as AWS does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import CLUSTER, SERVICE

if TYPE_CHECKING:
    from ecs_world import World

APP = {"name": "app", "image": "ai-processor:1.0.0", "memory": 128}
GHOST = "arn:aws:ecs:us-east-1:123456789012:{}/shop/web/ghost"

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "describe_services",
        {"cluster": "no", "services": ["web"]},
        "ClusterNotFoundException",
        "Cluster not found.",
    ),
    ("describe_services", {"services": ["web"]}, "ClusterNotFoundException", "Cluster not found."),
    (
        "describe_services",
        {"cluster": CLUSTER, "services": []},
        "InvalidParameterException",
        "cannot be empty",
    ),
    (
        "describe_services",
        {"cluster": CLUSTER, "services": ["web"] * 11},
        "InvalidParameterException",
        "at most 10",
    ),
    (
        "update_service",
        {"cluster": CLUSTER, "service": "no"},
        "ServiceNotFoundException",
        "Service not found.",
    ),
    ("update_service", {"cluster": "no", "service": "web"}, "ClusterNotFoundException", "Cluster not found."),
    (
        "update_service",
        {"cluster": CLUSTER, "service": SERVICE, "taskDefinition": "web:99"},
        "ClientException",
        "TaskDefinition not found.",
    ),
    (
        "update_service",
        {"cluster": CLUSTER, "service": SERVICE, "desiredCount": -1},
        "InvalidParameterException",
        "negative",
    ),
    (
        "update_service",
        {"cluster": CLUSTER, "service": SERVICE, "healthCheckGracePeriodSeconds": 5},
        "InvalidParameterException",
        "only valid for services configured to use load balancers",
    ),
    (
        "update_service",
        {"cluster": CLUSTER, "service": SERVICE, "deploymentConfiguration": {"maximumPercent": 100}},
        "InvalidParameterException",
        "block deployments",
    ),
    (
        "list_tasks",
        {"cluster": CLUSTER, "serviceName": "no"},
        "ServiceNotFoundException",
        "Service not found.",
    ),
    ("list_tasks", {"cluster": CLUSTER, "nextToken": "bogus"}, "InvalidParameterException", "Invalid token"),
    ("list_tasks", {"cluster": CLUSTER, "maxResults": 101}, "InvalidParameterException", "between 1 and 100"),
    (
        "list_tasks",
        {"cluster": CLUSTER, "desiredStatus": "GONE"},
        "InvalidParameterException",
        "GONE is not one of",
    ),
    (
        "describe_tasks",
        {"cluster": CLUSTER, "tasks": ["a"] * 101},
        "InvalidParameterException",
        "Between 1 and 100",
    ),
    (
        "stop_task",
        {"cluster": CLUSTER, "task": "no"},
        "InvalidParameterException",
        "referenced task was not found",
    ),
    (
        "describe_task_definition",
        {"taskDefinition": "no"},
        "ClientException",
        "Unable to describe task definition.",
    ),
    (
        "describe_task_definition",
        {"taskDefinition": "web:9"},
        "ClientException",
        "Unable to describe task definition.",
    ),
    ("deregister_task_definition", {"taskDefinition": "web"}, "ClientException", "Revision is missing."),
    (
        "deregister_task_definition",
        {"taskDefinition": "web:no"},
        "ClientException",
        "Invalid revision number. Number: no",
    ),
    (
        "deregister_task_definition",
        {"taskDefinition": "web:9"},
        "ClientException",
        "Unable to describe task definition.",
    ),
    (
        "update_service",
        {"cluster": CLUSTER, "service": SERVICE, "taskDefinition": "web:latest"},
        "InvalidParameterException",
        "Invalid revision number. Number: latest",
    ),
    (
        "update_service",
        {
            "cluster": CLUSTER,
            "service": SERVICE,
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": []}},
        },
        "InvalidParameterException",
        "subnets can not be empty.",
    ),
    (
        "register_task_definition",
        {"family": "web", "containerDefinitions": [{"image": "a", "memory": 1}]},
        "ClientException",
        "Container.name should not be null or empty.",
    ),
    (
        "register_task_definition",
        {
            "family": "web",
            "containerDefinitions": [{"name": "a", "image": "a"}],
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "pidMode": "host",
        },
        "ClientException",
        "Tasks using the Fargate launch type do not support pidMode 'host'.",
    ),
    (
        "register_task_definition",
        {"family": "x", "containerDefinitions": []},
        "ClientException",
        "cannot be empty",
    ),
    (
        "register_task_definition",
        {"family": "x", "containerDefinitions": [{"name": "app", "image": "a:1"}]},
        "ClientException",
        "'memory' or 'memoryReservation'",
    ),
    (
        "register_task_definition",
        {"family": "x", "containerDefinitions": [APP], "requiresCompatibilities": ["FARGATE"]},
        "ClientException",
        "memory and cpu at task-level",
    ),
    (
        "register_task_definition",
        {"family": "x y", "containerDefinitions": [APP]},
        "ClientException",
        "Family contains invalid characters",
    ),
    (
        "register_task_definition",
        {"family": "x", "containerDefinitions": [APP], "tags": [{"key": "aws:x", "value": ""}]},
        "InvalidParameterException",
        "reserved",
    ),
    (
        "delete_service",
        {"cluster": CLUSTER, "service": SERVICE},
        "InvalidParameterException",
        "scaled above 0",
    ),
    ("delete_cluster", {"cluster": CLUSTER}, "ClusterContainsServicesException", "while Services are active"),
    (
        "create_service",
        {"cluster": CLUSTER, "serviceName": SERVICE, "taskDefinition": "web"},
        "InvalidParameterException",
        "not idempotent",
    ),
    (
        "stop_service_deployment",
        {"serviceDeploymentArn": GHOST.format("service-deployment")},
        "ServiceDeploymentNotFoundException",
        "not found",
    ),
    ("stop_service_deployment", {"serviceDeploymentArn": "web"}, "InvalidParameterException", "Invalid ARN"),
    (
        "list_service_deployments",
        {"cluster": CLUSTER, "service": "no"},
        "ServiceNotFoundException",
        "Service not found.",
    ),
    (
        "list_tags_for_resource",
        {"resourceArn": GHOST.format("task")},
        "InvalidParameterException",
        "not found",
    ),
    (
        "run_task",
        {"cluster": CLUSTER, "taskDefinition": "web"},
        "UnsupportedFeatureException",
        "RunTask is not part",
    ),
]


def code_and_message(error: ClientError) -> tuple[str, str, int]:
    text = error.response
    return text["Error"]["Code"], text["Error"]["Message"], text["ResponseMetadata"]["HTTPStatusCode"]


def test_what_aws_refuses_is_refused_with_its_code(world: World) -> None:
    world.start_service()
    client = world.client("ecs", parameter_validation=False)
    for method, parameters, code, words in REFUSED:
        with pytest.raises(ClientError) as refused:
            getattr(client, method)(**parameters)
        got = code_and_message(refused.value)
        assert (got[0], got[2]) == (code, 400), (method, parameters, got)
        assert words in got[1], (method, parameters, got)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"services": "web"}, "services"),
        ({"services": [1]}, "services"),
        ({}, 'Missing required parameter in input: "services"'),
        ({"services": ["web"], "colour": "red"}, "colour"),
        ({"services": ["web"], "include": ["COLOURS"]}, "COLOURS is not one of TAGS"),
    ],
)
def test_a_request_that_does_not_fit_the_model_is_refused(
    world: World, parameters: dict[str, Any], words: str
) -> None:
    answer = world.post("DescribeServices", parameters)
    assert answer.status_code == 400
    assert answer.json()["__type"] == "InvalidParameterException"
    assert words in answer.json()["message"]


def test_null_members_count_as_absent(world: World) -> None:
    assert world.post("ListClusters", {"maxResults": None}).json() == {"clusterArns": []}


def test_an_action_that_ecs_does_not_have_is_unknown(world: World) -> None:
    assert world.post("MakeCoffee", {}).json()["__type"] == "UnknownOperationException"


def test_what_does_not_exist_is_a_failure_and_no_error(world: World) -> None:
    world.start_service()
    services = world.ecs.describe_services(cluster=CLUSTER, services=["no", SERVICE])
    assert services["failures"] == [
        {"arn": "arn:aws:ecs:us-east-1:123456789012:service/no", "reason": "MISSING"}
    ]
    assert [service["serviceName"] for service in services["services"]] == [SERVICE]
    tasks = world.ecs.describe_tasks(cluster=CLUSTER, tasks=["no"])
    assert (tasks["tasks"], tasks["failures"][0]["reason"]) == ([], "MISSING")
    clusters = world.ecs.describe_clusters(clusters=["no"])
    assert (clusters["clusters"], clusters["failures"][0]["reason"]) == ([], "MISSING")
    deployments = world.ecs.describe_service_deployments(
        serviceDeploymentArns=[GHOST.format("service-deployment")]
    )
    assert (deployments["serviceDeployments"], deployments["failures"][0]["reason"]) == ([], "MISSING")
    revisions = world.ecs.describe_service_revisions(serviceRevisionArns=[GHOST.format("service-revision")])
    assert (revisions["serviceRevisions"], revisions["failures"][0]["reason"]) == ([], "MISSING")


def test_names_and_arns_mean_the_same(world: World) -> None:
    arn = world.start_service()
    service = world.service()
    by_arn = world.ecs.describe_services(cluster=service["clusterArn"], services=[service["serviceArn"]])
    assert by_arn["services"][0]["serviceName"] == SERVICE
    for name in ("web", "web:1", arn):
        text = world.ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        assert text["taskDefinitionArn"] == arn


def test_an_empty_capacity_provider_strategy_means_the_launch_type(world: World) -> None:
    """Terraform's AWS provider always sends one."""
    world.start_service(desired=0, capacityProviderStrategy=[])
    assert world.service()["launchType"] == "EC2"
