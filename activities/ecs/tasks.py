"""Services and tasks as ECS describes them: lists are read to the last page, within a time; those that stopped lately have reasons."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from activities.ecs.reading import read_service_state
from activities.runtime.fence import unread
from runbook_model.catalog.target import Target
from runbook_model.errors import InputError, OutsideError, UnreachableError
from runbook_model.measured.evidence import ReleaseStart, Restarts, TaskSeen
from runbook_model.measured.symptoms import TasksRead
from runbook_model.releases.release import ServiceState
from runbook_model.text.durations import format_duration
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerTypeDef, ServiceTypeDef, TaskTypeDef

    from activities.aws.clients import AwsClients

AT_ONCE = 100
"""The most that ListTasks and its like list, and DescribeTasks describes, by one call."""

READ_WITHIN = timedelta(seconds=20)
"""How long one list may take, however many pages it has."""


def describe_service(clients: AwsClients, target: Target) -> ServiceState:
    """Read one service.

    Raises:
        InputError: the cluster has no such service.
    """
    return read_service_state(describe_raw(clients, target))


def describe_raw(clients: AwsClients, target: Target) -> ServiceTypeDef:
    """Read one service as ECS describes it.

    Raises:
        InputError: the cluster has no such service.
    """
    with clients.naming_errors(f"describe the service {target.ecs_service}"):
        answer = clients.ecs(target.account).describe_services(
            cluster=target.cluster, services=[target.ecs_service]
        )
    if not answer["services"]:
        raise InputError(
            f"cluster {target.cluster} has no service {target.ecs_service}",
            fix="correct cluster or ecs_service in the catalog",
        )
    return answer["services"][0]


def describe_tasks(
    clients: AwsClients, target: Target, status: Literal["RUNNING", "STOPPED"]
) -> list[TaskTypeDef]:
    """Read all of the service's tasks that shall run or were stopped; ECS lists them in no order that it promises.

    Raises:
        OutsideError: ECS cannot be read, or lists more than can be read in time.
    """
    ecs = clients.ecs(target.account)
    tasks: list[TaskTypeDef] = []
    with clients.naming_errors(f"read the tasks of {target.ecs_service}"):
        for more in pages(f"{target.ecs_service} has more {status.lower()} tasks than"):
            page = ecs.list_tasks(
                cluster=target.cluster,
                serviceName=target.ecs_service,
                desiredStatus=status,
                maxResults=AT_ONCE,
                **more,
            )
            if arns := page["taskArns"]:
                tasks += ecs.describe_tasks(cluster=target.cluster, tasks=arns)["tasks"]
            more["nextToken"] = page.get("nextToken", "")
    return tasks


def pages(too_many: str) -> Iterator[dict[str, Any]]:
    """Hand out what asks for each page of a list; whoever reads one puts its ``nextToken`` in.

    Raises:
        UnreachableError: there are more than can be read in time.
    """
    until = time.monotonic() + READ_WITHIN.total_seconds()
    more: dict[str, Any] = {}
    yield more
    while more.get("nextToken"):
        if time.monotonic() > until:
            raise UnreachableError(f"{too_many} could be read in {format_duration(READ_WITHIN)}")
        yield more


def batched(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut names into batches that one call takes."""
    return (names[start : start + size] for start in range(0, len(names), size))


QUERY = "DescribeServices, ListTasks, DescribeTasks"

REASON = 300
"""Characters of a reason."""

ENDED_FROM_OUTSIDE = frozenset({0, 137, 143})
"""Exit codes that say nothing of a container by themselves: once one has ended, ECS ends the others of its task too."""

KEPT = 30
"""Stopped tasks, and tasks that run, that a reading holds at most."""

OLDEST = 10
"""So many of them are the first that stopped: they say when it started."""


