"""What the tasks' processes use, for Prometheus, under the names that cAdvisor gives it on a real container host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.routing import Route

from sandbox.scrape_targets import labels_of
from sandbox.utilization import Usage

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from starlette.requests import Request


PATH = "/_sandbox/containers"
CPU_PERIOD_MICROSECONDS = 100_000
"""The kernel's accounting period; a quota of as much is one core."""
_LABELS = ("service", "environment", "cluster", "release", "task", "name")
_MIB = 1024 * 1024


class Containers(Collector):
    """Reads every task's process again at each scrape."""

    def __init__(self, usages: Callable[[], Iterable[Usage]]) -> None:
        self._usages = usages

    def collect(self) -> Iterator[Metric]:
        """Return what each task that runs uses, and what it may use."""
        cpu = CounterMetricFamily("container_cpu_usage_seconds", "CPU time used.", labels=_LABELS)
        gauges = {
            name: GaugeMetricFamily(name, words, labels=_LABELS)
            for name, words in (
                ("container_memory_usage_bytes", "Memory used."),
                ("container_spec_memory_limit_bytes", "Memory that may be used."),
                ("container_spec_cpu_quota", "CPU microseconds that may be used in a period."),
                ("container_spec_cpu_period", "Length of a period in microseconds."),
            )
        }
        for used in self._usages():
            labels = [({"name": used.spec.container} | labels_of(used.spec))[label] for label in _LABELS]
            cpu.add_metric(labels, used.cpu_seconds)
            for gauge, value in zip(gauges.values(), _values(used), strict=True):
                gauge.add_metric(labels, value)
        yield cpu
        yield from gauges.values()


def _values(used: Usage) -> tuple[float, float, float, float]:
    quota = used.spec.cpu / 1024 * CPU_PERIOD_MICROSECONDS
    return used.memory_bytes, used.spec.memory * _MIB, quota, CPU_PERIOD_MICROSECONDS


def container_route(usages: Callable[[], Iterable[Usage]]) -> Route:
    """Return the route that Prometheus scrapes; usages are read again at each scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Containers(usages))

    async def show(_: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Route(PATH, show, methods=["GET"])
