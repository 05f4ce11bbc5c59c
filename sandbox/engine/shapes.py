"""What the engine reports about its containers, in the real one's shapes."""

from __future__ import annotations

import hashlib
import os
import platform
import time

import psutil

from sandbox.engine.container import Container
from sandbox.engine.model import NEVER, moment
from sandbox.machine.tasks import digest_of
from sandbox.names import SERVICE

Document = dict[str, object]

API_VERSION = "1.47"
_MIB = 1024 * 1024


def version() -> Document:
    """Say what the engine is."""
    return {
        "Platform": {"Name": "the sandbox's simulated Docker engine"},
        "Version": API_VERSION,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": "1.24",
        "Os": platform.system().lower(),
        "Arch": platform.machine(),
        "KernelVersion": platform.release(),
    }


def listed(container: Container) -> Document:
    """Report about one container in a list."""
    spec, state = container.spec, container.state
    port = spec.address.rpartition(":")[2]
    return {
        "Id": container.id,
        "Names": [f"/{spec.name}"],
        "Image": spec.image,
        "ImageID": _digest(spec.image),
        "Command": " ".join(spec.program.argv),
        "Created": container.created // 1_000_000_000,
        "Ports": [{"IP": "127.0.0.1", "PrivatePort": int(port), "PublicPort": int(port), "Type": "tcp"}]
        if state.pid
        else [],
        "Labels": spec.labels,
        "State": state.status,
        "Status": _status(container),
        "HostConfig": {"NetworkMode": "host"},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    }


def inspected(container: Container) -> Document:
    """Tell everything of one container."""
    spec, state = container.spec, container.state
    policy, _, most = spec.policy.partition(":")
    return {
        "Id": container.id,
        "Created": moment(container.created),
        "Path": spec.program.argv[0],
        "Args": list(spec.program.argv[1:]),
        "State": _state(container),
        "Image": _digest(spec.image),
        "Name": f"/{spec.name}",
        "RestartCount": state.restarts,
        "Platform": platform.system().lower(),
        "HostConfig": {
            "NetworkMode": "host",
            "RestartPolicy": {"Name": policy, "MaximumRetryCount": int(most or 0)},
            "Memory": spec.memory * _MIB,
            "NanoCpus": round(spec.cores * 1e9),
            "CpuPeriod": 0,
            "CpuQuota": 0,
        },
        "Mounts": [],
        "Config": {
            "Hostname": container.id[:12],
            "User": spec.program.user or "",
            "Tty": False,
            "Env": [f"{name}={value}" for name, value in spec.environment.items()],
            "Cmd": list(spec.program.argv),
            "Image": spec.image,
            "Labels": spec.labels,
            "StopSignal": spec.program.stop_signal.name,
        },
        "NetworkSettings": {"Networks": {}},
    }


def statistics(container: Container, before: Document | None = None) -> Document:
    """Measure what a container uses; one that does not run uses nothing."""
    processes = container.processes
    user = system = memory = 0.0
    for process in processes:
        try:
            times, used = process.cpu_times(), process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        user, system, memory = user + times.user, system + times.system, memory + used
    nothing = {"cpu_usage": {"total_usage": 0}, "system_cpu_usage": 0, "online_cpus": 0}
    return {
        "name": f"/{container.spec.name}",
        "id": container.id,
        "read": moment(time.time_ns()) if processes else NEVER,
        "preread": before["read"] if before else NEVER,
        "pids_stats": {"current": len(processes)} if processes else {},
        "num_procs": 0,
        "cpu_stats": {
            "cpu_usage": {
                "total_usage": round((user + system) * 1e9),
                "usage_in_usermode": round(user * 1e9),
                "usage_in_kernelmode": round(system * 1e9),
            },
            "system_cpu_usage": round(sum(psutil.cpu_times()) * 1e9),
            "online_cpus": os.cpu_count() or 1,
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
        },
        "precpu_stats": before["cpu_stats"] if before else nothing,
        "memory_stats": {
            "usage": round(memory),
            "limit": container.spec.memory * _MIB,
            "stats": {"inactive_file": 0},
        }
        if processes
        else {},
        "blkio_stats": {},
        "networks": {},
    }


def _state(container: Container) -> Document:
    state = container.state
    return {
        "Status": state.status,
        "Running": state.status in {"running", "restarting"},
        "Paused": False,
        "Restarting": state.status == "restarting",
        "OOMKilled": state.out_of_memory,
        "Dead": False,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": "",
        "StartedAt": moment(state.started),
        "FinishedAt": moment(state.finished),
        "Health": {"Status": container.health, "FailingStreak": 0, "Log": []},
    }


def _status(container: Container) -> str:
    """Write a container's state as people read it in ``docker ps``."""
    state = container.state
    if state.status == "running":
        return f"Up {_seconds_since(state.started)} seconds ({container.health})"
    if state.status == "created":
        return "Created"
    word = "Restarting" if state.status == "restarting" else "Exited"
    return f"{word} ({state.exit_code}) {_seconds_since(state.finished)} seconds ago"


def _seconds_since(nanoseconds: int | None) -> int:
    return (time.time_ns() - (nanoseconds or 0)) // 1_000_000_000


def _digest(image: str) -> str:
    name, _, tag = image.partition(":")
    return digest_of(tag) if name == SERVICE else "sha256:" + hashlib.sha256(image.encode()).hexdigest()
