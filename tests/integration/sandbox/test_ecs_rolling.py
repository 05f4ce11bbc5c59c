"""Rolling deployments of the simulated ECS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from ecs_world import CLUSTER, SERVICE, Script, primary

pytestmark = pytest.mark.rare

if TYPE_CHECKING:
    from ecs_world import Moment, World

PERCENTS = [(2, 100, 200), (4, 50, 100), (3, 100, 150), (5, 60, 140), (1, 0, 100)]


def done(world: World) -> bool:
    return world.deployment()["status"] == "SUCCESSFUL"


def messages(world: World) -> list[str]:
    return [event["message"] for event in world.service()["events"]]


def outside(moments: list[Moment], fewest: int, most: int) -> list[Moment]:
    return [moment for moment in moments if moment.live > most or moment.healthy < fewest]


def test_a_deployment_goes_from_in_progress_to_completed_and_the_old_one_leaves(world: World) -> None:
    first = world.start_service()
    before = world.service()
    second = world.release("1.1.0")
    updated = world.update(taskDefinition=second)

    assert [deployment["status"] for deployment in updated["deployments"]] == ["PRIMARY", "ACTIVE"]
    assert updated["deployments"][0]["taskDefinition"] == second == updated["taskDefinition"]
    assert updated["deployments"][1]["taskDefinition"] == first
    new = updated["deployments"][0]["id"]
    assert updated["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    assert updated["deployments"][0]["rolloutStateReason"] == f"ECS deployment {new} in progress."
    assert updated["currentServiceDeployment"] != before["currentServiceDeployment"]

    world.until(lambda: done(world))
    after = world.service()
    assert [deployment["id"] for deployment in after["deployments"]] == [new]
    assert after["deployments"][0]["rolloutState"] == "COMPLETED"
    assert after["deployments"][0]["rolloutStateReason"] == f"ECS deployment {new} completed."
    assert (after["runningCount"], after["pendingCount"]) == (2, 0)
    assert after["currentServiceDeployment"] == updated["currentServiceDeployment"]


@pytest.mark.parametrize(("desired", "minimum", "maximum"), PERCENTS)
def test_a_rollout_never_leaves_its_percents(world: World, desired: int, minimum: int, maximum: int) -> None:
    bounds = {"minimumHealthyPercent": minimum, "maximumPercent": maximum}
    world.start_service(desired, deploymentConfiguration=bounds)
    world.runner.moments.clear()
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(lambda: done(world))

    most = desired * maximum // 100
    fewest = -(-desired * minimum // 100)
    assert outside(world.runner.moments, fewest, most) == []
    assert {task.spec.image for task in world.runner.tasks} == {"ai-processor:1.1.0"}


@pytest.mark.parametrize("status", ["ROLLBACK_SUCCESSFUL", "STOPPED"])
def test_a_rolling_deployment_with_alarms_bakes_and_an_alarm_ends_it(world: World, status: str) -> None:
    rollback = status == "ROLLBACK_SUCCESSFUL"
    first = world.start_service()
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": rollback}
    world.update(deploymentConfiguration={"alarms": alarms, "bakeTimeInMinutes": 1440})
    second = world.release("1.1.0")
    world.update(taskDefinition=second)
    world.until(lambda: len(world.service()["deployments"]) == 1)
    baking = world.deployment()
    assert (baking["status"], baking["alarms"]["status"]) == ("IN_PROGRESS", "MONITORING")
    assert primary(world.service())["rolloutState"] == "IN_PROGRESS"
    httpx.post(f"{world.url}/_sandbox/alarms", json={"name": "errors", "state": "ALARM"})
    ended = world.until(lambda: found if (found := world.deployment())["status"] == status else None)
    assert ended["alarms"]["triggeredAlarmNames"] == ["errors"]
    assert world.service()["taskDefinition"] == (first if rollback else second)


def test_a_rolling_deployment_with_alarms_is_done_after_its_bake(world: World) -> None:
    world.start_service()
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": True}
    world.update(deploymentConfiguration={"alarms": alarms, "bakeTimeInMinutes": 1})
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(lambda: done(world))
    assert world.deployment()["alarms"]["status"] == "MONITORING_COMPLETE"


def test_the_suffix_of_a_deployment_id_leads_to_its_service_revision_and_deployment(world: World) -> None:
    world.start_service()
    service = world.service()
    number = primary(service)["id"].removeprefix("ecs-svc/")
    briefs = world.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"]

    assert len(number) == 19
    assert service["currentServiceRevisions"][0]["arn"].endswith(f":service-revision/shop/web/{number}")
    assert [brief["targetServiceRevisionArn"].rsplit("/", 1)[1] for brief in briefs] == [number]
    assert briefs[0]["serviceDeploymentArn"] == service["currentServiceDeployment"]


def test_a_service_deployment_reports_its_source_target_and_times(world: World) -> None:
    world.start_service()
    old = world.service()["currentServiceRevisions"][0]["arn"]
    world.update(taskDefinition=world.release("1.1.0"))
    assert world.deployment()["status"] in {"PENDING", "IN_PROGRESS"}
    world.until(lambda: done(world))
    text = world.deployment()

    assert [revision["arn"] for revision in text["sourceServiceRevisions"]] == [old]
    assert text["targetServiceRevision"]["runningTaskCount"] == 2
    assert text["createdAt"] <= text["startedAt"] <= text["finishedAt"] == text["updatedAt"]
    assert text["deploymentCircuitBreaker"] == {"status": "DISABLED", "failureCount": 0, "threshold": 3}
    assert "rollback" not in text


def test_an_update_to_what_already_runs_returns_the_old_completed_deployment(world: World) -> None:
    arn = world.start_service()
    before = world.service()
    again = world.update(taskDefinition=arn)

    assert [deployment["id"] for deployment in again["deployments"]] == [
        deployment["id"] for deployment in before["deployments"]
    ]
    assert again["deployments"][0]["rolloutState"] == "COMPLETED"
    assert again["currentServiceDeployment"] == before["currentServiceDeployment"]


def test_force_new_deployment_replaces_every_task_of_the_same_task_definition(world: World) -> None:
    world.start_service()
    before = {task.spec.task_id for task in world.runner.tasks}
    updated = world.update(forceNewDeployment=True)
    assert len(updated["deployments"]) == 2
    world.until(lambda: done(world))
    assert before.isdisjoint(task.spec.task_id for task in world.runner.tasks)


def test_a_family_alone_means_its_latest_active_revision(world: World) -> None:
    world.start_service()
    second, third = world.release("1.1.0"), world.release("1.2.0")
    world.ecs.deregister_task_definition(taskDefinition=third)
    assert world.update(taskDefinition="web")["taskDefinition"] == second


def test_a_changed_network_rolls_and_a_changed_percent_does_not(world: World) -> None:
    world.start_service()
    assert len(world.update(deploymentConfiguration={"maximumPercent": 150})["deployments"]) == 1
    assert world.service()["deploymentConfiguration"]["minimumHealthyPercent"] == 100
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    assert len(world.update(networkConfiguration=network)["deployments"]) == 2


def test_a_desired_count_alone_changes_tasks_but_makes_no_deployment(world: World) -> None:
    world.start_service()
    before = world.service()
    for desired in (4, 1, 0):
        updated = world.update(desiredCount=desired)
        assert [deployment["id"] for deployment in updated["deployments"]] == [primary(before)["id"]]
        assert updated["currentServiceDeployment"] == before["currentServiceDeployment"]
        world.until(lambda wanted=desired: world.service()["runningCount"] == wanted)
        world.until(lambda wanted=desired: len(world.runner.tasks) == wanted)
        assert primary(world.service())["rolloutState"] == "COMPLETED"


def test_a_newer_update_stops_the_deployment_under_way(world: World) -> None:
    world.start_service()
    world.update(taskDefinition=world.release("1.1.0", Script(healthy_after=None)))
    overtaken = world.service()["currentServiceDeployment"]
    world.until(lambda: world.deployment(overtaken)["status"] == "IN_PROGRESS")
    world.update(taskDefinition=world.release("1.2.0"))

    text = world.deployment(overtaken)
    assert text["status"] == "STOPPED"
    assert "stoppedAt" in text
    world.until(lambda: done(world))
    assert {task.spec.image for task in world.runner.tasks} == {"ai-processor:1.2.0"}
    assert len(world.service()["deployments"]) == 1


def test_without_a_breaker_a_bad_release_stays_in_progress_and_the_old_tasks_serve(world: World) -> None:
    world.start_service()
    world.runner.moments.clear()
    world.update(taskDefinition=world.release("1.1.0", Script(healthy_after=None)))
    failed = world.until(lambda: primary(world.service())["failedTasks"] >= 4 and primary(world.service()))

    assert failed["rolloutState"] == "IN_PROGRESS"
    assert outside(world.runner.moments, 2, 4) == []


def serving(world: World, version: str) -> list[str]:
    return [task.spec.task_id for task in world.runner.tasks if task.spec.image == f"ai-processor:{version}"]


def test_an_old_task_that_dies_during_a_release_is_replaced_by_its_own_revision(world: World) -> None:
    world.start_service(deploymentConfiguration={"maximumPercent": 150, "minimumHealthyPercent": 50})
    world.runner.moments.clear()
    world.update(taskDefinition=world.release("1.1.0", Script(healthy_after=None, start_seconds=0.5)))
    world.until(lambda: world.service()["deployments"][1]["desiredCount"] == 1)
    world.until(lambda: len(serving(world, "1.0.0")) == 1)
    (before,) = serving(world, "1.0.0")
    world.runner.tasks[0].exit_code = 137
    world.until(lambda: serving(world, "1.0.0") not in ([], [before]))
    world.until(lambda: world.service()["deployments"][1]["runningCount"] == 1)

    new, old = world.service()["deployments"]
    assert (new["rolloutState"], old["desiredCount"], old["failedTasks"]) == ("IN_PROGRESS", 1, 0)
    assert max(moment.live for moment in world.runner.moments) <= 3


def test_an_old_task_is_replaced_too_after_the_release_failed(world: World) -> None:
    world.start_service(
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    )
    world.update(taskDefinition=world.release("1.1.0", Script(exits_after=0.05)))
    world.until(lambda: world.deployment()["status"] == "STOPPED")
    world.until(lambda: serving(world, "1.1.0") == [])
    world.runner.tasks[0].exit_code = 137
    world.until(lambda: len(world.runner.tasks) == 1)
    world.until(lambda: len(serving(world, "1.0.0")) == 2)
    assert serving(world, "1.1.0") == []


def test_more_tasks_during_a_release_are_more_of_both_revisions(world: World) -> None:
    world.start_service()
    world.update(taskDefinition=world.release("1.1.0", Script(healthy_after=None)))
    world.until(lambda: len(world.runner.tasks) == 4)
    world.update(desiredCount=3)
    world.until(lambda: (len(serving(world, "1.0.0")), len(serving(world, "1.1.0"))) == (3, 3))
    assert [item["desiredCount"] for item in world.service()["deployments"]] == [3, 3]


def test_tasks_that_exit_are_replaced_with_growing_pauses(world: World) -> None:
    world.start_service()
    world.runner.tasks[0].exit_code = 137
    world.until(lambda: len(world.runner.specs) == 3)
    world.until(lambda: world.service()["runningCount"] == 2)
    stopped = world.ecs.list_tasks(cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"]
    task = world.ecs.describe_tasks(cluster=CLUSTER, tasks=stopped)["tasks"][0]

    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert task["containers"][0]["exitCode"] == 137
    assert task["lastStatus"] == task["desiredStatus"] == "STOPPED"


def test_a_task_that_turns_unhealthy_is_replaced_and_says_why(world: World) -> None:
    group = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"
    balancer = {"targetGroupArn": group, "containerName": "app", "containerPort": 8000}
    world.start_service(loadBalancers=[balancer])
    sick = world.runner.tasks[0]
    sick.sick = True
    world.until(lambda: sick not in world.runner.tasks)
    task = world.ecs.describe_tasks(cluster=CLUSTER, tasks=[sick.spec.task_id])["tasks"][0]
    assert task["stoppedReason"] == f"Task failed ELB health checks in (target-group {group})"
    world.until(lambda: world.service()["runningCount"] == 2)


def test_the_health_check_grace_period_is_honoured(world: World) -> None:
    balancer = {"targetGroupArn": "arn:aws:x", "containerName": "app", "containerPort": 8000}
    world.start_service(1, loadBalancers=[balancer], healthCheckGracePeriodSeconds=3600)
    task = world.runner.tasks[0]
    task.sick = True
    world.until(lambda: health(world, task.spec.task_id) == "UNHEALTHY")
    world.update(healthCheckGracePeriodSeconds=0)
    world.until(lambda: task not in world.runner.tasks)


def health(world: World, task_id: str) -> str:
    return str(world.ecs.describe_tasks(cluster=CLUSTER, tasks=[task_id])["tasks"][0]["healthStatus"])


def test_an_image_that_cannot_be_pulled_fails_its_task_with_aws_words(world: World) -> None:
    world.start_service()
    world.runner.missing.add("ai-processor:9.9.9")
    world.update(taskDefinition=world.release("9.9.9"))
    world.until(lambda: primary(world.service())["failedTasks"] >= 1)
    arns = world.ecs.list_tasks(cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"]
    task = world.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"][0]
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError: ")
    assert task["containers"][0]["reason"] == task["stoppedReason"]


def test_events_use_the_words_of_aws_newest_first(world: World) -> None:
    world.start_service()
    deployment = primary(world.service())["id"]
    world.until(lambda: "(service web) has reached a steady state." in messages(world))
    said = messages(world)

    assert said[0] == "(service web) has reached a steady state."
    assert said[1] == f"(service web) (deployment {deployment}) deployment completed."
    assert said[2].startswith("(service web) has started 2 tasks: (task ")


def test_old_tasks_say_which_deployment_ended_them(world: World) -> None:
    world.start_service(1)
    old = world.runner.tasks[0].spec.task_id
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(lambda: done(world))
    task = world.ecs.describe_tasks(cluster=CLUSTER, tasks=[old])["tasks"][0]
    assert task["stopCode"] == "ServiceSchedulerInitiated"
    assert (
        task["stoppedReason"]
        == f"Scaling activity initiated by (deployment {primary(world.service())['id']})"
    )


def test_a_full_cluster_leaves_tasks_pending_until_there_is_room(world: World) -> None:
    world.start_service()
    cluster = world.ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["clusterArn"]
    world.ecs.tag_resource(resourceArn=cluster, tags=[{"key": "sandbox:max-tasks", "value": "3"}])
    world.update(desiredCount=5)
    world.until(lambda: any("was unable to place a task because" in message for message in messages(world)))
    world.until(lambda: world.service()["runningCount"] == 3)
    assert world.service()["pendingCount"] == 2
    world.ecs.untag_resource(resourceArn=cluster, tagKeys=["sandbox:max-tasks"])
    world.until(lambda: world.service()["runningCount"] == 5)


def test_percents_that_leave_no_room_are_reported_in_an_event(world: World) -> None:
    world.start_service(1, deploymentConfiguration={"maximumPercent": 150, "minimumHealthyPercent": 100})
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(
        lambda: any(
            "was unable to stop or start tasks during a deployment" in message for message in messages(world)
        )
    )
    assert world.deployment()["status"] == "IN_PROGRESS"


def test_early_success_leaves_old_tasks_to_be_removed_later(world: World) -> None:
    early = {"enable": True, "healthyPercent": 100, "sourceServiceRevisionCleanup": "DEFERRED"}
    world.runner.scripts["ai-processor:1.0.0"] = Script(stop_seconds=2.0)
    world.start_service(deploymentConfiguration={"earlySuccessCriteria": early})
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(lambda: done(world))
    assert [deployment["status"] for deployment in world.service()["deployments"]] == ["PRIMARY", "ACTIVE"]
    world.until(lambda: len(world.service()["deployments"]) == 1)


def test_what_runs_on_a_deregistered_task_definition_continues_but_nothing_new_may_start(
    world: World,
) -> None:
    first = world.start_service()
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(lambda: done(world))
    for version in (first, world.service()["taskDefinition"]):
        world.ecs.deregister_task_definition(taskDefinition=version)
    for version in (first, world.service()["taskDefinition"]):
        with pytest.raises(world.ecs.exceptions.ClientException, match="TaskDefinition is inactive"):
            world.update(taskDefinition=version)
    with pytest.raises(world.ecs.exceptions.ClientException, match="TaskDefinition is inactive"):
        world.ecs.create_service(cluster=CLUSTER, serviceName="other", taskDefinition=first)
    assert world.update(desiredCount=3)["desiredCount"] == 3
    world.until(lambda: world.service()["runningCount"] == 3)


def test_a_pinned_image_keeps_its_digest(world: World) -> None:
    world.start_service(1)
    tasks = world.ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE)["taskArns"]
    container = world.ecs.describe_tasks(cluster=CLUSTER, tasks=tasks)["tasks"][0]["containers"][0]
    digest = container["imageDigest"]
    assert container["image"] == "ai-processor:1.0.0"

    app = {"name": "app", "image": f"ai-processor@{digest}", "memory": 128}
    pinned = world.ecs.register_task_definition(family="web", containerDefinitions=[app])
    world.update(taskDefinition=pinned["taskDefinition"]["taskDefinitionArn"])
    world.until(lambda: done(world))
    arns = [item["arn"] for item in world.service()["currentServiceRevisions"]]
    revision = world.ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"][0]
    assert revision["containerImages"] == [
        {"containerName": "app", "image": f"ai-processor@{digest}", "imageDigest": digest}
    ]


def test_all_tasks_of_a_deployment_run_what_its_tag_pointed_to_when_it_began(world: World) -> None:
    """AWS calls it software version consistency."""
    images = world.runner.images
    images.move("latest", "1.0.0")
    world.start_service(version="latest")
    images.move("latest", "1.1.0")
    world.update(desiredCount=3)
    world.until(lambda: world.service()["runningCount"] == 3)
    assert digests(world) == {images.digest_of("ai-processor:1.0.0")}

    world.update(forceNewDeployment=True)
    world.until(lambda: done(world))
    assert digests(world) == {images.digest_of("ai-processor:1.1.0")}
    assert [spec.digest for spec in world.runner.specs[-3:]] == [images.digest_of("ai-processor:1.1.0")] * 3


def digests(world: World) -> set[str]:
    """Return the digests of the tasks and of the service revisions that run."""
    tasks = world.ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE)["taskArns"]
    ran = world.ecs.describe_tasks(cluster=CLUSTER, tasks=tasks)["tasks"]
    arns = [revision["arn"] for revision in world.service()["currentServiceRevisions"]]
    revisions = world.ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    images = [image for revision in revisions for image in revision["containerImages"]]
    return {item["imageDigest"] for task in ran for item in task["containers"]} | {
        image["imageDigest"] for image in images
    }
