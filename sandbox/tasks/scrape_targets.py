"""What Prometheus scrapes: the list of tasks, and figures under the names of cAdvisor, the blackbox exporter and postgres_exporter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.routing import Route

from sandbox.machine.tasks import TaskSpec
from sandbox.machine.wire import Connections, WireError, request
from sandbox.names import BLUE_GREEN_ENVIRONMENTS, ECS_ENVIRONMENTS, LOCAL, SERVICE
from sandbox.tasks.utilization import Usage

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from starlette.requests import Request

_KNOWN = {
    (environment.cluster, environment.ecs_service): (environment.service, environment.name)
    for environment in (*ECS_ENVIRONMENTS.values(), *BLUE_GREEN_ENVIRONMENTS.values())
} | {(LOCAL.project, SERVICE): (SERVICE, LOCAL.name)}

CONTAINERS_PATH = "/_sandbox/containers"

CPU_PERIOD_MICROSECONDS = 100_000
"""The kernel's accounting period; a quota of as much is one core."""

_LABELS = ("service", "environment", "cluster", "release", "task", "name")

_MIB = 1024 * 1024

PROBES_PATH = "/_sandbox/probes"

TIMEOUT_SECONDS = 0.8
"""Shorter than Prometheus waits for us."""

DATABASES_PATH = "/_sandbox/databases"

CONNECT_SECONDS = 2

SESSIONS = """
    SELECT datname, coalesce(state, ''), count(*) FROM pg_stat_activity WHERE datname IS NOT NULL GROUP BY 1, 2
"""

SETTINGS = ("max_connections", "superuser_reserved_connections")

_TARGET = ("service", "environment")


class ScrapeTargets:
    """A file in Prometheus's file_sd format."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._tasks: dict[str, TaskSpec] = {}
        self._write()

    def add(self, address: str, spec: TaskSpec) -> None:
        """Have a task scraped."""
        self._tasks[address] = spec
        self._write()

    def remove(self, address: str) -> None:
        """Have a task scraped no more; Prometheus then marks its series stale."""
        if self._tasks.pop(address, None) is not None:
            self._write()

    def _write(self) -> None:
        groups = [
            {"targets": [address], "labels": labels_of(spec)} for address, spec in sorted(self._tasks.items())
        ]
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(groups, indent=1))
        draft.replace(self.file)  # at once: Prometheus never sees half a list


def labels_of(spec: TaskSpec) -> dict[str, str]:
    """Return the labels of a task's series; ``instance`` is its address, set by Prometheus."""
    service, environment = _KNOWN.get((spec.cluster, spec.service), (spec.service, spec.cluster))
    return {
        "service": service,
        "environment": environment,
        "cluster": spec.cluster,
        "release": spec.task_definition,
        "task": spec.task_id,
    }


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

    async def collect() -> bytes:
        return generate_latest(registry)

    return _scraped(CONTAINERS_PATH, collect)


def _scraped(path: str, collect: Callable[[], Awaitable[bytes]]) -> Route:
    async def show(_: Request) -> Response:
        return Response(await collect(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Route(path, show, methods=["GET"])


def probe_route(addresses: Mapping[str, str]) -> Route:
    """Return the route that Prometheus scrapes; it probes at each scrape.

    Args:
        addresses: environment -> ``host:port`` of the service's load balancer.
    """
    registry = CollectorRegistry()
    success = Gauge(
        "probe_success", "Whether /health answered.", ["service", "environment"], registry=registry
    )
    started: set[str] = set()

    async def probe(environment: str, address: str) -> None:
        answers = await _answers(address)
        if answers or environment in started:  # what has not started yet is not down
            started.add(environment)
            success.labels(SERVICE, environment).set(answers)

    async def collect() -> bytes:
        await asyncio.gather(*(probe(*item) for item in addresses.items()))
        return generate_latest(registry)

    return _scraped(PROBES_PATH, collect)


async def _answers(address: str) -> bool:
    async with Connections(address) as connections:
        try:
            answer = await connections.exchange(request("GET", "/health", address), TIMEOUT_SECONDS)
        except (WireError, TimeoutError):
            return False
        return answer.status == 200


class Database:
    """A connection that stays open, as an exporter's does; a broken one is created again at the next look."""

    def __init__(self, environment: str, dsn_of: Callable[[str], str]) -> None:
        self.environment = environment
        self._dsn_of = dsn_of
        self._connection: psycopg.Connection | None = None

    def read(self) -> tuple[list[tuple[str, str, int]], dict[str, int]] | None:
        """Return the sessions by database and state, and the settings; None when it cannot be asked."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._dsn_of(self.environment),
                    autocommit=True,
                    connect_timeout=CONNECT_SECONDS,
                    application_name="postgres_exporter",
                    options="-c log_statement=none",
                )
            sessions = self._connection.execute(SESSIONS).fetchall()
            settings = self._connection.execute(
                "SELECT name, setting::int FROM pg_settings WHERE name = ANY(%s)", [list(SETTINGS)]
            ).fetchall()
        except psycopg.Error:
            self.close()
            return None
        return sessions, dict(settings)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection = None


class DatabaseMetrics:
    """What an exporter for each environment's database would tell."""

    def __init__(self, environments: Iterable[str], dsn_of: Callable[[str], str]) -> None:
        """Prepare it.

        Args:
            environments: those that have a database.
            dsn_of: the DSN of an environment's database, once it runs.
        """
        self._databases = [Database(environment, dsn_of) for environment in environments]
        self._lock = asyncio.Lock()

    @property
    def route(self) -> Route:
        """The route that Prometheus scrapes."""

        async def collect() -> bytes:
            async with self._lock:
                return await asyncio.to_thread(self._collect)

        return _scraped(DATABASES_PATH, collect)

    def close(self) -> None:
        """Hang up everywhere."""
        for database in self._databases:
            database.close()

    def _collect(self) -> bytes:
        registry = CollectorRegistry()
        up = Gauge("pg_up", "Whether the database could be asked.", _TARGET, registry=registry)
        count = Gauge(
            "pg_stat_activity_count", "Sessions.", [*_TARGET, "datname", "state"], registry=registry
        )
        settings = {
            name: Gauge(f"pg_settings_{name}", "A setting.", _TARGET, registry=registry) for name in SETTINGS
        }
        for database in self._databases:
            found = database.read()
            up.labels(SERVICE, database.environment).set(found is not None)
            for datname, state, sessions in found[0] if found else ():
                count.labels(SERVICE, database.environment, datname, state).set(sessions)
            for name, value in found[1].items() if found else ():
                settings[name].labels(SERVICE, database.environment).set(value)
        return generate_latest(registry)
