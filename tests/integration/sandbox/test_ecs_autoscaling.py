"""Simulated Application Auto Scaling: bounds that hold at once, what is omitted stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import CLUSTER, SERVICE

if TYPE_CHECKING:
    from ecs_world import World

TARGET: dict[str, Any] = {
    "ServiceNamespace": "ecs",
    "ResourceId": f"service/{CLUSTER}/{SERVICE}",
    "ScalableDimension": "ecs:service:DesiredCount",
}


def bounds(world: World) -> list[tuple[int, int]]:
    text = world.autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    return [(item["MinCapacity"], item["MaxCapacity"]) for item in text]


def test_registering_brings_the_current_count_into_the_bounds_at_once(world: World) -> None:
    world.start_service()
    world.autoscaling.register_scalable_target(**TARGET, MinCapacity=4, MaxCapacity=6)
    assert world.service()["desiredCount"] == 4
    world.autoscaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=3)
    assert world.service()["desiredCount"] == 3
    world.autoscaling.register_scalable_target(**TARGET, MinCapacity=0, MaxCapacity=9)
    assert world.service()["desiredCount"] == 3
    world.until(lambda: world.service()["runningCount"] == 3)
    activities = world.autoscaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]
    assert [activity["Description"] for activity in activities] == [
        "Setting desired count to 3.",
        "Setting desired count to 4.",
    ]
    assert "UpdateService" not in [call["action"] for call in world.calls()]


def test_what_an_update_omits_stays(world: World) -> None:
    world.start_service()
    arn = world.autoscaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=6)[
        "ScalableTargetARN"
    ]
    again = world.autoscaling.register_scalable_target(**TARGET, MinCapacity=3)["ScalableTargetARN"]
    assert arn == again
    assert bounds(world) == [(3, 6)]
    world.autoscaling.register_scalable_target(**TARGET, SuspendedState={"DynamicScalingInSuspended": True})
    text = world.autoscaling.describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[TARGET["ResourceId"]]
    )
    assert text["ScalableTargets"][0]["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    assert bounds(world) == [(3, 6)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"MinCapacity": 1}, "must be given for a new scalable target"),
        ({"MinCapacity": 5, "MaxCapacity": 4}, "cannot be less"),
        ({"MinCapacity": 1, "MaxCapacity": 4, "ResourceId": "service/shop/no"}, "ECS service doesn't exist"),
        ({"MinCapacity": 1, "MaxCapacity": 4, "ResourceId": "service/no/web"}, "ECS service doesn't exist"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(world: World, change: dict[str, Any], words: str) -> None:
    world.start_service()
    with pytest.raises(world.autoscaling.exceptions.ValidationException, match=words):
        world.autoscaling.register_scalable_target(**TARGET | change)
    assert bounds(world) == []
    assert world.service()["desiredCount"] == 2


def test_policies_are_kept_and_go_with_their_target(world: World) -> None:
    world.start_service()
    world.autoscaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=6)
    metric = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    arn = world.autoscaling.put_scaling_policy(
        **TARGET,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 60.0,
            "PredefinedMetricSpecification": metric,
        },
    )["PolicyARN"]
    policy = world.autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"][0]
    assert (policy["PolicyARN"], policy["PolicyType"]) == (arn, "TargetTrackingScaling")
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 60.0

    world.autoscaling.deregister_scalable_target(**TARGET)
    assert world.autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []
    for gone in (
        lambda: world.autoscaling.deregister_scalable_target(**TARGET),
        lambda: world.autoscaling.delete_scaling_policy(**TARGET, PolicyName="cpu"),
    ):
        with pytest.raises(ClientError) as refused:
            gone()
        assert refused.value.response["Error"]["Code"] == "ObjectNotFoundException"


def test_a_policy_can_be_deleted_by_name(world: World) -> None:
    world.start_service()
    world.autoscaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=6)
    world.autoscaling.put_scaling_policy(**TARGET, PolicyName="steps")
    world.autoscaling.delete_scaling_policy(**TARGET, PolicyName="steps")
    assert world.autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []


def test_scalable_targets_have_tags(world: World) -> None:
    world.start_service()
    arn = world.autoscaling.register_scalable_target(
        **TARGET, MinCapacity=1, MaxCapacity=2, Tags={"team": "ml"}
    )
    resource = arn["ScalableTargetARN"]
    world.autoscaling.tag_resource(ResourceARN=resource, Tags={"a": "b"})
    world.autoscaling.untag_resource(ResourceARN=resource, TagKeys=["team"])
    assert world.autoscaling.list_tags_for_resource(ResourceARN=resource)["Tags"] == {"a": "b"}


def test_autoscaling_calls_are_logged_and_meet_faults(world: World) -> None:
    world.fault(action="RegisterScalableTarget", error="ConcurrentUpdateException")
    with pytest.raises(world.autoscaling.exceptions.ConcurrentUpdateException):
        world.autoscaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=2)
    call = world.calls()[-1]
    assert (call["service"], call["action"]) == ("application-autoscaling", "RegisterScalableTarget")
    assert call["parameters"]["MinCapacity"] == 1
