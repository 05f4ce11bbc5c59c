"""Describes services and tasks: lists are read to the last page, within a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from activities.ecs.reading import (
    read_service_state,
)
from runbook_model.catalog.catalog import Target
from runbook_model.errors import InputError, UnreachableError
from runbook_model.release import ServiceState
from runbook_model.text.durations import format_duration

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        TaskTypeDef,
    )

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
    with clients.naming_errors(f"describe the service {target.ecs_service}"):
        answer = clients.ecs(target.account).describe_services(
            cluster=target.cluster, services=[target.ecs_service]
        )
    if not answer["services"]:
        raise InputError(
            f"cluster {target.cluster} has no service {target.ecs_service}",
            fix="correct cluster or ecs_service in the catalog",
        )
    return read_service_state(answer["services"][0])


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
