"""Where production traffic really goes: the weights of the rules, and the healthy targets; blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook_model.catalog.target import Target
from runbook_model.errors import RunbookError
from runbook_model.releases.arriving import Traffic

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients


def read_traffic(clients: AwsClients, target: Target, revision: str, rules: tuple[str, ...]) -> Traffic:
    """Read how much of the production traffic a service revision gets, and how many healthy targets it has.

    Args:
        clients: of AWS.
        target: the service.
        revision: ARN of the service revision that shall have all of it.
        rules: ARNs of the rules that hold the weights; listeners of Network Load Balancers are not read.

    Returns:
        what could be read: a missing permission only means that the weights which ECS requested have to do.
    """
    readable = [rule for rule in rules if ":listener-rule/" in rule]
    if not readable:
        return Traffic(unread="its rules hold none that can be read")
    try:
        groups = _groups_of(clients, target, revision)
        if not groups:
            return Traffic(unread="ECS names no target group of the revision")
        with clients.naming_errors(f"describe the rules of {target.ecs_service}"):
            elb = clients.elb(target.account)
            found = elb.describe_rules(RuleArns=readable)["Rules"]
        shares = [share for rule in found if (share := _share(rule, groups)) is not None]
        healthy = min(_healthy(clients, target, group) for group in groups)
    except RunbookError as error:
        return Traffic(unread=error.message)
    return Traffic(share=min(shares, default=None), healthy=healthy)


def _groups_of(clients: AwsClients, target: Target, revision: str) -> frozenset[str]:
    with clients.naming_errors("describe the service revision"):
        found = clients.ecs(target.account).describe_service_revisions(serviceRevisionArns=[revision])
    return frozenset(
        group
        for item in found["serviceRevisions"]
        for balancer in item.get("resolvedConfiguration", {}).get("loadBalancers", [])
        if (group := balancer.get("targetGroupArn"))
    )


def _share(rule: Mapping[str, Any], groups: frozenset[str]) -> float | None:
    """Return the percent that a rule sends to some target groups; None where it forwards to none at all."""
    weights: dict[str, float] = {}
    for action in rule.get("Actions", []):
        forward = action.get("ForwardConfig", {}).get("TargetGroups", [])
        for item in forward or ([action] if "TargetGroupArn" in action else []):
            weights[item["TargetGroupArn"]] = weights.get(item["TargetGroupArn"], 0) + item.get("Weight", 1)
    total = sum(weights.values())
    return 100.0 * sum(weights.get(group, 0) for group in groups) / total if total else None


def _healthy(clients: AwsClients, target: Target, group: str) -> int:
    with clients.naming_errors(f"describe the target health of {target.ecs_service}"):
        found = clients.elb(target.account).describe_target_health(TargetGroupArn=group)
    return sum(item["TargetHealth"]["State"] == "healthy" for item in found["TargetHealthDescriptions"])
