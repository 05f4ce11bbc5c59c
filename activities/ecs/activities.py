"""Amazon ECS: read what runs and what ran before."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from temporalio import activity

from activities.ecs.reading import (
    balanced_containers,
    read_release,
    read_service_deployment,
    read_service_state,
)
from runbook_model.catalog.catalog import Target
from runbook_model.durations import format_duration
from runbook_model.errors import InputError, NotFoundError, RejectedError, UnreachableError
from runbook_model.fact import Fact
from runbook_model.release import UNDER_WAY, Release, ReleaseHistory, ServiceDeployment, ServiceState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_ecs.type_defs import ServiceDeploymentTypeDef, ServiceRevisionTypeDef, TaskTypeDef

    from activities.aws.clients import AwsClients

DEPLOYMENTS_READ = 20
"""How far back releases are looked for; one DescribeServiceDeployments call takes this many."""
REVISIONS_READ = 10
TASKS_AT_ONCE = 100
"""The most that ListTasks lists, and DescribeTasks describes, by one call."""
TASKS_READ_WITHIN = timedelta(seconds=20)
SCALED = "Scaling activity initiated"
"""How the reason of a task begins that ECS stopped because a deployment, or a smaller count, had no more use for it."""


class ReleaseQuery(Fact):
    """A release, as a person named it."""

    target: Target
    name: str
    """Revision, ``family:revision`` or ARN."""


class Releases(Fact):
    """Releases, newest first."""

    releases: tuple[Release, ...]


class Explanation(Fact):
    """Why tasks stopped or did not start."""

    stopped: tuple[str, ...]
    """Reasons of stopped tasks, newest first."""
    events: tuple[str, ...]


class EcsActivities:
    """Reads of ECS; each is safe to repeat."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    @activity.defn
    def read_service(self, target: Target) -> ServiceState:
        """Read the service with its deployments."""
        return describe_service(self._clients, target)

    @activity.defn
    def read_history(self, target: Target) -> ReleaseHistory:
        """Read what runs now and the service deployments before it, each with its release."""
        service = describe_service(self._clients, target)
        if not service.task_definition:
            return ReleaseHistory(service=service, current=Release(task_definition=""))
        ecs = self._clients.ecs(target.account)
        with self._clients.naming_errors("list the service's deployments"):
            listed = ecs.list_service_deployments(
                cluster=target.cluster, service=target.ecs_service, maxResults=DEPLOYMENTS_READ
            )["serviceDeployments"]
            arns = [brief["serviceDeploymentArn"] for brief in listed]
            found = (
                ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
                if arns
                else []
            )
        revisions = set(service.service_revisions)
        for one in found:
            revisions.update(source["arn"] for source in one.get("sourceServiceRevisions", []))
            revisions.update({one.get("targetServiceRevision", {}).get("arn", "")} - {""})
            revisions.update({one.get("rollback", {}).get("serviceRevisionArn", "")} - {""})
        releases = self._releases(target, service, revisions)
        return ReleaseHistory(
            service=service,
            current=self._current(target, service, releases, found),
            deployments=_newest_first(
                read_service_deployment(one, releases[arn])
                for one in found
                if (arn := one.get("targetServiceRevision", {}).get("arn", "")) in releases
            ),
            releases=releases,
        )

    @activity.defn
    def list_revisions(self, target: Target) -> Releases:
        """Read the newest ACTIVE revisions of the task definition's family, which may never have run."""
        service = describe_service(self._clients, target)
        if not service.task_definition:
            return Releases(releases=())
        family = service.task_definition.rpartition("/")[2].partition(":")[0]
        with self._clients.naming_errors(f"list the revisions of {family}"):
            arns = self._clients.ecs(target.account).list_task_definitions(
                familyPrefix=family, status="ACTIVE", sort="DESC", maxResults=REVISIONS_READ
            )["taskDefinitionArns"]
        return Releases(releases=tuple(self._release(target, service, arn) for arn in arns))

    @activity.defn
    def find_release(self, query: ReleaseQuery) -> Releases:
        """Look up a revision by its name, deregistered ones included; nothing when there is none."""
        name, service = query.name, describe_service(self._clients, query.target)
        if name.isdigit():
            family = service.task_definition.rpartition("/")[2].partition(":")[0]
            name = f"{family}:{name}"
        try:
            return Releases(releases=(self._release(query.target, service, name),))
        except (NotFoundError, RejectedError):
            return Releases(releases=())

    @activity.defn
    def explain_rollout(self, target: Target) -> Explanation:
        """Read why tasks stopped lately, and the service's newest events."""
        service = describe_service(self._clients, target)
        tasks = describe_tasks(self._clients, target, "STOPPED")
        newest = sorted(tasks, key=lambda task: str(task.get("stoppedAt", "")), reverse=True)
        reasons = [
            ": ".join(
                part
                for part in (
                    task["taskDefinitionArn"].rpartition("/")[2],
                    task.get("stoppedReason", ""),
                    *(container.get("reason", "") for container in task.get("containers", [])),
                )
                if part
            )
            for task in newest
            if not task.get("stoppedReason", "").startswith(SCALED)  # every deployment stops tasks so
        ]
        return Explanation(stopped=tuple(dict.fromkeys(reasons))[:10], events=service.events)

    def _current(
        self,
        target: Target,
        service: ServiceState,
        releases: dict[str, Release],
        found: Iterable[ServiceDeploymentTypeDef],
    ) -> Release:
        coming = [
            one.get("targetServiceRevision", {}).get("arn", "")
            for one in found
            if one.get("serviceDeploymentArn") == service.service_deployment
            and one.get("status") in UNDER_WAY
        ]
        # While a moved tag is being deployed, the old and the new revision name one task definition.
        running = [releases[arn] for arn in (*coming, *service.service_revisions) if arn in releases]
        ours = [release for release in running if release.task_definition == service.task_definition]
        return ours[0] if ours else self._release(target, service, service.task_definition)

    def _releases(self, target: Target, service: ServiceState, arns: set[str]) -> dict[str, Release]:
        ecs = self._clients.ecs(target.account)
        wanted = sorted(arns)
        revisions: list[ServiceRevisionTypeDef] = []
        with self._clients.naming_errors("describe the service's revisions"):
            for start in range(0, len(wanted), 20):
                batch = ecs.describe_service_revisions(serviceRevisionArns=wanted[start : start + 20])
                revisions.extend(batch["serviceRevisions"])
        found = {}
        for revision in revisions:
            # A task definition may have been deleted long ago: that must not keep the others from being read.
            with suppress(NotFoundError, RejectedError):
                release = self._release(target, service, revision["taskDefinition"], revision)
                found[revision["serviceRevisionArn"]] = release
        return found

    def _release(
        self,
        target: Target,
        service: ServiceState,
        task_definition: str,
        ran: ServiceRevisionTypeDef | None = None,
    ) -> Release:
        with self._clients.naming_errors(
            f"describe the task definition {task_definition.rpartition('/')[2]}"
        ):
            described = self._clients.ecs(target.account).describe_task_definition(
                taskDefinition=task_definition, include=["TAGS"]
            )
        return read_release(
            described,
            target.key,
            ran.get("containerImages", []) if ran else [],
            named=target.container,
            balanced=balanced_containers(ran.get("loadBalancers", []) if ran else []) or service.balanced,
        )


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
    give_up_at = time.monotonic() + TASKS_READ_WITHIN.total_seconds()
    tasks: list[TaskTypeDef] = []
    more: dict[str, str] = {}
    with clients.naming_errors(f"read the tasks of {target.ecs_service}"):
        while True:
            page = ecs.list_tasks(
                cluster=target.cluster,
                serviceName=target.ecs_service,
                desiredStatus=status,
                maxResults=TASKS_AT_ONCE,
                **more,  # type: ignore[arg-type] # its only key is nextToken
            )
            if arns := page["taskArns"]:
                tasks += ecs.describe_tasks(cluster=target.cluster, tasks=arns)["tasks"]
            if not (token := page.get("nextToken")):
                return tasks
            if time.monotonic() > give_up_at:
                took = format_duration(TASKS_READ_WITHIN)
                raise UnreachableError(
                    f"{target.ecs_service} has more {status.lower()} tasks than could be read in {took}"
                )
            more = {"nextToken": token}


def _newest_first(deployments: Iterable[ServiceDeployment]) -> tuple[ServiceDeployment, ...]:
    return tuple(sorted(deployments, key=lambda one: one.created_at, reverse=True))