def read_tasks(clients: AwsClients, target: Target, onset: ReleaseStart, now: datetime) -> TasksRead:
    """Read the service and its tasks; blocks. What cannot be read is in the answer.

    Raises:
        InputError: the cluster has no such service.
    """
    asked = TasksRead(
        quality="no-data", why="it does not run on ECS", source="ecs", query=QUERY, at=now, onset=onset
    )
    if target.platform != "ecs":
        return asked
    try:
        service = describe_service(clients, target)
        app = target.container or (service.balanced[0] if len(service.balanced) == 1 else None)
        tasks = fetch_tasks(clients, target, "RUNNING", app)
        stopped = fetch_tasks(clients, target, "STOPPED", app)
    except OutsideError as error:
        return unread(asked, error)
    kept = stopped[: KEPT - OLDEST] + stopped[KEPT - OLDEST :][-OLDEST:]
    seen = {"service": service, "tasks": tasks[:KEPT], "stopped": kept}
    return asked.answered(**seen)


def read_restarts(clients: AwsClients, target: Target, since: datetime, now: datetime) -> Restarts:
    """Count the tasks that ended by themselves since a moment; blocks. What cannot be read is in the answer."""
    asked = Restarts(
        quality="no-data",
        why="it does not run on ECS",
        source="ecs",
        query="ListTasks STOPPED, DescribeTasks",
        at=now,
    )
    if target.platform != "ecs":
        return asked
    try:
        stopped = fetch_tasks(clients, target, "STOPPED", target.container)
    except OutsideError as error:
        return unread(asked, error)
    ended = [task for task in stopped if task.failed and task.stopped and task.stopped >= since]
    found = {
        "count": len(ended),
        "out_of_memory": sum(task.out_of_memory for task in ended),
        "reasons": tuple(dict.fromkeys(task.reason for task in ended))[:10],
    }
    return asked.answered(**found)


def fetch_tasks(
    clients: AwsClients, target: Target, status: Literal["RUNNING", "STOPPED"], app: str | None = None
) -> tuple[TaskSeen, ...]:
    """Read the service's tasks that shall run or were stopped, newest first; blocks.

    Raises:
        OutsideError: ECS cannot be read.
    """
    seen = [read_task(task, app) for task in describe_tasks(clients, target, status)]
    return tuple(sorted(seen, key=_newest, reverse=True))


def read_task(task: TaskTypeDef, app: str | None = None) -> TaskSeen:
    """Read one task of DescribeTasks; where nothing else says which container ended it, the app's is taken."""
    containers = task.get("containers", [])
    blamed = _ended_by(containers, app)
    reasons = [
        task.get("stoppedReason", ""),
        *(f"container {item['name']} ended it" for item in blamed if item.get("name", app) != app),
        *(container.get("reason", "") for container in containers),
    ]
    codes = tuple(item["exitCode"] for item in blamed or containers if "exitCode" in item)
    return TaskSeen(
        task=task["taskArn"].rpartition("/")[2],
        release=task["taskDefinitionArn"].rpartition("/")[2],
        status=task["lastStatus"],
        health=task.get("healthStatus", "UNKNOWN"),
        started=task.get("startedAt"),
        stopped=task.get("stoppedAt"),
        stop_code=task.get("stopCode"),
        reason=excerpt(": ".join(dict.fromkeys(part for part in reasons if part)), REASON),
        exit_codes=codes,
    )


def _ended_by(containers: list[ContainerTypeDef], app: str | None) -> list[ContainerTypeDef]:
    """Name the container that ended its task: it has a reason of its own, or ended by itself; nothing if unknown."""
    with_reason = [container for container in containers if container.get("reason")]
    by_itself = [
        container for container in containers if container.get("exitCode", 0) not in ENDED_FROM_OUTSIDE
    ]
    apps = [container for container in containers if container.get("name") == app and "exitCode" in container]
    for found in (with_reason, by_itself):
        if found:
            return [item for item in found if item in apps] or found[:1]
    return apps


def _newest(task: TaskSeen) -> float:
    moment = task.stopped or task.started
    return moment.timestamp() if moment else 0.0
