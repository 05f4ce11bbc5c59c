"""How listener rules spread requests over target groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook_model.catalog.target import Target

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients


def read_weights(clients: AwsClients, target: Target, rule: str) -> dict[str, float]:
    """Read what percent of its requests a listener rule sends to each target group, by ARN; blocks.

    Raises:
        OutsideError: the rule cannot be read.
    """
    with clients.naming_errors(f"describe the listener rule of {target.ecs_service}"):
        found = clients.elb(target.account).describe_rules(RuleArns=[rule])["Rules"]
    weights: dict[str, float] = {}
    for action in (action for item in found for action in item.get("Actions", [])):
        for group in _groups(action):
            weights[group["TargetGroupArn"]] = weights.get(group["TargetGroupArn"], 0.0) + group["Weight"]
    total = sum(weights.values())
    return {arn: 100 * weight / total for arn, weight in weights.items()} if total else {}


def _groups(action: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the groups that an action forwards to; one alone may have no weight."""
    alone = [{"TargetGroupArn": action["TargetGroupArn"]}] if "TargetGroupArn" in action else []
    return [
        {"Weight": 1.0, **group} for group in action.get("ForwardConfig", {}).get("TargetGroups", []) or alone
    ]
