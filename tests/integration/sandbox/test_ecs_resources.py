"""Lists, tags, task definitions, tasks and unusual services of the simulated ECS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ecs_world import CLUSTER, SERVICE

if TYPE_CHECKING:
    from ecs_world import World

APP = {"name": "app", "image": "ai-processor:1.0.0", "memory": 128}


def test_every_list_pages_through_everything_once(world: World) -> None:
    world.start_service(5)
    for version in ("1.1.0", "1.2.0"):
        world.update(taskDefinition=world.release(version))
    for name in ("a", "b", "c"):
        world.ecs.create_cluster(clusterName=name)
        world.ecs.create_service(cluster=CLUSTER, serviceName=name, taskDefinition="web", desiredCount=0)
    lists: list[tuple[str, str, dict[str, Any], int]] = [
        ("list_clusters", "clusterArns", {}, 4),
        ("list_services", "serviceArns", {"cluster": CLUSTER}, 4),
        ("list_tasks", "taskArns", {"cluster": CLUSTER, "serviceName": SERVICE}, 5),
        ("list_task_definitions", "taskDefinitionArns", {"familyPrefix": "web"}, 3),
        ("list_task_definition_families", "families", {}, 1),
    ]
    world.until(lambda: world.deployment()["status"] == "SUCCESSFUL")
    for method, member, parameters, count in lists:
        pages = world.ecs.get_paginator(method).paginate(**parameters, PaginationConfig={"PageSize": 2})
        found = [[*page[member]] for page in pages]
        everything = [item for page in found for item in page]
        assert len(everything) == len(set(everything)) == count, method
        assert max(len(page) for page in found) <= 2
    assert deployments(world) == deployments(world, maxResults=1)


def deployments(world: World, **parameters: Any) -> list[str]:
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = world.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE, **parameters, **token)
        found += [deployment["serviceDeploymentArn"] for deployment in page["serviceDeployments"]]
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


def test_service_deployments_are_listed_newest_first_by_status_and_time(world: World) -> None:
    world.start_service()
    first = world.deployment()
    world.update(taskDefinition=world.release("1.1.0"))
    second = world.service()["currentServiceDeployment"]
    assert deployments(world) == [second, first["serviceDeploymentArn"]]
    assert deployments(world, status=["PENDING", "IN_PROGRESS"]) == [second]
    between = first["finishedAt"].timestamp()  # boto3 would send whole seconds only
    assert created(world, after=between) == [second]
    assert created(world, before=between) == [first["serviceDeploymentArn"]]


def created(world: World, **when: float) -> list[str]:
    body = {"cluster": CLUSTER, "service": SERVICE, "createdAt": when}
    text = world.post("ListServiceDeployments", body).json()
    return [deployment["serviceDeploymentArn"] for deployment in text["serviceDeployments"]]


def test_tags_of_a_deregistered_task_definition_can_still_be_read_and_written(world: World) -> None:
    answer = world.ecs.register_task_definition(
        family="web", containerDefinitions=[APP], tags=[{"key": "team", "value": "ml"}]
    )
    assert answer["tags"] == [{"key": "team", "value": "ml"}]
    arn = answer["taskDefinition"]["taskDefinitionArn"]
    text = world.ecs.deregister_task_definition(taskDefinition=arn)["taskDefinition"]
    assert text["status"] == "INACTIVE"
    assert text["deregisteredAt"] >= text["registeredAt"]

    key = "runbook:verified:prod/ai-processor"
    world.ecs.tag_resource(
        resourceArn=arn, tags=[{"key": key, "value": "sha256:0 2026-01-01T00:00:00+00:00"}]
    )
    described = world.ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
    assert described["taskDefinition"]["status"] == "INACTIVE"
    assert {tag["key"] for tag in described["tags"]} == {"team", key}
    assert "tags" not in world.ecs.describe_task_definition(taskDefinition=arn)
    world.ecs.untag_resource(resourceArn=arn, tagKeys=["team", "never there"])
    assert [tag["key"] for tag in world.ecs.list_tags_for_resource(resourceArn=arn)["tags"]] == [key]


def test_services_clusters_and_tasks_have_tags(world: World) -> None:
    world.start_service(1, tags=[{"key": "team", "value": "ml"}], propagateTags="SERVICE")
    service = world.service()
    task = world.ecs.list_tasks(cluster=CLUSTER)["taskArns"][0]
    for arn in (service["serviceArn"], task):
        assert world.ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "team", "value": "ml"}]
    assert "tags" not in service
    text = world.ecs.describe_services(cluster=CLUSTER, services=[SERVICE], include=["TAGS"])["services"][0]
    assert text["tags"] == [{"key": "team", "value": "ml"}]
    world.ecs.tag_resource(resourceArn=service["clusterArn"], tags=[{"key": "a", "value": "b"}])
    cluster = world.ecs.describe_clusters(clusters=[CLUSTER], include=["TAGS"])["clusters"][0]
    assert cluster["tags"] == [{"key": "a", "value": "b"}]
    assert cluster["runningTasksCount"] == 1


def test_revision_numbers_are_never_given_twice(world: World) -> None:
    arns = [world.release(f"1.0.{number}") for number in range(3)]
    assert [arn.rsplit(":", 1)[1] for arn in arns] == ["1", "2", "3"]
    world.ecs.deregister_task_definition(taskDefinition=arns[2])
    active = world.ecs.delete_task_definitions(taskDefinitions=[arns[1], arns[2]])
    assert [definition["status"] for definition in active["taskDefinitions"]] == ["DELETE_IN_PROGRESS"]
    assert "still in ACTIVE status" in active["failures"][0]["reason"]
    assert world.release("2.0.0").endswith(":4")
    assert world.ecs.list_task_definitions(status="ACTIVE", sort="DESC")["taskDefinitionArns"][0].endswith(
        ":4"
    )
    assert world.ecs.list_task_definitions(status="INACTIVE")["taskDefinitionArns"] == []


def test_a_deleted_service_drains_and_then_can_be_made_again(world: World) -> None:
    world.start_service()
    text = world.ecs.delete_service(cluster=CLUSTER, service=SERVICE, force=True)["service"]
    assert (text["status"], text["desiredCount"]) == ("DRAINING", 0)
    with pytest.raises(world.ecs.exceptions.ServiceNotActiveException):
        world.update(desiredCount=1)
    assert world.ecs.list_services(cluster=CLUSTER)["serviceArns"] == []
    world.until(lambda: world.service()["status"] == "INACTIVE")
    assert world.runner.tasks == []
    world.start_service(1)
    world.until(lambda: world.service()["runningCount"] == 1)


@pytest.mark.parametrize("controller", ["CODE_DEPLOY", "EXTERNAL"])
def test_other_deployment_controllers_have_task_sets_and_refuse_a_release(
    world: World, controller: str
) -> None:
    world.ecs.create_cluster(clusterName=CLUSTER)
    arn = world.release("1.0.0")
    given = {"taskDefinition": arn} if controller == "CODE_DEPLOY" else {}
    world.ecs.create_service(
        cluster=CLUSTER,
        serviceName=SERVICE,
        desiredCount=1,
        deploymentController={"type": controller},
        **given,
    )
    service = world.service()
    assert service["deploymentController"] == {"type": controller}
    assert service["deployments"] == []
    assert "currentServiceDeployment" not in service
    sets = [item["status"] for item in service["taskSets"]]
    assert sets == (["PRIMARY"] if controller == "CODE_DEPLOY" else [])
    refused = world.ecs.exceptions.InvalidParameterException
    with pytest.raises(refused, match=f"Unable to update task definition on services with an? {controller}"):
        world.update(taskDefinition=world.release("1.1.0"))
    with pytest.raises(refused, match="Unable to force a new deployment"):
        world.update(forceNewDeployment=True)
    assert world.update(desiredCount=2)["desiredCount"] == 2


def test_a_daemon_service_runs_one_task_on_the_sandbox_s_one_instance(world: World) -> None:
    world.ecs.create_cluster(clusterName=CLUSTER)
    world.ecs.create_service(
        cluster=CLUSTER,
        serviceName=SERVICE,
        taskDefinition=world.release("1.0.0"),
        schedulingStrategy="DAEMON",
    )
    world.until(lambda: world.deployment()["status"] == "SUCCESSFUL")
    service = world.service()
    assert (service["schedulingStrategy"], service["desiredCount"], service["runningCount"]) == (
        "DAEMON",
        1,
        1,
    )
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(lambda: world.deployment()["status"] == "SUCCESSFUL")
    assert [task.spec.image for task in world.runner.tasks] == ["ai-processor:1.1.0"]


def test_a_service_that_wants_no_tasks_completes_its_deployments(world: World) -> None:
    world.start_service(0)
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(lambda: world.deployment()["status"] == "SUCCESSFUL")
    assert (world.service()["desiredCount"], world.runner.specs) == (0, [])


def test_a_stopped_task_is_replaced_and_says_who_stopped_it(world: World) -> None:
    world.start_service(1)
    task = world.ecs.list_tasks(cluster=CLUSTER)["taskArns"][0]
    text = world.ecs.stop_task(cluster=CLUSTER, task=task, reason="too old")["task"]
    assert (text["desiredStatus"], text["stopCode"], text["stoppedReason"]) == (
        "STOPPED",
        "UserInitiated",
        "too old",
    )
    world.until(lambda: world.service()["runningCount"] == 1)
    assert world.ecs.list_tasks(cluster=CLUSTER)["taskArns"] != [task]


def test_a_task_is_started_with_what_its_task_definition_says(world: World) -> None:
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/shop"}}
    environment = [{"name": "FAULT_ERROR_RATE", "value": "0.5"}]
    world.ecs.create_cluster(clusterName=CLUSTER)
    arn = world.release("1.0.0", cpu=128, environment=environment, logConfiguration=logs)
    world.ecs.create_service(cluster=CLUSTER, serviceName=SERVICE, taskDefinition=arn, desiredCount=1)
    spec = world.until(lambda: world.runner.specs)[0]
    assert (spec.cluster, spec.service, spec.task_definition) == (CLUSTER, SERVICE, "web:1")
    assert (spec.container, spec.image, spec.environment) == (
        "app",
        "ai-processor:1.0.0",
        {"FAULT_ERROR_RATE": "0.5"},
    )
    assert (spec.log_group, spec.cpu, spec.memory) == ("/ecs/shop", 128, 128)
