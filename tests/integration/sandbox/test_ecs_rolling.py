"""Rolling deployments of the simulated ECS."""

from __future__ import annotations

import pytest
from ecs_world import SERVICE, Moment, Script, World, primary

PERCENTS = [(2, 100, 200), (4, 50, 100), (3, 100, 150), (5, 60, 140), (1, 0, 100)]


def done(world: World) -> bool:
    return world.deployment()["status"] == "SUCCESSFUL"


def test_a_deployment_goes_from_pending_to_completed_and_the_old_one_leaves(world: World) -> None:
    first = world.start_service()
    before = world.service()
    second = world.release("1.1.0")
    updated = world.update(taskDefinition=second)

    assert [one["status"] for one in updated["deployments"]] == ["PRIMARY", "ACTIVE"]
    assert updated["deployments"][0]["taskDefinition"] == second == updated["taskDefinition"]
    assert updated["deployments"][1]["taskDefinition"] == first
    assert updated["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    new = updated["deployments"][0]["id"]
    assert updated["deployments"][0]["rolloutStateReason"] == f"ECS deployment {new} in progress."
    assert updated["currentServiceDeployment"] != before["currentServiceDeployment"]

    world.until(lambda: done(world))
    after = world.service()
    assert [one["id"] for one in after["deployments"]] == [new]
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


def outside(moments: list[Moment], fewest: int, most: int) -> list[Moment]:
    return [moment for moment in moments if moment.live > most or moment.healthy < fewest]
