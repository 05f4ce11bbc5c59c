"""Load balancers: at which address users reach a service, and which path its health check asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from runbook_model.discovered import Line, Unread

if TYPE_CHECKING:
    from activities.discovery.asking import Asking

HTTP = {"HTTP": ("http", 80), "HTTPS": ("https", 443)}
"""Protocol of a listener -> scheme of its addresses, and the port that they need not name."""
GUESS = "is it the address?"


class Route(NamedTuple):
    """A way from users to a target group."""

    url: str
    comment: str
    sure: bool


class Balancing:
    """The target groups of services, with the listeners and rules that lead to them."""

    def __init__(
        self,
        groups: Mapping[str, dict[str, Any]] | Unread,
        balancers: Mapping[str, dict[str, Any]] | Unread,
        listeners: Mapping[str, list[dict[str, Any]] | Unread],
        rules: Mapping[str, list[dict[str, Any]] | Unread],
    ) -> None:
        self._groups = groups
        self._balancers = balancers
        self._listeners = listeners
        self._rules = rules

    @classmethod
    def read(cls, asking: Asking, wanted: Collection[str]) -> Balancing:
        """Read what leads to some target groups. All groups of the account are listed: one that is gone fails no call."""
        if not wanted:
            return cls({}, {}, {}, {})
        listed = asking.listed("elbv2", "describe_target_groups", "TargetGroups")
        if isinstance(listed, Unread):
            return cls(listed, {}, {}, {})
        groups = {group["TargetGroupArn"]: group for group in listed if group["TargetGroupArn"] in wanted}
        balancers = asking.listed("elbv2", "describe_load_balancers", "LoadBalancers")
        if isinstance(balancers, Unread):
            return cls(groups, balancers, {}, {})
        used = sorted({arn for group in groups.values() for arn in group.get("LoadBalancerArns", [])})
        listeners = _of_each(asking, "listeners", "describe_listeners", "Listeners", "LoadBalancerArn", used)
        arns = [
            listener["ListenerArn"]
            for found in listeners.values()
            if not isinstance(found, Unread)
            for listener in found
            if listener.get("Protocol") in HTTP
        ]
        rules = _of_each(asking, "rules of listeners", "describe_rules", "Rules", "ListenerArn", arns)
        return cls(groups, {item["LoadBalancerArn"]: item for item in balancers}, listeners, rules)

    def lines(self, service: dict[str, Any]) -> Iterator[Line]:
        """Return the lines of a service's address and health check."""
        arns = [
            item["targetGroupArn"] for item in service.get("loadBalancers", []) if "targetGroupArn" in item
        ]
        if not arns:
            classic = [
                item["loadBalancerName"]
                for item in service.get("loadBalancers", [])
                if "loadBalancerName" in item
            ]
            said = f"only the classic load balancer {classic[0]}" if classic else "no load balancer"
            comment = f"not found: ECS names {said}; without an address, health is not asked for"
            yield Line(key="url", comment=comment, found=False)
            return
        if isinstance(self._groups, Unread):
            yield Line(key="url", comment=self._groups.comment, found=False)
            yield Line(key="health_path", comment=self._groups.comment, found=False)
            return
        groups = [group for arn in arns if (group := self._groups.get(arn))]
        if not groups:
            yield Line(
                key="url", comment=f"not found: there is no target group {_name(arns[0])}", found=False
            )
            return
        routes = {group["TargetGroupArn"]: self._best(group) for group in groups}
        group = next((group for group in groups if _is_sure(routes[group["TargetGroupArn"]])), groups[0])
        route = routes[group["TargetGroupArn"]]
        if isinstance(route, Route):
            yield Line(key="url", value=route.url, comment=route.comment, found=route.sure)
        else:
            yield Line(key="url", comment=route, found=False)
        yield _health(group)

    def _best(self, group: dict[str, Any]) -> Route | str:
        """Return the way to a group that is surest, or why none is known."""
        if isinstance(self._balancers, Unread):
            return self._balancers.comment
        routes: list[Route] = []
        why = f"not found: no listener leads to the target group {group['TargetGroupName']}"
        for arn in group.get("LoadBalancerArns", []):
            balancer, listeners = self._balancers.get(arn), self._listeners.get(arn, [])
            if isinstance(listeners, Unread):
                why = listeners.comment
                continue
            if balancer is not None:
                routes += [
                    route for listener in listeners for route in self._routes(balancer, listener, group)
                ]
        return max(routes, key=lambda route: (route.sure, route.url.startswith("https:")), default=why)

    def _routes(
        self, balancer: dict[str, Any], listener: dict[str, Any], group: dict[str, Any]
    ) -> Iterator[Route]:
        port, protocol = listener.get("Port", 0), listener.get("Protocol", "")
        where = f"load balancer {balancer['LoadBalancerName']} ({balancer.get('Scheme', 'scheme not known')}), port {port}"
        if balancer.get("Scheme") == "internal":
            where += ", reached from inside the VPC only"
        if protocol not in HTTP:
            if _leads(listener.get("DefaultActions", []), group):
                comment = f"{where}, speaks {protocol}, not HTTP: {GUESS}"
                yield Route(f"http://{balancer['DNSName']}:{port}", comment, sure=False)
            return
        rules = self._rules.get(listener["ListenerArn"], [])
        if isinstance(rules, Unread):
            comment = f"{where}; its rules were {rules.comment}: {GUESS}"
            yield Route(_url(protocol, balancer["DNSName"], port), comment, sure=False)
            return
        for rule in rules:
            if _leads(rule.get("Actions", []), group):
                yield _route(rule, f"{where}, {protocol}", protocol, port, balancer["DNSName"], group)


