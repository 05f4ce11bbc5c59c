"""The figures of a service's load balancers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.metric_data import not_whole, query
from runbook_model.measured.balancing import Figures, GroupFigures, TargetGroup
from runbook_model.measured.evidence import Points
from runbook_model.measured.publishing import Published

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

NAMESPACE = "AWS/ApplicationELB"
OF_A_GROUP = {
    "requests": ("RequestCount", "Sum"),
    "errors": ("HTTPCode_Target_5XX_Count", "Sum"),
    "refused": ("TargetConnectionErrorCount", "Sum"),
    "healthy": ("HealthyHostCount", "Minimum"),
    "unhealthy": ("UnHealthyHostCount", "Maximum"),
    "p95": ("TargetResponseTime", "p95"),
}
OWN_ERRORS = tuple(f"HTTPCode_ELB_{status}_Count" for status in (502, 503, 504))


def balancer_queries(groups: Sequence[TargetGroup], window: Published) -> list[MetricDataQueryTypeDef]:
    """Ask for every figure of some target groups, and for what their load balancers answered themselves."""
    return [*_of_groups(groups, window), *_of_balancers(groups, window.period)]


def balancer_requests(groups: Sequence[TargetGroup], period: timedelta) -> list[MetricDataQueryTypeDef]:
    """Ask how many requests there were."""
    return [
        query(f"requests{number}", NAMESPACE, OF_A_GROUP["requests"], _dimensions(group), period)
        for number, group in enumerate(groups)
    ]


def balancer_figures(
    points: Mapping[str, Points], states: Mapping[str, str], groups: Sequence[TargetGroup]
) -> Figures:
    """Put together what CloudWatch answered."""
    if why := not_whole({name: state for name, state in states.items() if not name.startswith("connect")}):
        return Figures(why=why)
    return Figures(
        groups=tuple(
            GroupFigures(**{name: points.get(f"{name}{number}", ()) for name in OF_A_GROUP})
            for number, _ in enumerate(groups)
        ),
        own_errors=tuple(
            sorted(point for name, found in points.items() if name.startswith("own") for point in found)
        ),
    )


def _of_groups(groups: Sequence[TargetGroup], window: Published) -> list[MetricDataQueryTypeDef]:
    return [
        query(
            f"{name}{number}",
            NAMESPACE,
            figure,
            _dimensions(group),
            window.span if name == "p95" else window.period,
        )
        for number, group in enumerate(groups)
        for name, figure in OF_A_GROUP.items()
    ]


def _of_balancers(groups: Sequence[TargetGroup], period: timedelta) -> list[MetricDataQueryTypeDef]:
    balancers = sorted({group.balancer_name for group in groups})
    return [
        query(f"own{number}x{place}", NAMESPACE, (metric, "Sum"), {"LoadBalancer": name}, period)
        for number, name in enumerate(balancers)
        for place, metric in enumerate(OWN_ERRORS)
    ]


def _dimensions(group: TargetGroup) -> dict[str, str]:
    return {"LoadBalancer": group.balancer_name, "TargetGroup": group.name}
