"""Where production traffic really goes: the weights of the rules, and the healthy targets. All of it blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from runbook_model.catalog.target import Target
from runbook_model.errors import RunbookError
from runbook_model.releases.arriving import Traffic
from runbook_model.releases.release import ServiceState

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients


class Behind(NamedTuple):
    """What load balancers have of a service revision."""

    groups: tuple[str, ...]
    """ARNs of its target groups."""
    since: datetime | None
    """When the revision was made: before that its groups were another's."""


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
    if not any(map(has_weights, rules)):
        return Traffic(unread="its rules hold none that can be read")
    try:
        behind = read_behind(clients, target, [revision]).get(revision)
        groups = behind.groups if behind else ()
        if not groups:
            return Traffic(unread="ECS names no target group of the revision")
        weights = [read_weights(clients, target, rule) for rule in rules if has_weights(rule)]
        shares = [sum(found.get(group, 0.0) for group in groups) for found in weights if found]
        healthy = min(_healthy(clients, target, group) for group in groups)
    except RunbookError as error:
        return Traffic(unread=error.message)
    return Traffic(share=min(shares, default=None), healthy=healthy)


def has_weights(rule: str) -> bool:
    """Whether a rule, by its ARN, says where requests go; listeners of Network Load Balancers do not."""
    return ":listener-rule/" in rule


def read_serving(clients: AwsClients, target: Target, service: ServiceState) -> tuple[str, ...]:
    """Name the target groups that get requests, by the weights of the rules; all where those cannot be read. Blocks.

    Of the two groups of a service whose deployments shift traffic, one may hold tasks that no user reaches.
    """
    rules = service.shifting.rules if service.shifting else ()
    try:
        weights = [read_weights(clients, target, rule) for rule in rules if has_weights(rule)]
    except RunbookError:
        weights = []
    serving = tuple(arn for arn in service.target_groups if any(found.get(arn) for found in weights))
    return serving or service.target_groups


def read_weights(clients: AwsClients, target: Target, rule: str) -> dict[str, float]:
    """Read what percent of its requests a listener rule sends to each target group, by ARN; blocks.

    Raises:
        OutsideError: the rule cannot be read.
    """
    with clients.naming_errors(f"describe the listener rule of {target.ecs_service}"):
        found = clients.elb(target.account).describe_rules(RuleArns=[rule])["Rules"]
    weights: dict[str, float] = {}
    for action in (action for item in found for action in item.get("Actions", [])):
        for group in _groups_of_action(action):
            weights[group["TargetGroupArn"]] = weights.get(group["TargetGroupArn"], 0.0) + group["Weight"]
    total = sum(weights.values())
    return {arn: 100 * weight / total for arn, weight in weights.items()} if total else {}


def read_behind(clients: AwsClients, target: Target, revisions: Sequence[str]) -> dict[str, Behind]:
    """Read which target groups are those of service revisions, by ARN; blocks.

    The service itself does not say it: its two groups take turns with each deployment.

    Raises:
        OutsideError: they cannot be read.
    """
    with clients.naming_errors("describe the service revision"):
        found = clients.ecs(target.account).describe_service_revisions(serviceRevisionArns=[*revisions])
    return {
        item.get("serviceRevisionArn", ""): Behind(
            tuple(
                dict.fromkeys(
                    group
                    for balancer in item.get("resolvedConfiguration", {}).get("loadBalancers", [])
                    if (group := balancer.get("targetGroupArn"))
                )
            ),
            item.get("createdAt"),
        )
        for item in found["serviceRevisions"]
    }


def _healthy(clients: AwsClients, target: Target, group: str) -> int:
    with clients.naming_errors(f"describe the target health of {target.ecs_service}"):
        found = clients.elb(target.account).describe_target_health(TargetGroupArn=group)
    return sum(item["TargetHealth"]["State"] == "healthy" for item in found["TargetHealthDescriptions"])


def _groups_of_action(action: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the groups that an action forwards to; one alone may have no weight."""
    alone = [{"TargetGroupArn": action["TargetGroupArn"]}] if "TargetGroupArn" in action else []
    return [
        {"Weight": 1.0, **group} for group in action.get("ForwardConfig", {}).get("TargetGroups", []) or alone
    ]
