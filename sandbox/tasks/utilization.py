"""Measures what the tasks' processes use, tells CloudWatch, and ends those that outgrow their memory.

Prometheus reads the same processes by ``sandbox.tasks.scrape_targets``.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.aws_clients import cloudwatch_client
from sandbox.machine.tasks import TaskSpec

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef


NAMESPACE = "AWS/ECS"
SAMPLE_INTERVAL_SECONDS = 1.0
PUBLISH_INTERVAL_SECONDS = 10.0
WARM_UP_SECONDS = 1.0
_MIB = 1024 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """What one task's process has used since its start, and holds now."""

    spec: TaskSpec
    cpu_seconds: float
    memory_bytes: float


def usage_of(spec: TaskSpec, process: psutil.Process) -> Usage:
    """Read what a process has used."""
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info()
    return Usage(spec, times.user + times.system, memory.rss)


@dataclass
class Gauge:
    """What one task's process used since it was last asked."""

    spec: TaskSpec
    process: psutil.Process
    cpu_seconds: float = 0.0
    asked: float = 0.0
    warm_at: float = field(default_factory=lambda: time.monotonic() + WARM_UP_SECONDS)

    def memory_percent(self) -> float:
        """Resident memory as a percentage of what the task definition gives."""
        return 100 * self.process.memory_info().rss / _MIB / self.spec.memory

    def cpu_percent(self) -> float | None:
        """CPU since the last call as a percentage of the task's CPU units; like Fargate never above 100.

        None at the first call: what the start of the process took says nothing about the service.
        """
        times = self.process.cpu_times()
        now = time.monotonic()
        used, since, first = times.user + times.system - self.cpu_seconds, now - self.asked, not self.asked
        self.cpu_seconds, self.asked = times.user + times.system, now
        return None if first else min(100.0, 100 * used / since / (self.spec.cpu / 1024))


class Utilization:
    """The gauges of all running tasks."""

    def __init__(self) -> None:
        self._gauges: dict[str, Gauge] = {}

    def add(self, spec: TaskSpec, pid: int) -> None:
        """Measure a task from now on, until its process is gone."""
        try:
            self._gauges[spec.task_id] = Gauge(spec, psutil.Process(pid))
        except psutil.NoSuchProcess:
            _log.info("task %s ended before it could be measured", spec.task_id)

    def usages(self) -> list[Usage]:
        """Read every task that still runs."""
        found = []
        for gauge in list(self._gauges.values()):
            # A process that ended and is not waited for yet can be found but not read.
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                found.append(usage_of(gauge.spec, gauge.process))
        return found

    async def run(self, endpoint_url: str) -> None:
        """Sample every second and publish every ten, until cancelled."""
        client = await asyncio.to_thread(cloudwatch_client, endpoint_url)
        publish_at = time.monotonic() + PUBLISH_INTERVAL_SECONDS / 2
        while True:
            self._look()
            if time.monotonic() >= publish_at:
                publish_at += PUBLISH_INTERVAL_SECONDS
                await asyncio.to_thread(self._publish, client, self._read())
            await asyncio.sleep(SAMPLE_INTERVAL_SECONDS)

    def _look(self) -> None:
        """Begin to measure CPU once a task has started, and do what the kernel does to one above its memory."""
        for task_id, gauge in list(self._gauges.items()):
            try:
                if not gauge.asked and time.monotonic() >= gauge.warm_at:
                    gauge.cpu_percent()
                if gauge.memory_percent() > 100:
                    _log.warning("task %s outgrew its %d MiB of memory", task_id, gauge.spec.memory)
                    gauge.process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                del self._gauges[task_id]

    def _read(self) -> list[MetricDatumTypeDef]:
        """Read every task's gauges: one value per task, which CloudWatch averages over the service."""
        now = datetime.now(UTC)
        values: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
        for gauge in list(self._gauges.values()):
            where = (gauge.spec.cluster, gauge.spec.service)
            try:
                cpu, memory = gauge.cpu_percent(), gauge.memory_percent()
            except psutil.NoSuchProcess:
                continue
            if cpu is not None:
                values["CPUUtilization", *where].append(cpu)
            values["MemoryUtilization", *where].append(memory)
        return [
            {
                "MetricName": name,
                "Dimensions": [
                    {"Name": "ClusterName", "Value": cluster},
                    {"Name": "ServiceName", "Value": service},
                ],
                "Timestamp": now,
                "Value": value,
                "Unit": "Percent",
            }
            for (name, cluster, service), of_tasks in values.items()
            for value in of_tasks
        ]

    def _publish(self, client: CloudWatchClient, readings: list[MetricDatumTypeDef]) -> None:
        if not readings:
            return
        try:
            client.put_metric_data(Namespace=NAMESPACE, MetricData=readings)
        except (BotoCoreError, ClientError) as failed:
            _log.warning("CPU and memory did not reach CloudWatch: %s", failed)