def _route(
    rule: dict[str, Any], where: str, protocol: str, port: int, dns: str, group: dict[str, Any]
) -> Route:
    """Read the way that a rule opens: of what it asks of a request, host and path can be met by an address."""
    asked = {condition["Field"]: _values(condition) for condition in rule.get("Conditions", [])}
    hosts = [host for host in asked.pop("host-header", []) if not set(host) & set("*?")]
    paths = asked.pop("path-pattern", None)
    url = _url(protocol, hosts[0] if hosts else dns, port)
    path = group.get("HealthCheckPath") or "/"
    if asked:
        return Route(
            url, f"{where}, for requests with a certain {', '.join(sorted(asked))} only: {GUESS}", sure=False
        )
    if paths is not None and not any(fnmatchcase(path, pattern) for pattern in paths):
        return Route(url, f"{where}, for {' '.join(paths)} only, where {path} is not: {GUESS}", sure=False)
    if any(condition["Field"] == "host-header" for condition in rule.get("Conditions", [])) and not hosts:
        return Route(url, f"{where}, for hosts of a pattern only: {GUESS}", sure=False)
    if hosts:
        return Route(url, f"{where}, rule for host {hosts[0]}", sure=True)
    if protocol == "HTTPS":
        return Route(
            url, f"{where}: its certificate is for another name, which AWS does not tell here", sure=False
        )
    return Route(url, where, sure=True)


def _health(group: dict[str, Any]) -> Line:
    """Read the path of a target group's health check."""
    path, name = group.get("HealthCheckPath"), group["TargetGroupName"]
    if not path:
        comment = f"not found: the health check of target group {name} is {group.get('HealthCheckProtocol')}, without a path"
        return Line(key="health_path", comment=comment, found=False)
    port = group.get("HealthCheckPort", "traffic-port")
    if port not in {"traffic-port", str(group.get("Port"))}:
        comment = f"health check of target group {name}, but on port {port}, where users are not"
        return Line(key="health_path", value=path, comment=comment, found=False)
    codes = group.get("Matcher", {}).get("HttpCode", "200")
    said = "" if codes.startswith("2") and "-" not in codes else f"; there {codes} is healthy, here 2xx"
    return Line(key="health_path", value=path, comment=f"health check of target group {name}{said}")


def _of_each(
    asking: Asking, what: str, operation: str, key: str, parameter: str, arns: list[str]
) -> dict[str, list[dict[str, Any]] | Unread]:
    found = asking.each(what, lambda arn: asking.listed("elbv2", operation, key, **{parameter: arn}), arns)
    return dict(zip(arns, found, strict=True))


def _is_sure(route: Route | str) -> bool:
    return isinstance(route, Route) and route.sure


def _leads(actions: list[dict[str, Any]], group: dict[str, Any]) -> bool:
    """Whether one of the actions forwards to a group; with a weight of 0 it does too, since deployments change weights."""
    arn = group["TargetGroupArn"]
    return any(
        action.get("TargetGroupArn") == arn
        or any(
            item.get("TargetGroupArn") == arn
            for item in action.get("ForwardConfig", {}).get("TargetGroups", [])
        )
        for action in actions
    )


def _values(condition: dict[str, Any]) -> list[str]:
    found = condition.get("Values") or [
        value for key, part in condition.items() if key.endswith("Config") for value in part.get("Values", [])
    ]
    return [str(value) for value in found]


def _url(protocol: str, host: str, port: int) -> str:
    scheme, usual = HTTP[protocol]
    return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"


def _name(arn: str) -> str:
    return arn.rpartition("targetgroup/")[2].partition("/")[0] or arn
