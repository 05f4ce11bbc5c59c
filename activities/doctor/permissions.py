"""What the worker changes: whether it would be allowed to, without changing it. In a service's AWS, and where reviews go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from activities.autoscaling.activities import describe_scaling
from activities.doctor.looking import NotSetError, Question, Threads, WrongError, questions
from activities.doctor.service import NOT_ON_ECS
from activities.doctor.simulator import Change, Simulator
from activities.ecs.tasks import describe_service
from activities.review.activities import S3
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.catalog import Target
from runbook_model.checks import Place
from runbook_model.release import ServiceState

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients


class PermissionQuestions:
    """The question about what may be changed."""

    def __init__(self, clients: AwsClients, threads: Threads, target: Target) -> None:
        self._clients = clients
        self._threads = threads
        self._target = target

    def all(self) -> list[Question]:
        """Return it."""
        return questions({"permissions": self.simulate})

    async def simulate(self) -> str:
        """Ask IAM about every change that a procedure may make of the service as it runs now."""
        if self._target.platform != "ecs":
            raise NotSetError(NOT_ON_ECS)
        return await self._threads.run(self._simulate)

    def _simulate(self) -> str:
        target = self._target
        service = describe_service(self._clients, target)
        here = _account_part(service.arn)
        changes = [*self._of_service(service, here), *self._of_roles(service, here)]
        simulator = Simulator(self._clients, target.account)
        return simulator.try_all(changes, target.region, f"{here}:cluster/{target.cluster}")

    def _of_service(self, service: ServiceState, here: str) -> Iterator[Change]:
        target = self._target
        deployment = f"{here}:service-deployment/{target.cluster}/{target.ecs_service}/*"
        yield Change("ecs:UpdateService", service.arn)
        # AWS asks for it on both.
        yield Change("ecs:StopServiceDeployment", service.arn)
        yield Change("ecs:StopServiceDeployment", service.service_deployment or deployment)
        if target.approvals.signed:  # a scale-out leaves there whose yes it used up
            yield Change("ecs:TagResource", service.arn)
        if service.task_definition:
            yield Change("ecs:RegisterTaskDefinition", service.task_definition)
            yield Change("ecs:TagResource", service.task_definition)
        for scaled in describe_scaling(self._clients, target):
            if arn := scaled.get("ScalableTargetARN"):
                yield Change("application-autoscaling:RegisterScalableTarget", arn)
        if target.database and target.database.rds_instance:
            database = here.replace(":ecs:", ":rds:")
            yield Change("rds:RebootDBInstance", f"{database}:db:{target.database.rds_instance}")

    def _of_roles(self, service: ServiceState, here: str) -> Iterator[Change]:
        """Name the roles that a release hands to its tasks when it is registered again."""
        if not service.task_definition:
            return
        with self._clients.naming_errors("describe the task definition that runs"):
            found = self._clients.ecs(self._target.account).describe_task_definition(
                taskDefinition=service.task_definition
            )["taskDefinition"]
        _, partition, _, _, account = here.split(":")
        for role in sorted({found.get("executionRoleArn", ""), found.get("taskRoleArn", "")} - {""}):
            full = role if role.startswith("arn:") else f"arn:{partition}:iam::{account}:role/{role}"
            yield Change("iam:PassRole", full)


class ReviewQuestions:
    """The question about the shelf that RUNBOOK_REVIEWS names; a bucket is written to by the worker's own identity."""

    def __init__(self, clients: AwsClients, threads: Threads, place: Place, shelf: str | None) -> None:
        self._clients = clients
        self._threads = threads
        self._place = place
        self._shelf = shelf

    def all(self) -> list[Question]:
        """Return it."""
        return questions({"reviews": self.look_at_shelf})

    async def look_at_shelf(self) -> str:
        """Look at a folder, and ask IAM about a bucket; nothing is written."""
        if not self._shelf:
            raise NotSetError("RUNBOOK_REVIEWS is not set: reviews are written by runbook review alone")
        return await self._threads.run(self._try, self._shelf)

    def _try(self, shelf: str) -> str:
        bucket = S3.fullmatch(shelf)
        if bucket is None:
            return _look_at_folder(Path(shelf))
        own = self._clients.s3().meta
        key = "/".join(part for part in (bucket["prefix"], self._place.environment, "*") if part)
        put = Change("s3:PutObject", f"arn:{own.partition}:s3:::{bucket['bucket']}/{key}")
        simulator = Simulator(self._clients, Account(region=self._place.where.region))
        return simulator.try_all([put], own.region_name)


def _look_at_folder(folder: Path) -> str:
    there = next(item for item in (folder, *folder.absolute().parents) if item.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise WrongError(
            f"the worker cannot write into {there}", f"let it, or correct RUNBOOK_REVIEWS = {folder}"
        )
    return f"{there} can be written to"


def _account_part(arn: str) -> str:
    """Return an ARN up to its account: ``arn:aws:ecs:eu-west-1:123456789012``."""
    return arn.rsplit(":", 1)[0]
