"""CPU and memory of a service as CloudWatch has them: averages over its tasks, and the memory of each task over time.

Averages are shares of the tasks' limits. Of single tasks, Container Insights with enhanced observability has the memory.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from activities.cloudwatch.metric_data import not_whole, read_points
from activities.runtime.fence import unread
from runbook_model.catalog.target import Target
from runbook_model.containers import MIB
from runbook_model.errors import OutsideError
from runbook_model.measured.evidence import Points, Statistics
from runbook_model.measured.symptoms import UtilizationRead

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from activities.aws.clients import AwsClients

Metric = Literal["CPUUtilization", "MemoryUtilization"]
NAMESPACE = "AWS/ECS"
LONG_PERIOD = timedelta(minutes=5)
SHORT_PERIOD = timedelta(minutes=1)
SPAN = timedelta(hours=1)
SERIES = "{ECS/ContainerInsights,ClusterName,ServiceName,TaskId}"
"""The dimensions of a task's figures; without enhanced observability none has a TaskId."""
TASK = "${PROP('Dim.TaskId')}"
METRICS = {"used": "MemoryUtilized", "limit": "MemoryReserved"}
PERIOD = timedelta(minutes=1)


async def read_utilization(clients: AwsClients, target: Target, now: datetime) -> UtilizationRead:
    """Read the last hour of both metrics."""
    cpu, memory = await asyncio.gather(
        *(
            asyncio.to_thread(read_statistics, clients, target, name, now)
            for name in ("CPUUtilization", "MemoryUtilization")
        )
    )
    return UtilizationRead(cpu=cpu, memory=memory)


def read_statistics(clients: AwsClients, target: Target, metric: Metric, now: datetime) -> Statistics:
    """Read one metric; blocks. What cannot be read is in the answer."""
    period = SHORT_PERIOD if target.verify.rate_window < LONG_PERIOD else LONG_PERIOD
    query = f"GetMetricStatistics {NAMESPACE} {metric} of {target.cluster}/{target.ecs_service}, Average per {period.seconds}s"
    asked = Statistics(
        quality="no-data",
        why="CloudWatch has no samples of the last hour",
        source="cloudwatch",
        query=query,
        at=now,
    )
    try:
        points = read_averages(clients, target, metric, now, period)
    except OutsideError as error:
        return unread(asked, error)
    if not points:
        return asked
    return asked.answered(points=points)


def read_averages(
    clients: AwsClients, target: Target, metric: Metric, now: datetime, period: timedelta = LONG_PERIOD
) -> Points:
    """Read a metric's averages of the last hour, as shares of the limit; blocks.

    Raises:
        OutsideError: CloudWatch does not say.
    """
    with clients.naming_errors(f"read {metric} from CloudWatch"):
        found = clients.cloudwatch(target.account).get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName=metric,
            Dimensions=[
                {"Name": "ClusterName", "Value": target.cluster},
                {"Name": "ServiceName", "Value": target.ecs_service},
            ],
            StartTime=now - SPAN,
            EndTime=now,
            Period=period.seconds,
            Statistics=["Average"],
        )["Datapoints"]
    return tuple(sorted((item["Timestamp"].timestamp(), item["Average"] / 100) for item in found))


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
    doing = "read the memory of tasks from CloudWatch"
    points, states = read_points(clients, target, _queries(target), (since, now), doing, labelled=True)
    series: dict[str, dict[str, Points]] = {name: {} for name in METRICS}
    for name, found in points.items():
        metric, _, task = name.partition(" ")
        if found:
            series[metric][task] = tuple((moment, size * MIB) for moment, size in found)
    limits = {task: sizes[-1][1] for task, sizes in series["limit"].items() if sizes[-1][1]}
    return TaskMemory(series["used"], limits, not_whole(states))


def memory_question(target: Target) -> str:
    """Return what is asked, as a report cites it."""
    return f"GetMetricData {_search(target, METRICS['used'])}"


def _queries(target: Target) -> list[MetricDataQueryTypeDef]:
    return [
        {"Id": name, "Expression": _search(target, metric), "Label": TASK} for name, metric in METRICS.items()
    ]


def _search(target: Target, metric: str) -> str:
    terms = f'MetricName="{metric}" ClusterName="{target.cluster}" ServiceName="{target.ecs_service}"'
    return f"SEARCH('{SERIES} {terms}', 'Average', {int(PERIOD.total_seconds())})"
