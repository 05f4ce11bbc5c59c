"""Elastic Load Balancing's API over the sandbox's load balancers: a balancer, a listener, a rule and a group for each.

A service that was created with a target group has the load balancer of that group; others have none that AWS would show.
Where its deployments shift traffic, there are two groups behind it, and the rules that the service names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sandbox.aws.calls import Call, members
from sandbox.balancing.figures import Figures
from sandbox.balancing.groups import Group, groups_of, listener_of
from sandbox.balancing.load_balancer import TEST_HEADER, LoadBalancer, Target
from sandbox.ecs.model import Service
from sandbox.ecs.names import ApiError, Fields
from sandbox.ecs.protocol import checked

ACTIONS = frozenset(
    {
        "DescribeLoadBalancers",
        "DescribeListeners",
        "DescribeRules",
        "DescribeTargetGroups",
        "DescribeTargetHealth",
    }
)


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
            group
            for service in self._services()
            if service.status != "INACTIVE"
            for item in service.config.get("loadBalancers", [])
            if ":targetgroup/" in item.get("targetGroupArn", "")
            for group in groups_of(service, item, self._balancers.get((service.cluster.name, service.name)))
        ]

    def figures(self, dimensions: Mapping[str, str]) -> tuple[Figures | None, bool]:
        """Return the figures that dimensions name, and whether they name a target group."""
        group = dimensions.get("TargetGroup")
        for item in self.groups():
            if dimensions.get("LoadBalancer") == item.balancer_dimension and group in {None, item.dimension}:
                return item.figures(whole=group is None), group is not None
        return None, group is not None

    def connect_figures(self, dimensions: Mapping[str, str], metric: str) -> Figures | None:
        """Return the figures of a discovery name: requests by the service that gets them, the others by the name alone."""
        own = {"DiscoveryName", "ServiceName", "ClusterName"}
        if dimensions.keys() != (own if metric == "RequestCount" else {"TargetDiscoveryName"}):
            return None
        name = dimensions.get("DiscoveryName") or dimensions["TargetDiscoveryName"]
        for service in self._services():
            where = (service.cluster.name, service.name)
            asked = (dimensions.get("ClusterName", where[0]), dimensions.get("ServiceName", where[1]))
            if service.status != "INACTIVE" and asked == where and name in _discovery_names(service):
                balancer = self._balancers.get(where)
                return balancer.figures if balancer else None
        return None

    def call(self, call: Call) -> Fields:
        """Do one action.

        Raises:
            ApiError: what AWS would refuse it with.
        """
        given = members(call.parameters)
        given.pop("PageSize", None)
        checked(call.service, call.action, given)
        match call.action:
            case "DescribeTargetHealth":
                return {"TargetHealthDescriptions": self._health(given["TargetGroupArn"])}
            case "DescribeTargetGroups":
                return {"TargetGroups": [_group_fields(item) for item in self._asked(given)]}
            case "DescribeListeners":
                listeners = [item for group in self._asked(given) for item in _listeners(group)]
                return {"Listeners": _each_once("ListenerArn", listeners)}
            case "DescribeRules":
                rules = [rule for item in self._asked(given) for rule in _rules(item)]
                wanted, listener = set(given.get("RuleArns", ())), given.get("ListenerArn")
                rules = [
                    rule
                    for rule in rules
                    if (not wanted or rule["RuleArn"] in wanted)
                    and listener in {None, listener_of(rule["RuleArn"])}
                ]
                return {"Rules": _each_once("RuleArn", rules)}
        return {"LoadBalancers": _each_once("LoadBalancerArn", map(_balancer_fields, self._asked(given)))}

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
        return [_health_fields(target) for target in found.targets]


def _each_once(key: str, found: Iterable[Fields]) -> list[Fields]:
    """Leave out what both groups of a pair have."""
    return list({item[key]: item for item in found}.values())


def _names(group: Group) -> set[str]:
    tests = {group.test_rule, listener_of(group.test_rule)} if group.test_rule else set()
    balancer = {group.balancer_arn, group.balancer_dimension.split("/")[1]}
    return {group.arn, group.name, group.listener_arn, group.rule_arn, *balancer, *tests}


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


def _discovery_names(service: Service) -> set[str]:
    """Return what callers in Service Connect know a service by."""
    connect = service.config.get("serviceConnectConfiguration", {})
    if not connect.get("enabled"):
        return set()
    return {item.get("discoveryName", item["portName"]) for item in connect.get("services", [])}


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
        "LoadBalancerName": group.balancer_dimension.split("/")[1],
        "Scheme": "internal",
        "Type": "application",
        "State": {"Code": "active"},
    }


def _listeners(group: Group) -> list[Fields]:
    """Return the listener of the production rule, and that of the test rule where it is another."""
    production = _listener_fields(group)
    test = {**production, "ListenerArn": listener_of(group.test_rule)} if group.test_rule else production
    return [production, test]


def _listener_fields(group: Group) -> Fields:
    port = group.balancer.address.partition(":")[2] if group.balancer else 80
    return {
        "ListenerArn": group.listener_arn,
        "LoadBalancerArn": group.balancer_arn,
        "Port": port,
        "Protocol": "HTTP",
        "DefaultActions": [_forward(group, group.weights)],
    }


def _rules(group: Group) -> list[Fields]:
    """Return the production rule, and the test rule where there is one: for requests with the header of test traffic."""
    action = _forward(group, group.weights)
    rules: list[Fields] = [
        {"RuleArn": group.rule_arn, "Priority": "default", "Actions": [action], "IsDefault": True}
    ]
    if group.test_rule:
        header = {"HttpHeaderName": TEST_HEADER.decode(), "Values": ["*"]}
        rules.append(
            {
                "RuleArn": group.test_rule,
                "Priority": "1",
                "Conditions": [{"Field": "http-header", "HttpHeaderConfig": header}],
                "Actions": [_forward(group, group.test_weights)],
                "IsDefault": False,
            }
        )
    return rules


def _forward(group: Group, weights: Mapping[str, float]) -> Fields:
    """Return the action of a rule; weights are whole numbers, in tenths of a percent where they must be."""
    if not group.first:
        return {"Type": "forward", "TargetGroupArn": group.arn}
    factor = 1 if all(share == int(share) for share in weights.values()) else 10
    groups = [{"TargetGroupArn": arn, "Weight": round(share * factor)} for arn, share in weights.items()]
    return {
        "Type": "forward",
        "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}},
    }
