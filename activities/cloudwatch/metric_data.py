"""GetMetricData: every figure that is wanted by one call, its pages put together."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runbook_model.catalog.target import Target
from runbook_model.measured.evidence import Points

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from activities.aws.clients import AwsClients


def query(
    name: str, namespace: str, figure: tuple[str, str], dimensions: dict[str, str], period: timedelta
) -> MetricDataQueryTypeDef:
    """Ask for one figure, which is a metric and a statistic."""
    metric, stat = figure
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
            "Period": int(period.total_seconds()),
            "Stat": stat,
        },
    }


def read_points(
    clients: AwsClients,
    target: Target,
    queries: list[MetricDataQueryTypeDef],
    span: tuple[datetime, datetime],
    doing: str,
    *,
    labelled: bool = False,
) -> tuple[dict[str, Points], dict[str, str]]:
    """Return the points of each query, oldest first, and its last state; blocks.

    Args:
        clients: of AWS.
        target: in whose account.
        queries: what is asked.
        span: from when to when.
        doing: what fails, if it does.
        labelled: whether a query is a search, which has a series for each label: then ``<id> <label>`` names them.

    Raises:
        OutsideError: CloudWatch cannot be read.
    """
    points: defaultdict[str, dict[float, float]] = defaultdict(dict)
    states: dict[str, str] = {}
    with clients.naming_errors(doing):
        pages = (
            clients.cloudwatch(target.account)
            .get_paginator("get_metric_data")
            .paginate(MetricDataQueries=queries, StartTime=span[0], EndTime=span[1])
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                name = f"{result['Id']} {result.get('Label', '')}" if labelled else result["Id"]
                states[name] = result.get("StatusCode", "Complete")
                moments = (moment.timestamp() for moment in result["Timestamps"])
                points[name].update(zip(moments, result["Values"], strict=True))
    return {name: tuple(sorted(found.items())) for name, found in points.items()}, states


def not_whole(states: dict[str, str]) -> str:
    """Say that not every figure could be read; nothing where all could."""
    unread = sorted({state for state in states.values() if state != "Complete"})
    return f"CloudWatch answered {', '.join(unread)}: not every figure could be read" if unread else ""
