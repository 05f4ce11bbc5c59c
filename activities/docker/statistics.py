"""CPU and memory of containers, as the Docker engine measures them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from runbook_model.containers import Use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from activities.aws.clients import Clients
    from runbook_model.containers import Container

APART = timedelta(seconds=1)
"""Between the two readings that CPU is told from: a counter says nothing by itself."""
GIVEN_BACK = ("inactive_file", "total_inactive_file")
"""File cache that the kernel gives back when it is needed: cgroup 2's name, and cgroup 1's."""


def read_statistics(clients: Clients, containers: Sequence[Container]) -> tuple[Use, ...]:
    """Measure what running containers use; blocks for a moment.

    Raises:
        OutsideError: the engine cannot be read, or a container is gone.
    """
    running = [one for one in containers if one.state == "running"]
    if not running:
        return ()
    with clients.engine("read the containers' statistics") as engine:
        limits = {one.id: engine.api.inspect_container(one.id)["HostConfig"] for one in running}
        first = {one.id: _once(engine.api, one.id) for one in running}
        time.sleep(APART.total_seconds())
        second = {one.id: _once(engine.api, one.id) for one in running}
    return tuple(use_of(one.name, first[one.id], second[one.id], limits[one.id]) for one in running)


def use_of(name: str, first: Mapping[str, Any], second: Mapping[str, Any], limits: Mapping[str, Any]) -> Use:
    """Tell what a container uses from two readings of its counters."""
    memory = second.get("memory_stats") or {}
    details = memory.get("stats") or {}
    cache = next((details[key] for key in GIVEN_BACK if key in details), 0)
    return Use(
        name=name,
        cores=_cores(first, second),
        cores_limit=_cores_limit(second, limits),
        memory=max(0, memory.get("usage", 0) - cache),
        memory_limit=memory.get("limit", 0),
    )


def _once(api: Any, container: str) -> dict[str, Any]:
    statistics: dict[str, Any] = api.stats(container, stream=False, one_shot=True)
    return statistics


def _cores(first: Mapping[str, Any], second: Mapping[str, Any]) -> float | None:
    """Return CPU seconds a second; None where a counter began anew, or nothing was counted."""
    used = _cpu_nanoseconds(second) - _cpu_nanoseconds(first)
    took = (_read_at(second) - _read_at(first)).total_seconds()
    return None if used < 0 or took <= 0 else used / 1e9 / took


def _cpu_nanoseconds(statistics: Mapping[str, Any]) -> int:
    total: int = statistics["cpu_stats"]["cpu_usage"]["total_usage"]
    return total


def _read_at(statistics: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(statistics["read"])


def _cores_limit(statistics: Mapping[str, Any], limits: Mapping[str, Any]) -> float:
    """Return the container's own limit, else the machine's cores."""
    if limits.get("NanoCpus"):
        return float(limits["NanoCpus"]) / 1e9
    if limits.get("CpuQuota", 0) > 0:
        return float(limits["CpuQuota"]) / (limits.get("CpuPeriod") or 100_000)
    cpu = statistics["cpu_stats"]
    return float(cpu.get("online_cpus") or len(cpu["cpu_usage"].get("percpu_usage") or ()) or 1)
