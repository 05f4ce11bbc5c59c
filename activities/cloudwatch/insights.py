"""Memory of each task over time, as Container Insights with enhanced observability has it."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from activities.cloudwatch.metric_data import not_whole
from runbook_model.catalog.target import Target
from runbook_model.measured.evidence import Points

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from activities.aws.clients import AwsClients

SERIES = "{ECS/ContainerInsights,ClusterName,ServiceName,TaskId}"
"""The dimensions of a task's figures; without enhanced observability none has a TaskId."""
TASK = "${PROP('Dim.TaskId')}"
METRICS = {"used": "MemoryUtilized", "limit": "MemoryReserved"}
PERIOD = timedelta(minutes=1)
MIB = 1024**2


class TaskMemory(NamedTuple):
    """Bytes by task."""

    used: dict[str, Points]
    limits: dict[str, float]
    """What each task may use, or has reserved."""
    why: str = ""
    """Why it is not whole."""


def read_memory(clients: AwsClients, target: Target, since: datetime, now: datetime) -> TaskMemory:
    """Read the memory of each of a service's tasks since a moment, those that ended too; blocks.

    Raises:
        OutsideError: CloudWatch cannot be read.
    """
    found: dict[str, defaultdict[str, dict[float, float]]] = {name: defaultdict(dict) for name in METRICS}
    states: dict[str, str] = {}
    with clients.naming_errors("read the memory of tasks from CloudWatch"):
        pages = (
            clients.cloudwatch(target.account)
            .get_paginator("get_metric_data")
            .paginate(MetricDataQueries=_queries(target), StartTime=since, EndTime=now)
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                task = result.get("Label", "")
                states[f"{result['Id']} {task}"] = result.get("StatusCode", "Complete")
                moments = (moment.timestamp() for moment in result["Timestamps"])
                sizes = (value * MIB for value in result["Values"])
                found[result["Id"]][task].update(zip(moments, sizes, strict=True))
    series = {
        name: {task: tuple(sorted(points.items())) for task, points in tasks.items() if points}
        for name, tasks in found.items()
    }
    limits = {task: points[-1][1] for task, points in series["limit"].items() if points[-1][1]}
    return TaskMemory(series["used"], limits, not_whole(states))


def question(target: Target) -> str:
    """Return what is asked, as a report cites it."""
    return f"GetMetricData {_search(target, METRICS['used'])}"


def _queries(target: Target) -> list[MetricDataQueryTypeDef]:
    return [
        {"Id": name, "Expression": _search(target, metric), "Label": TASK} for name, metric in METRICS.items()
    ]


def _search(target: Target, metric: str) -> str:
    terms = f'MetricName="{metric}" ClusterName="{target.cluster}" ServiceName="{target.ecs_service}"'
    return f"SEARCH('{SERIES} {terms}', 'Average', {int(PERIOD.total_seconds())})"
