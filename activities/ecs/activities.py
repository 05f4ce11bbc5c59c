"""Amazon ECS: read what runs and what ran before."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.ecs.reading import (
    EVENT,
    balanced_containers,
    read_release,
    read_service_deployment,
)
from activities.ecs.tasks import AT_ONCE, batched, describe_service, describe_tasks, pages
from runbook_model.catalog.target import Target
from runbook_model.errors import NotFoundError, RejectedError
from runbook_model.fact import Fact
from runbook_model.releases.history import ReleaseHistory, ServiceDeployment
from runbook_model.releases.release import UNDER_WAY, Release, ServiceState
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        DescribeTaskDefinitionResponseTypeDef,
        ServiceDeploymentBriefTypeDef,
        ServiceDeploymentTypeDef,
        ServiceRevisionTypeDef,
    )

    from activities.aws.clients import AwsClients

DEPLOYMENTS_READ = 20
"""How far back releases are looked for; one DescribeServiceDeployments call takes this many."""

GOOD_ONES_READ = 5
"""Successful deployments that are read besides, where so many newer ones failed."""

REVISIONS_READ = 10

SEARCHED_FOR = timedelta(seconds=10)
"""How long a release is looked for among the family's revisions."""

SCALED = "Scaling activity initiated"
"""How the reason of a task starts that ECS stopped because a deployment, or a smaller count, had no more use for it."""


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
            arns = self._deployments(target)
            found = [
                deployment
                for some in batched(arns, DEPLOYMENTS_READ)
                for deployment in ecs.describe_service_deployments(serviceDeploymentArns=some)[
                    "serviceDeployments"
                ]
            ]
        revisions = set(service.service_revisions)
        for item in found:
            revisions.update(source["arn"] for source in item.get("sourceServiceRevisions", []))
            revisions.update({item.get("targetServiceRevision", {}).get("arn", "")} - {""})
            revisions.update({item.get("rollback", {}).get("serviceRevisionArn", "")} - {""})
        releases = self._releases(target, service, revisions)
        return ReleaseHistory(
            service=service,
            current=self._current(target, service, releases, found),
            deployments=_newest_first(
                read_service_deployment(item, releases[arn])
                for item in found
                if (arn := item.get("targetServiceRevision", {}).get("arn", "")) in releases
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
        """Look up a revision by its name, deregistered ones included, else the newest one that has an image of that name.

        Returns:
            it; nothing when there is none, or none was found in time.
        """
        name, service = query.name, describe_service(self._clients, query.target)
        family = service.task_definition.rpartition("/")[2].partition(":")[0]
        try:
            revision = f"{family}:{name}" if name.isdigit() else name
            return Releases(releases=(self._release(query.target, service, revision),))
        except (NotFoundError, RejectedError):
            return Releases(releases=self._by_image(query, service, family))

    def _by_image(self, query: ReleaseQuery, service: ServiceState, family: str) -> tuple[Release, ...]:
        ecs, until = self._clients.ecs(query.target.account), time.monotonic() + SEARCHED_FOR.total_seconds()
        with self._clients.naming_errors(f"list the revisions of {family}"):
            pages = ecs.get_paginator("list_task_definitions").paginate(
                familyPrefix=family, status="ACTIVE", sort="DESC"
            )
            for arn in (arn for page in pages for arn in page["taskDefinitionArns"]):
                found = self._release(query.target, service, arn)
                if found.has_image(query.name):
                    return (found,)
                if time.monotonic() > until:
                    break
        return ()

    def _deployments(self, target: Target) -> list[str]:
        """Name the service's newest deployments, and the newest successful ones where those are older."""
        ecs = self._clients.ecs(target.account)
        briefs: list[ServiceDeploymentBriefTypeDef] = []
        for more in pages(f"{target.ecs_service} has more deployments than"):
            page = ecs.list_service_deployments(
                cluster=target.cluster, service=target.ecs_service, maxResults=AT_ONCE, **more
            )
            briefs += page["serviceDeployments"]
            more["nextToken"] = page.get("nextToken", "")
        briefs.sort(key=lambda item: item["createdAt"], reverse=True)
        newest, older = briefs[:DEPLOYMENTS_READ], briefs[DEPLOYMENTS_READ:]
        good = [item for item in older if item.get("status") == "SUCCESSFUL"][:GOOD_ONES_READ]
        return [item["serviceDeploymentArn"] for item in (*newest, *good)]

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
        return Explanation(
            stopped=tuple(dict.fromkeys(excerpt(reason, EVENT) for reason in reasons))[:10],
            events=service.events,
        )

    def _current(
        self,
        target: Target,
        service: ServiceState,
        releases: dict[str, Release],
        found: Iterable[ServiceDeploymentTypeDef],
    ) -> Release:
        coming = [
            item.get("targetServiceRevision", {}).get("arn", "")
            for item in found
            if item.get("serviceDeploymentArn") == service.service_deployment
            and item.get("status") in UNDER_WAY
        ]
        alone = service.service_revisions if len(service.service_revisions) == 1 else ()
        if service.shifting and not coming and alone and alone[0] in releases:
            return releases[alone[0]]
        # While a moved tag is being deployed, the old and the new revision name one task definition.
        running = [releases[arn] for arn in (*coming, *service.service_revisions) if arn in releases]
        ours = [release for release in running if release.task_definition == service.task_definition]
        return ours[0] if ours else self._release(target, service, service.task_definition)

    def _releases(self, target: Target, service: ServiceState, arns: set[str]) -> dict[str, Release]:
        ecs = self._clients.ecs(target.account)
        revisions: list[ServiceRevisionTypeDef] = []
        with self._clients.naming_errors("describe the service's revisions"):
            for some in batched(sorted(arns), 20):
                revisions += ecs.describe_service_revisions(serviceRevisionArns=some)["serviceRevisions"]
        known = self._describe_each(target, {revision["taskDefinition"] for revision in revisions})
        return {
            revision["serviceRevisionArn"]: _release(target, service, known[name], revision)
            for revision in revisions
            if (name := revision["taskDefinition"]) in known
        }

    def _describe_each(
        self, target: Target, names: set[str]
    ) -> dict[str, DescribeTaskDefinitionResponseTypeDef]:
        """Describe each task definition once, however many deployments had it: restarts have one in common."""
        known = {}
        for name in sorted(names):
            # It may have been deleted long ago: that must not keep the others from being read.
            with suppress(NotFoundError, RejectedError):
                known[name] = self._describe(target, name)
        return known

    def _release(self, target: Target, service: ServiceState, task_definition: str) -> Release:
        return _release(target, service, self._describe(target, task_definition))

    def _describe(self, target: Target, task_definition: str) -> DescribeTaskDefinitionResponseTypeDef:
        with self._clients.naming_errors(
            f"describe the task definition {task_definition.rpartition('/')[2]}"
        ):
            return self._clients.ecs(target.account).describe_task_definition(
                taskDefinition=task_definition, include=["TAGS"]
            )


def _release(
    target: Target,
    service: ServiceState,
    described: DescribeTaskDefinitionResponseTypeDef,
    ran: ServiceRevisionTypeDef | None = None,
) -> Release:
    return read_release(
        described,
        target.key,
        ran.get("containerImages", []) if ran else [],
        named=target.container,
        balanced=balanced_containers(ran.get("loadBalancers", []) if ran else []) or service.balanced,
    )


def _newest_first(deployments: Iterable[ServiceDeployment]) -> tuple[ServiceDeployment, ...]:
    return tuple(sorted(deployments, key=lambda deployment: deployment.created_at, reverse=True))
