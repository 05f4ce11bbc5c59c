"""Elastic Load Balancing of the sandbox, by boto3 over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from ecs_world import World

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/mine/0123456789abcdef"
BALANCER = {"targetGroupArn": ARN, "containerName": "app", "containerPort": 8000}


def test_a_service_with_a_target_group_has_balancer_listener_rule_and_group(world: World) -> None:
    world.start_service(loadBalancers=[BALANCER])
    elb = world.client("elbv2")
    (group,) = elb.describe_target_groups(TargetGroupArns=[ARN])["TargetGroups"]
    (balancer,) = elb.describe_load_balancers(LoadBalancerArns=group["LoadBalancerArns"])["LoadBalancers"]
    (listener,) = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    (rule,) = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    assert rule["Actions"] == listener["DefaultActions"] == [{"Type": "forward", "TargetGroupArn": ARN}]
    assert (balancer["Type"], group["HealthCheckPath"]) == ("application", "/health")
    assert elb.describe_target_health(TargetGroupArn=ARN)["TargetHealthDescriptions"] == []
    pages = elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 5})
    assert [item["TargetGroupArn"] for page in pages for item in page["TargetGroups"]] == [ARN]


def test_a_target_group_that_no_service_has_is_not_found(world: World) -> None:
    with pytest.raises(ClientError) as refused:
        world.client("elbv2").describe_target_health(TargetGroupArn=ARN)
    assert refused.value.response["Error"]["Code"] == "TargetGroupNotFound"
