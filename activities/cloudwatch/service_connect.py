"""The figures of a service's discovery names in Service Connect.

AWS publishes requests with the service that answers them as dimension, and answers with the discovery name alone or with
the service that *calls*: so answers of all callers are those of the discovery name alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.metric_data import not_whole, query
from runbook_model.catalog.target import Target
from runbook_model.measured.evidence import Points
from runbook_model.measured.publishing import Published
from runbook_model.measured.service_connect import ConnectFigures, NameFigures

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

NAMESPACE = "AWS/ECS"
REQUESTS = ("RequestCount", "Sum")
OF_CALLERS = {
    **{
        f"answers_{kind}": (f"HTTPCode_Target_{kind.upper()}_Count", "Sum")
        for kind in ("2xx", "3xx", "4xx", "5xx")
    },
    "p95": ("TargetResponseTime", "p95"),
}
"""What callers' proxies publish of a discovery name; the time is in milliseconds."""


def connect_queries(target: Target, names: Sequence[str], window: Published) -> list[MetricDataQueryTypeDef]:
    """Ask for every figure of some discovery names."""
    return [
        *connect_requests(target, names, window.period),
        *(
            query(
                f"connect{number}{figure}",
                NAMESPACE,
                asked,
                {"TargetDiscoveryName": name},
                window.span if figure == "p95" else window.period,
            )
            for number, name in enumerate(names)
            for figure, asked in OF_CALLERS.items()
        ),
    ]


def connect_requests(target: Target, names: Sequence[str], period: timedelta) -> list[MetricDataQueryTypeDef]:
    """Ask how many requests reached the service's own tasks."""
    own = {"ServiceName": target.ecs_service or "", "ClusterName": target.cluster or ""}
    return [
        query(f"connect{number}requests", NAMESPACE, REQUESTS, {"DiscoveryName": name} | own, period)
        for number, name in enumerate(names)
    ]


def connect_figures(
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
