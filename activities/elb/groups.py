"""The target groups of a service, found from the service itself, and how healthy their targets are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import Field

from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.measured.balancing import TargetGroup
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients

REASONS = 3
REASON = 100
"""Characters of why a target is unhealthy."""


class TargetHealth(Fact):
    """How many targets of a group are in which state, and why some are unhealthy."""

    states: dict[str, int] = Field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def healthy(self) -> int:
        """How many are healthy."""
        return self.states.get("healthy", 0)

    @property
    def unhealthy(self) -> int:
        """How many are not."""
        return self.states.get("unhealthy", 0)


def describe_groups(clients: AwsClients, target: Target, arns: tuple[str, ...]) -> tuple[TargetGroup, ...]:
    """Read which load balancers send target groups their requests; blocks.

    Raises:
        OutsideError: they cannot be read.
    """
    with clients.naming_errors(f"describe the target groups of {target.ecs_service}"):
        found = clients.elb(target.account).describe_target_groups(TargetGroupArns=list(arns))["TargetGroups"]
    return tuple(
        TargetGroup(arn=group["TargetGroupArn"], balancer=next(iter(group.get("LoadBalancerArns", [])), ""))
        for group in found
    )


def describe_health(clients: AwsClients, target: Target, arn: str) -> TargetHealth:
    """Read the health of a group's targets; blocks.

    Raises:
        OutsideError: it cannot be read.
    """
    with clients.naming_errors(f"describe the target health of {target.ecs_service}"):
        found = clients.elb(target.account).describe_target_health(TargetGroupArn=arn)
    health = [item["TargetHealth"] for item in found["TargetHealthDescriptions"]]
    reasons = (
        excerpt(item.get("Description") or item.get("Reason", ""), REASON)
        for item in health
        if item["State"] == "unhealthy"
    )
    return TargetHealth(
        states=dict(Counter(item["State"] for item in health)),
        reasons=tuple(dict.fromkeys(reason for reason in reasons if reason))[:REASONS],
    )
