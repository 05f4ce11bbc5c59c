"""CPU and memory of a service as CloudWatch has them: averages over its tasks, as shares of their limits."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from activities.runtime.fence import unread
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError
from runbook_model.measured.evidence import Points, Statistics
from runbook_model.measured.symptoms import UtilizationRead

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients

Metric = Literal["CPUUtilization", "MemoryUtilization"]
NAMESPACE = "AWS/ECS"
LONG_PERIOD = timedelta(minutes=5)
SHORT_PERIOD = timedelta(minutes=1)
SPAN = timedelta(hours=1)


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
        points = read_points(clients, target, metric, now, period)
    except OutsideError as error:
        return unread(asked, error)
    if not points:
        return asked
    return asked.answered(points=points)


def read_points(
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
