"""Elastic Load Balancing's API over the sandbox's load balancers: a balancer, a listener, a rule and a group for each.

A service that was created with a target group has the load balancer of that group; others have none that AWS would show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from sandbox.aws_calls import Call
from sandbox.balancing.figures import Figures
from sandbox.balancing.load_balancer import LoadBalancer, Target
from sandbox.ecs.errors import ApiError
from sandbox.ecs.model import Service
from sandbox.ecs.names import Fields
from sandbox.ecs.protocol import MalformedRequestError, checked
from sandbox.query_form import members

ACTIONS = frozenset(
    {
        "DescribeLoadBalancers",
        "DescribeListeners",
        "DescribeRules",
        "DescribeTargetGroups",
        "DescribeTargetHealth",
    }
)


class Group(NamedTuple):
    """A target group with the load balancer in front of it."""

    arn: str
    balancer: LoadBalancer | None
    """None before its service has had a task."""

    @property
    def name(self) -> str:
        """The target group's name."""
        return self.arn.split("/")[1]

    @property
    def dimension(self) -> str:
        """What CloudWatch calls the group: ``targetgroup/<name>/<id>``."""
        return self.arn.rpartition(":")[2]

    @property
    def balancer_dimension(self) -> str:
        """What CloudWatch calls its load balancer: ``app/<name>/<id>``."""
        return f"app/{self.name}/{self._id}"

    @property
    def balancer_arn(self) -> str:
        """The ARN of its load balancer."""
        return self._arn(f"loadbalancer/{self.balancer_dimension}")

    @property
    def listener_arn(self) -> str:
        """The ARN of its listener."""
        return self._arn(f"listener/{self.balancer_dimension}/{self._id}")

    @property
    def rule_arn(self) -> str:
        """The ARN of its rule."""
        return self._arn(f"listener-rule/{self.balancer_dimension}/{self._id}/{self._id}")

    @property
    def _id(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]

    def _arn(self, resource: str) -> str:
        return f"{self.arn.rpartition(':')[0]}:{resource}"


class SimulatedBalancing:
    """The load balancers of all services that have a target group."""

    def __init__(
        self,
        services: Callable[[], Iterable[Service]],
        balancers: Mapping[tuple[str, str], LoadBalancer],
    ) -> None:
        self._services = services
        self._balancers = balancers

    def groups(self) -> list[Group]:
        """Return every target group that a service has."""
        return [
            Group(item["targetGroupArn"], self._balancers.get((service.cluster.name, service.name)))
            for service in self._services()
            if service.status != "INACTIVE"
            for item in service.config.get("loadBalancers", [])
            if ":targetgroup/" in item.get("targetGroupArn", "")
        ]

    def figures(self, dimensions: Mapping[str, str]) -> tuple[Figures | None, bool]:
        """Return the figures that dimensions name, and whether they name a target group."""
        group = dimensions.get("TargetGroup")
        for item in self.groups():
            if dimensions.get("LoadBalancer") == item.balancer_dimension and group in {None, item.dimension}:
                return item.balancer.figures if item.balancer else None, group is not None
        return None, group is not None

    def call(self, call: Call) -> Fields:
        """Do one action.

        Raises:
            ApiError: what AWS would refuse it with.
        """
        given = members(call.parameters)
        given.pop("PageSize", None)
        try:
            checked(call.service, call.action, given)
        except MalformedRequestError as error:
            raise ApiError("ValidationError", str(error)) from error
        match call.action:
            case "DescribeTargetHealth":
                return {"TargetHealthDescriptions": self._health(given["TargetGroupArn"])}
            case "DescribeTargetGroups":
                return {"TargetGroups": [_group_fields(item) for item in self._asked(given)]}
            case "DescribeListeners":
                return {"Listeners": [_listener_fields(item) for item in self._asked(given)]}
            case "DescribeRules":
                return {"Rules": [_rule_fields(item) for item in self._asked(given)]}
        return {"LoadBalancers": [_balancer_fields(item) for item in self._asked(given)]}

    def _asked(self, given: Fields) -> list[Group]:
        """Return the groups that a request names by anything of theirs; all of them where it names nothing."""
        groups = self.groups()
        wanted = [
            name for value in given.values() for name in (value if isinstance(value, list) else [value])
        ]
        for name in wanted:
            if not any(name in _names(item) for item in groups):
                kind = "TargetGroup" if ":targetgroup/" in name else "LoadBalancer"
                raise ApiError(f"{kind}NotFound", f"One or more of '{name}' were not found")
        return [item for item in groups if not wanted or set(wanted) & _names(item)]

    def _health(self, arn: str) -> list[Fields]:
        found = next((item for item in self.groups() if item.arn == arn), None)
        if found is None:
            raise ApiError("TargetGroupNotFound", f"One or more target groups not found: '{arn}'")
        return [_health_fields(target) for target in (found.balancer.targets if found.balancer else [])]


def _names(group: Group) -> set[str]:
    return {group.arn, group.name, group.balancer_arn, group.listener_arn, group.rule_arn}


def _health_fields(target: Target) -> Fields:
    host, _, port = target.address.partition(":")
    match target.healthy:
        case None:
            health = {
                "State": "initial",
                "Reason": "Elb.InitialHealthChecking",
                "Description": "Initial health checks in progress",
            }
        case True:
            health = {"State": "healthy"}
        case _:
            health = {
                "State": "unhealthy",
                "Reason": "Target.FailedHealthChecks",
                "Description": "Health checks failed",
            }
    where = {"Id": host, "Port": port, "AvailabilityZone": "us-east-1a"}
    return {"Target": where, "HealthCheckPort": port, "TargetHealth": health}


def _group_fields(group: Group) -> Fields:
    return {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": "HTTP",
        "Port": 8080,
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": True,
        "HealthCheckPath": "/health",
        "Matcher": {"HttpCode": "200"},
        "TargetType": "ip",
        "LoadBalancerArns": [group.balancer_arn],
    }


def _balancer_fields(group: Group) -> Fields:
    host = group.balancer.address.partition(":")[0] if group.balancer else "127.0.0.1"
    return {
        "LoadBalancerArn": group.balancer_arn,
        "DNSName": host,
        "LoadBalancerName": group.name,
        "Scheme": "internal",
        "Type": "application",
        "State": {"Code": "active"},
    }


def _listener_fields(group: Group) -> Fields:
    port = group.balancer.address.partition(":")[2] if group.balancer else 80
    return {
        "ListenerArn": group.listener_arn,
        "LoadBalancerArn": group.balancer_arn,
        "Port": port,
        "Protocol": "HTTP",
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": group.arn}],
    }


def _rule_fields(group: Group) -> Fields:
    action = {"Type": "forward", "TargetGroupArn": group.arn}
    return {"RuleArn": group.rule_arn, "Priority": "default", "Actions": [action], "IsDefault": True}
