"""The figures of a service's requests: one call for all of its load balancers and discovery names.

Of Service Connect, AWS publishes requests with the service that answers them as dimension, and answers with the discovery name
alone or with the service that *calls*: so answers of all callers are those of the discovery name alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from activities.cloudwatch.metric_data import not_whole, query, read_points
from runbook_model.catalog.target import Target
from runbook_model.measured.balancing import ConnectFigures, Figures, GroupFigures, NameFigures, TargetGroup
from runbook_model.measured.evidence import Points
from runbook_model.measured.publishing import Published

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from activities.aws.clients import AwsClients

OF_BALANCERS, OF_CONNECT = "AWS/ApplicationELB", "AWS/ECS"
REQUESTS = ("RequestCount", "Sum")
P95 = ("TargetResponseTime", "p95")
OF_A_GROUP = {
    "requests": REQUESTS,
    "errors": ("HTTPCode_Target_5XX_Count", "Sum"),
    "refused": ("TargetConnectionErrorCount", "Sum"),
    "healthy": ("HealthyHostCount", "Minimum"),
    "unhealthy": ("UnHealthyHostCount", "Maximum"),
    "p95": P95,
}
OWN_ERRORS = tuple(f"HTTPCode_ELB_{status}_Count" for status in (502, 503, 504))
OF_CALLERS = {
    **{
        f"answers_{kind}": (f"HTTPCode_Target_{kind.upper()}_Count", "Sum")
        for kind in ("2xx", "3xx", "4xx", "5xx")
    },
    "p95": P95,
}
"""What callers' proxies publish of a discovery name; the time is in milliseconds."""


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
    queries = [*_balancer_queries(ways.groups, window), *_connect_queries(target, ways.names, window)]
    points, states = _read(clients, target, queries, window)
    return _balancer_figures(points, states, ways.groups), _connect_figures(points, states, ways.names)


def read_requests(
    clients: AwsClients, target: Target, ways: Ways, window: Published, count: int
) -> Points | str:
    """Read how many requests there were in each of so many windows, or say why that is not known; blocks.

    What comes through a load balancer may come through Service Connect's proxy too: only one of them is counted.

    Raises:
        OutsideError: CloudWatch cannot be read.
    """
    queries = [
        query(f"requests{number}", OF_BALANCERS, REQUESTS, _dimensions(group), window.span)
        for number, group in enumerate(ways.groups)
    ]
    queries = queries or _connect_requests(target, ways.names, window.span)
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
    return _question(OF_BALANCERS, (group.name for group in groups), window)


def connect_question(names: Sequence[str], window: Published) -> str:
    """Return what is asked of Service Connect, as a report cites it."""
    return _question(OF_CONNECT, names, window)


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


def _period(figure: str, window: Published) -> timedelta:
    """Return the whole window for percentiles: those of parts cannot be averaged."""
    return window.span if figure == "p95" else window.period


def _dimensions(group: TargetGroup) -> dict[str, str]:
    return {"LoadBalancer": group.balancer_name, "TargetGroup": group.name}


def _balancer_queries(groups: Sequence[TargetGroup], window: Published) -> list[MetricDataQueryTypeDef]:
    """Ask for every figure of some target groups, and for what their load balancers answered themselves."""
    balancers = sorted({group.balancer_name for group in groups})
    return [
        *(
            query(f"{name}{number}", OF_BALANCERS, figure, _dimensions(group), _period(name, window))
            for number, group in enumerate(groups)
            for name, figure in OF_A_GROUP.items()
        ),
        *(
            query(
                f"own{number}x{place}", OF_BALANCERS, (metric, "Sum"), {"LoadBalancer": name}, window.period
            )
            for number, name in enumerate(balancers)
            for place, metric in enumerate(OWN_ERRORS)
        ),
    ]


def _connect_queries(target: Target, names: Sequence[str], window: Published) -> list[MetricDataQueryTypeDef]:
    """Ask for every figure of some discovery names."""
    return [
        *_connect_requests(target, names, window.period),
        *(
            query(
                f"connect{number}{figure}",
                OF_CONNECT,
                asked,
                {"TargetDiscoveryName": name},
                _period(figure, window),
            )
            for number, name in enumerate(names)
            for figure, asked in OF_CALLERS.items()
        ),
    ]


def _connect_requests(
    target: Target, names: Sequence[str], period: timedelta
) -> list[MetricDataQueryTypeDef]:
    """Ask how many requests reached the service's own tasks."""
    own = {"ServiceName": target.ecs_service or "", "ClusterName": target.cluster or ""}
    return [
        query(f"connect{number}requests", OF_CONNECT, REQUESTS, {"DiscoveryName": name} | own, period)
        for number, name in enumerate(names)
    ]


def _balancer_figures(
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


def _connect_figures(
    points: Mapping[str, Points], states: Mapping[str, str], names: Sequence[str]
) -> ConnectFigures:
    """Put together what CloudWatch answered."""
    if why := not_whole({name: state for name, state in states.items() if name.startswith("connect")}):
        return ConnectFigures(why=why)
    figures = ("requests", *OF_CALLERS)
    return ConnectFigures(
        names=tuple(
            NameFigures(**{figure: points.get(f"connect{number}{figure}", ()) for figure in figures})
            for number, _ in enumerate(names)
        )
    )
