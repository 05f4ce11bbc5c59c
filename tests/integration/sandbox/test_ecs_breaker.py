"""The circuit breaker, its rollback, and deployments that a caller stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ecs_world import CLUSTER, SERVICE, Script, primary

pytestmark = pytest.mark.rare

if TYPE_CHECKING:
    from ecs_world import World

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
NO_ROLLBACK = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
BAD = Script(exits_after=0.05, healthy_after=None)
FINISHED = {"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}


def finished(world: World, arn: str | None = None) -> dict[str, Any]:
    return world.until(lambda: (text := world.deployment(arn))["status"] in FINISHED and text)


def seen_statuses(world: World, arn: str) -> list[str]:
    """Return the states that a service deployment goes through until its end, without repeats."""
    seen: list[str] = []

    def look() -> bool:
        status = world.deployment(arn)["status"]
        if status not in seen:
            seen.append(status)
        return status in FINISHED

    world.until(look)
    return seen


def test_the_breaker_rolls_back_to_the_last_completed_revision(world: World) -> None:
    good = world.start_service(deploymentConfiguration=BREAKER)
    before = world.service()
    bad = world.release("1.1.0", BAD)
    attempt = world.update(taskDefinition=bad)["currentServiceDeployment"]
    service = world.until(lambda: (now := world.service())["taskDefinition"] == good and now)

    new, failed = service["deployments"]
    assert (new["status"], new["taskDefinition"], new["rolloutState"]) == ("PRIMARY", good, "IN_PROGRESS")
    old_id = primary(before)["id"]
    assert (
        new["rolloutStateReason"] == f"ECS deployment circuit breaker: rolling back to deploymentId {old_id}."
    )
    assert new["id"] != old_id
    assert (failed["status"], failed["taskDefinition"], failed["rolloutState"]) == ("ACTIVE", bad, "FAILED")
    assert failed["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."

    text = finished(world, attempt)
    assert text["status"] == "ROLLBACK_SUCCESSFUL"
    assert text["statusReason"] == text["rollback"]["reason"]
    assert "circuit breaker threshold was exceeded" in text["statusReason"]
    assert text["rollback"]["serviceRevisionArn"] == before["currentServiceRevisions"][0]["arn"]
    breaker = text["deploymentCircuitBreaker"]
    assert (breaker["status"], breaker["threshold"]) == ("TRIGGERED", 3)
    assert breaker["failureCount"] >= 3
    after = world.service()
    assert [deployment["id"] for deployment in after["deployments"]] == [new["id"]]
    assert [revision["arn"] for revision in after["currentServiceRevisions"]] == [
        text["rollback"]["serviceRevisionArn"]
    ]
    assert after["currentServiceDeployment"] == attempt


def test_a_rollback_makes_no_service_revision_and_no_service_deployment(world: World) -> None:
    world.start_service(deploymentConfiguration=BREAKER)
    world.update(taskDefinition=world.release("1.1.0", BAD))
    finished(world)
    briefs = world.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"]
    assert [brief["status"] for brief in briefs] == ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]


def test_good_tasks_serve_all_through_a_rollback(world: World) -> None:
    world.start_service(deploymentConfiguration=BREAKER)
    serving = {task.spec.task_id for task in world.runner.tasks}
    world.update(taskDefinition=world.release("1.1.0", BAD))
    finished(world)
    assert {task.spec.task_id for task in world.runner.tasks} == serving


def test_the_breaker_without_rollback_fails_the_deployment_and_leaves_the_old_tasks(world: World) -> None:
    good = world.start_service(deploymentConfiguration=NO_ROLLBACK)
    world.update(taskDefinition=world.release("1.1.0", BAD))
    text = finished(world)
    service = world.service()
    assert text["status"] == "STOPPED"
    assert text["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert primary(service)["rolloutState"] == "FAILED"
    assert [deployment["taskDefinition"] for deployment in service["deployments"][1:]] == [good]
    assert service["deployments"][1]["runningCount"] == 2
    started = len(world.runner.specs)
    world.update(taskDefinition=good)
    world.until(lambda: world.deployment()["status"] == "SUCCESSFUL")
    assert len(world.runner.specs) == started + 2


@pytest.mark.parametrize(
    ("desired", "configured", "threshold"),
    [
        (1, None, 3),
        (10, None, 5),
        (2, {"type": "COUNT", "value": 1}, 1),
        (4, {"type": "UNBOUNDED_PERCENT", "value": 50}, 2),
        (4, {"type": "BOUNDED_PERCENT", "value": 200}, 8),
    ],
)
def test_the_threshold_is_half_the_tasks_or_as_configured(
    world: World, desired: int, configured: dict[str, Any] | None, threshold: int
) -> None:
    breaker: dict[str, Any] = {"enable": True, "rollback": True}
    if configured:
        breaker["thresholdConfiguration"] = configured
    world.start_service(desired, deploymentConfiguration={"deploymentCircuitBreaker": breaker})
    assert world.deployment()["deploymentCircuitBreaker"] == {
        "status": "MONITORING_COMPLETE",
        "failureCount": 0,
        "threshold": threshold,
    }


def test_fewer_failures_than_the_threshold_do_not_trip(world: World) -> None:
    world.start_service(1, deploymentConfiguration=BREAKER)
    script = Script(exits_after=0.05, healthy_after=None)
    world.update(taskDefinition=world.release("1.1.0", script))
    world.until(lambda: primary(world.service())["failedTasks"] >= 1)
    script.exits_after, script.healthy_after = None, 0.05
    assert finished(world)["status"] == "SUCCESSFUL"
    assert primary(world.service())["failedTasks"] == 0


def test_a_first_deployment_has_nothing_to_roll_back_to(world: World) -> None:
    world.ecs.create_cluster(clusterName=CLUSTER)
    arn = world.release("1.0.0", BAD)
    world.ecs.create_service(
        cluster=CLUSTER,
        serviceName=SERVICE,
        taskDefinition=arn,
        desiredCount=1,
        deploymentConfiguration=BREAKER,
    )
    assert finished(world)["status"] == "ROLLBACK_FAILED"
    assert primary(world.service())["rolloutState"] == "FAILED"


def test_stopping_a_deployment_rolls_it_back_even_without_a_breaker(world: World) -> None:
    good = world.start_service()
    attempt = world.update(taskDefinition=world.release("1.1.0", BAD))["currentServiceDeployment"]
    world.until(lambda: world.deployment()["status"] == "IN_PROGRESS")
    for _ in range(2):  # asked twice it continues
        answer = world.ecs.stop_service_deployment(serviceDeploymentArn=attempt)
        assert answer["serviceDeploymentArn"] == attempt
    seen = seen_statuses(world, attempt)

    assert seen[-1] == "ROLLBACK_SUCCESSFUL"
    assert set(seen) <= {"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"}
    assert world.service()["taskDefinition"] == good
    text = world.deployment(attempt)
    assert text["rollback"]["serviceRevisionArn"] == world.service()["currentServiceRevisions"][0]["arn"]
    assert text["deploymentCircuitBreaker"]["status"] == "DISABLED"


def test_a_deployment_that_is_halfway_goes_back_within_its_percents(world: World) -> None:
    world.start_service(4, deploymentConfiguration={"minimumHealthyPercent": 75, "maximumPercent": 125})
    world.runner.moments.clear()
    updated = world.update(taskDefinition=world.release("1.1.0", Script(start_seconds=0.5)))
    world.until(lambda: primary(world.service())["runningCount"] >= 1)
    world.ecs.stop_service_deployment(serviceDeploymentArn=updated["currentServiceDeployment"])
    assert finished(world)["status"] == "ROLLBACK_SUCCESSFUL"
    assert [moment for moment in world.runner.moments if moment.live > 5 or moment.healthy < 3] == []
    assert {task.spec.image for task in world.runner.tasks} == {"ai-processor:1.0.0"}


def test_aborting_a_deployment_leaves_everything_where_it_is(world: World) -> None:
    world.start_service()
    attempt = world.update(taskDefinition=world.release("1.1.0", BAD))["currentServiceDeployment"]
    world.ecs.stop_service_deployment(serviceDeploymentArn=attempt, stopType="ABORT")
    text = finished(world, attempt)
    assert text["status"] == "STOPPED"
    assert "rollback" not in text
    assert primary(world.service())["rolloutState"] == "FAILED"


def test_a_finished_deployment_cannot_be_stopped(world: World) -> None:
    world.start_service()
    arn = world.service()["currentServiceDeployment"]
    with pytest.raises(world.ecs.exceptions.ConflictException, match="SUCCESSFUL"):
        world.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    with pytest.raises(world.ecs.exceptions.ServiceDeploymentNotFoundException):
        world.ecs.stop_service_deployment(serviceDeploymentArn=arn + "x")


def test_a_newer_update_ends_a_rollback_under_way(world: World) -> None:
    world.runner.scripts["ai-processor:1.0.0"] = Script(stop_seconds=0.05)
    world.start_service(deploymentConfiguration=BREAKER)
    attempt = world.update(taskDefinition=world.release("1.1.0", BAD))["currentServiceDeployment"]
    world.until(lambda: world.deployment(attempt)["status"] == "ROLLBACK_IN_PROGRESS")
    third = world.release("1.2.0")
    world.update(taskDefinition=third)
    assert world.deployment(attempt)["status"] == "ROLLBACK_FAILED"
    assert finished(world)["status"] == "SUCCESSFUL"
    assert world.service()["taskDefinition"] == third


def test_a_bad_release_can_be_tried_again_after_its_rollback(world: World) -> None:
    world.start_service(deploymentConfiguration=BREAKER)
    bad = world.release("1.1.0", BAD)
    for _ in range(2):
        world.update(taskDefinition=bad)
        assert finished(world)["status"] == "ROLLBACK_SUCCESSFUL"
