"""A compose project as the Docker engine reports it: containers, logs, resource use, and whether they have settled."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runbook_model.catalog.target import Target
from runbook_model.containers import (
    LOOP,
    AwaitedService,
    Container,
    ContainerFence,
    ProjectRead,
    Settled,
    Use,
)
from runbook_model.errors import InputError

if TYPE_CHECKING:
    from docker import DockerClient

    from activities.docker.engine import Engine

PROJECT = "com.docker.compose.project"

SERVICE = "com.docker.compose.service"

ONE_OFF = "com.docker.compose.oneoff"
"""``True`` on what ``docker compose run`` left behind: no part of the service."""

DEPENDS_ON = "com.docker.compose.depends_on"

NEVER = "0001-01-01"
"""How the engine writes the time of what has not happened."""


def read_project(engine: Engine, target: Target, *, service: str | None = None) -> ProjectRead:
    """Read every container of the target's compose project; blocks.

    Args:
        engine: the Docker engine.
        target: whose project it is.
        service: one that has to be there; the target's own unless set.

    Raises:
        InputError: no such project, or no such service in it; the message lists those that are there.
        OutsideError: the engine cannot be read.
    """
    wanted = service or target.compose_service
    with engine.client(f"read the containers of {target.compose_project or target.key}") as docker:
        if not target.compose_project:
            raise InputError(_unnamed(target, docker))
        found = docker.containers.list(
            all=True, filters={"label": f"{PROJECT}={target.compose_project}"}, ignore_removed=True
        )
        containers = tuple(
            read_container(item.attrs) for item in found if _labels(item.attrs).get(ONE_OFF) != "True"
        )
        if not containers:
            raise InputError(
                f'the Docker engine has no containers of a compose project "{target.compose_project}"; there are: '
                f"{_projects(docker)}",
                fix="correct compose.project in the catalog, or start it with docker compose up -d",
            )
    project = ProjectRead(
        project=target.compose_project,
        service=wanted,
        containers=tuple(sorted(containers, key=lambda container: (container.service, container.name))),
        at=datetime.now(UTC),
    )
    if not project.own:
        raise InputError(
            f'compose project "{target.compose_project}" has no container of a service "{wanted}"; there are: '
            f"{', '.join(project.services)}",
            fix=f"correct compose_service in the catalog, or create it with docker compose up -d {wanted}",
        )
    return project


def read_container(attrs: Mapping[str, Any]) -> Container:
    """Read what the engine reports about one container."""
    state, labels = attrs["State"], _labels(attrs)
    return Container(
        id=attrs["Id"],
        name=attrs["Name"].removeprefix("/"),
        service=labels.get(SERVICE, ""),
        image=attrs["Config"].get("Image", ""),
        digest=_digest(attrs.get("Image", "")),
        state=state["Status"],
        health=_health(state),
        exit_code=state.get("ExitCode", 0),
        out_of_memory=state.get("OOMKilled", False),
        restarts=attrs.get("RestartCount", 0),
        started=_moment(state.get("StartedAt", "")),
        finished=_moment(state.get("FinishedAt", "")),
        needs=tuple(
            part.partition(":")[0] for part in labels.get(DEPENDS_ON, "").split(",") if part.partition(":")[0]
        ),
    )


def _health(state: Mapping[str, Any]) -> str:
    said: str = (state.get("Health") or {}).get("Status") or ""
    return "" if said == "none" else said


def _labels(attrs: Mapping[str, Any]) -> dict[str, str]:
    return attrs["Config"].get("Labels") or {}


def _digest(image: str) -> str:
    return image if not image or ":" in image else f"sha256:{image}"


def _moment(text: str) -> datetime | None:
    return None if not text or text.startswith(NEVER) else datetime.fromisoformat(text).astimezone(UTC)


def _unnamed(target: Target, docker: DockerClient) -> str:
    return (
        f"the catalog names no compose project of {target.environment}; the Docker engine has: {_projects(docker)}: "
        f'add compose = {{ project = "…" }} to [environments.{target.environment}]'
    )


def _projects(docker: DockerClient) -> str:
    rows = docker.api.containers(all=True, filters={"label": PROJECT})
    return ", ".join(sorted({row["Labels"][PROJECT] for row in rows})) or "none"


LINES = 5000
"""The newest lines of a container that are read."""

BYTES = 4 * 1024 * 1024


def read_lines(
    engine: Engine, project: ProjectRead, since: datetime, until: datetime
) -> tuple[list[tuple[int, str]], bool]:
    """Read time in milliseconds and text of what the service's containers wrote, and whether that is all; blocks.

    Raises:
        OutsideError: the engine cannot be read.
    """
    found: list[tuple[int, str]] = []
    complete = True
    with engine.client(f"read the logs of {project.service}") as docker:
        for container in project.own:
            lines, all_of_them = _lines_of(docker, container, since, until)
            found += lines
            complete = complete and all_of_them
    return sorted(found), complete


def _lines_of(
    docker: DockerClient, container: Container, since: datetime, until: datetime
) -> tuple[list[tuple[int, str]], bool]:
    written = docker.containers.get(container.id).logs(
        stream=True,
        follow=False,
        timestamps=True,
        tail=LINES,
        since=since.timestamp(),
        until=until.timestamp(),
    )
    raw = b""
    for piece in written:
        raw += piece
        if len(raw) > BYTES:
            break
    lines = list(_dated(raw.decode(errors="replace")))
    return lines, len(raw) <= BYTES and len(lines) < LINES


def _dated(text: str) -> Iterator[tuple[int, str]]:
    """Split the engine's time from each line; a line without one belongs to none and is left out."""
    for line in text.splitlines():
        moment, _, words = line.partition(" ")
        try:
            at = datetime.fromisoformat(moment)
        except ValueError:
            continue
        yield round(at.astimezone(UTC).timestamp() * 1000), words


