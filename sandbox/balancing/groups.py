"""The target groups of services, with the load balancers, listeners and rules in front of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sandbox.balancing.figures import Figures
from sandbox.balancing.load_balancer import LoadBalancer, Target
from sandbox.ecs.model import Service, Traffic
from sandbox.ecs.names import Fields


class Group(NamedTuple):
    """A target group with the load balancer in front of it."""

    arn: str
    balancer: LoadBalancer | None
    """None before its service has had a task."""
    first: str = ""
    """The first group of a pair; empty for a group on its own."""
    rule: str = ""
    """The production rule that its service names."""
    test_rule: str = ""
    weights: Mapping[str, float] = MappingProxyType({})
    """The production rule's weights, by group."""
    test_weights: Mapping[str, float] = MappingProxyType({})

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
        if ":listener-rule/" in self.rule:
            return "/".join(self.rule.rpartition(":")[2].split("/")[1:4])
        return f"app/{self._head}/{self._id}"

    @property
    def targets(self) -> list[Target]:
        """Its targets; a target that is in no group is in the first."""
        mine = {self.arn, ""} if self.first in {"", self.arn} else {self.arn}
        found = self.balancer.targets if self.balancer else []
        return [target for target in found if not self.first or target.group in mine]

    def figures(self, *, whole: bool) -> Figures | None:
        """Return its figures, or those of its load balancer as a whole."""
        if self.balancer is None or whole or not self.first:
            return self.balancer.figures if self.balancer else None
        return self.balancer.groups.get(self.arn)

    @property
    def balancer_arn(self) -> str:
        """The ARN of its load balancer."""
        return self._arn(f"loadbalancer/{self.balancer_dimension}")

    @property
    def listener_arn(self) -> str:
        """The ARN of its listener."""
        if self.rule:
            return listener_of(self.rule)
        return self._arn(f"listener/{self.balancer_dimension}/{self._id}")

    @property
    def rule_arn(self) -> str:
        """The ARN of its rule."""
        if ":listener-rule/" in self.rule:
            return self.rule
        return self._arn(f"listener-rule/{self.balancer_dimension}/{self._id}/{self._id}")

    @property
    def _head(self) -> str:
        """The name of its load balancer: that of the first group."""
        return (self.first or self.arn).split("/")[1]

    @property
    def _id(self) -> str:
        return hashlib.sha256(self._head.encode()).hexdigest()[:16]

    def _arn(self, resource: str) -> str:
        return f"{self.arn.rpartition(':')[0]}:{resource}"


def groups_of(service: Service, item: Fields, balancer: LoadBalancer | None) -> list[Group]:
    """Return the target groups of one of a service's load balancers: one, or a pair."""
    arn, advanced = item["targetGroupArn"], item.get("advancedConfiguration", {})
    if "alternateTargetGroupArn" not in advanced:
        return [Group(arn, balancer)]
    traffic = service.traffic or Traffic({arn: 100.0}, {arn: 100.0})
    return [
        Group(
            name,
            balancer,
            arn,
            advanced["productionListenerRule"],
            advanced.get("testListenerRule", ""),
            traffic.production,
            traffic.test,
        )
        for name in (arn, advanced["alternateTargetGroupArn"])
    ]


def listener_of(rule: str) -> str:
    """Return the listener of a rule; a Network Load Balancer's rule is its listener."""
    if ":listener-rule/" not in rule:
        return rule
    return rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]
