"""The figures of a service's requests: one call for all of its load balancers and discovery names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from activities.cloudwatch import balancers, service_connect
from activities.cloudwatch.balancers import balancer_figures, balancer_queries, balancer_requests
from activities.cloudwatch.metric_data import not_whole, read_points
from activities.cloudwatch.service_connect import connect_figures, connect_queries, connect_requests
from runbook_model.catalog.target import Target
from runbook_model.measured.balancing import Figures, TargetGroup
from runbook_model.measured.evidence import Points
from runbook_model.measured.publishing import Published
from runbook_model.measured.service_connect import ConnectFigures

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from activities.aws.clients import AwsClients


class Ways(NamedTuple):
    """By which ways a service gets its requests."""

    groups: tuple[TargetGroup, ...] = ()
    names: tuple[str, ...] = ()
    """Its discovery names in Service Connect."""


def read_figures(
    clients: AwsClients, target: Target, ways: Ways, window: Published
) -> tuple[Figures, ConnectFigures]:
    """Read every figure of a window; blocks.

    The call begins a window earlier, because CloudWatch may begin its periods at the start that is asked for or at
    multiples of the period: either way a whole one is in it.

    Raises:
        OutsideError: CloudWatch cannot be read.
    """
    queries = [*balancer_queries(ways.groups, window), *connect_queries(target, ways.names, window)]
    points, states = _read(clients, target, queries, window)
    return balancer_figures(points, states, ways.groups), connect_figures(points, states, ways.names)


def read_requests(
    clients: AwsClients, target: Target, ways: Ways, window: Published, count: int
) -> Points | str:
    """Read how many requests there were in each of so many windows, or say why that is not known; blocks.

    What comes through a load balancer may come through Service Connect's proxy too: only one of them is counted.

    Raises:
        OutsideError: CloudWatch cannot be read.
    """
    queries = balancer_requests(ways.groups, window.span) or connect_requests(target, ways.names, window.span)
    points, states = _read(clients, target, queries, window, count)
    if why := not_whole(states):
        return why
    sums: defaultdict[float, float] = defaultdict(float)
    for found in points.values():
        for moment, value in found:
            if moment <= window.begin.timestamp():
                sums[moment] += value
    return tuple(sorted(sums.items()))


def balancer_question(groups: Sequence[TargetGroup], window: Published) -> str:
    """Return what is asked of load balancers, as a report cites it."""
    return _question(balancers.NAMESPACE, (group.name for group in groups), window)


def connect_question(names: Sequence[str], window: Published) -> str:
    """Return what is asked of Service Connect, as a report cites it."""
    return _question(service_connect.NAMESPACE, names, window)


def _question(namespace: str, names: Iterable[str], window: Published) -> str:
    return f"GetMetricData {namespace} of {', '.join(names)}, {window.begin:%H:%M:%S} to {window.end:%H:%M:%S} UTC"


def _read(
    clients: AwsClients,
    target: Target,
    queries: list[MetricDataQueryTypeDef],
    window: Published,
    windows: int = 2,
) -> tuple[dict[str, Points], dict[str, str]]:
    """Return the points of each query in so many windows, and its last state."""
    span = (window.end - windows * window.span, window.end)
    return read_points(clients, target, queries, span, "read the figures of requests from CloudWatch")