def judge_settled(
    awaited: AwaitedService, containers: Sequence[Container] | None, wording: str, now: datetime
) -> Settled | None:
    """Judge one look; None while they may still come up.

    Args:
        awaited: the containers that were restarted, and until when they are waited for.
        containers: the service's containers now; None when the engine did not answer.
        wording: what was seen, for people.
        now: when it was seen.
    """
    if containers is None:
        return _out_of_time(awaited, wording, now)
    found = {container.id: container for container in containers}
    for fence in awaited.containers:
        if why := _will_not(fence, found.get(fence.id)):
            return Settled(ok=False, detail=why, at=now)
    if all(found[fence.id].serves for fence in awaited.containers):
        return Settled(ok=True, detail=wording, at=now)
    return _out_of_time(awaited, wording, now)


def _will_not(fence: ContainerFence, now: Container | None) -> str | None:
    if now is None:
        return f"container {fence.id[:12]} is gone: somebody removed it meanwhile"
    if now.restarts >= fence.restarts + LOOP:
        return f"it ends again and again: {now.summary}"
    if now.ended and now.restarts == fence.restarts:
        return f"it ended again: {now.summary}"
    return f"its health check fails: {now.summary}" if now.health == "unhealthy" else None


def _out_of_time(awaited: AwaitedService, wording: str, now: datetime) -> Settled | None:
    return Settled(ok=False, detail=f"not up in time: {wording}", at=now) if now >= awaited.deadline else None


APART = timedelta(seconds=1)
"""Between the two readings that CPU is distinguished from: a counter says nothing by itself."""

GIVEN_BACK = ("inactive_file", "total_inactive_file")
"""File cache that the kernel gives back when it is needed: cgroup 2's name, and cgroup 1's."""


def read_statistics(engine: Engine, containers: Sequence[Container]) -> tuple[Use, ...]:
    """Measure what running containers use; blocks for a moment.

    Raises:
        OutsideError: the engine cannot be read, or a container is gone.
    """
    running = [container for container in containers if container.state == "running"]
    if not running:
        return ()
    with engine.client("read the containers' statistics") as docker:
        limits = {item.id: docker.api.inspect_container(item.id)["HostConfig"] for item in running}
        first = {item.id: _once(docker.api, item.id) for item in running}
        time.sleep(APART.total_seconds())
        second = {item.id: _once(docker.api, item.id) for item in running}
    return tuple(use_of(item.name, first[item.id], second[item.id], limits[item.id]) for item in running)


def use_of(name: str, first: Mapping[str, Any], second: Mapping[str, Any], limits: Mapping[str, Any]) -> Use:
    """Say what a container uses from two readings of its counters."""
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
    """Return CPU seconds a second; None where a counter started again, or nothing was counted."""
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
