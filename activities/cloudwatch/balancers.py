"""The figures of a service's load balancers: one call for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.metric_data import not_whole, query, read_points
from runbook_model.catalog.target import Target
from runbook_model.measured.balancing import Figures, GroupFigures, TargetGroup
from runbook_model.measured.evidence import Points
from runbook_model.measured.publishing import Published

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from activities.aws.clients import AwsClients

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


def read_figures(
    clients: AwsClients, target: Target, groups: Sequence[TargetGroup], window: Published
) -> Figures:
    """Read every figure of a window; blocks.

    The call begins a window earlier, because CloudWatch may begin its periods at the start that is asked for or at
    multiples of the period: either way a whole one is in it.

    Raises:
        OutsideError: CloudWatch cannot be read.
    """
    queries = [*_of_groups(groups, window), *_of_balancers(groups, window.period)]
    points, states = _read(clients, target, queries, window)
    if why := not_whole(states):
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


def read_requests(
    clients: AwsClients, target: Target, groups: Sequence[TargetGroup], window: Published, count: int
) -> Points | str:
    """Read how many requests there were in each of so many windows, or say why that is not known; blocks.

    Raises:
        OutsideError: CloudWatch cannot be read.
    """
    queries = [
        query(
            f"requests{number}",
            NAMESPACE,
            OF_A_GROUP["requests"],
            {"LoadBalancer": group.balancer_name, "TargetGroup": group.name},
            window.span,
        )
        for number, group in enumerate(groups)
    ]
    points, states = _read(clients, target, queries, window, count)
    if why := not_whole(states):
        return why
    sums: defaultdict[float, float] = defaultdict(float)
    for found in points.values():
        for moment, value in found:
            if moment <= window.begin.timestamp():
                sums[moment] += value
    return tuple(sorted(sums.items()))


def question(groups: Sequence[TargetGroup], window: Published) -> str:
    """Return what is asked, as a report cites it."""
    names = ", ".join(group.name for group in groups)
    return f"GetMetricData {NAMESPACE} of {names}, {window.begin:%H:%M:%S} to {window.end:%H:%M:%S} UTC"


def _of_groups(groups: Sequence[TargetGroup], window: Published) -> list[MetricDataQueryTypeDef]:
    return [
        query(
            f"{name}{number}",
            NAMESPACE,
            (metric, stat),
            {"LoadBalancer": group.balancer_name, "TargetGroup": group.name},
            window.span if name == "p95" else window.period,
        )
        for number, group in enumerate(groups)
        for name, (metric, stat) in OF_A_GROUP.items()
    ]


def _of_balancers(groups: Sequence[TargetGroup], period: timedelta) -> list[MetricDataQueryTypeDef]:
    balancers = sorted({group.balancer_name for group in groups})
    return [
        query(f"own{number}x{place}", NAMESPACE, (metric, "Sum"), {"LoadBalancer": name}, period)
        for number, name in enumerate(balancers)
        for place, metric in enumerate(OWN_ERRORS)
    ]


def _read(
    clients: AwsClients,
    target: Target,
    queries: list[MetricDataQueryTypeDef],
    window: Published,
    windows: int = 2,
) -> tuple[dict[str, Points], dict[str, str]]:
    """Return the points of each query in so many windows, and its last state."""
    span = (window.end - windows * window.span, window.end)
    return read_points(clients, target, queries, span, "read the load balancer's figures from CloudWatch")
