"""Whether the worker would be allowed its changes: IAM's policy simulator is asked, as they cannot be tried without making them.

It weighs the policies of the worker's role or user. What only a real call meets is not weighed: policies of buckets, and
conditions on what IAM does not get here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from activities.autoscaling.activities import describe_scaling
from activities.doctor.looking import NotSetError, WrongError
from activities.ecs.tasks import describe_service
from activities.review.activities import S3
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.target import Target
from runbook_model.checks import POLICY, Place
from runbook_model.releases.release import ServiceState

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import (
        ContextEntryTypeDef,
        EvaluationResultTypeDef,
        ResourceSpecificResultTypeDef,
    )

    from activities.aws.clients import AwsClients

TASKS = "ecs-tasks.amazonaws.com"

ALLOWED, EXPLICIT = "allowed", "explicitDeny"


class Change(NamedTuple):
    """An action, and the ARN of what it is done to."""

    action: str
    resource: str


class Answer(NamedTuple):
    """What IAM says of a change; nothing where it leaves it out."""

    decision: str = ""
    missing: tuple[str, ...] = ()
    """Keys that policies have conditions on and that IAM did not get; also where another statement decided."""
    because: str = ""
    """Where a denial comes from, if not from there being no policy that allows it."""

    @property
    def is_sure(self) -> bool:
        """Whether nothing that IAM did not get could change it."""
        return bool(self.decision) and not self.missing


class Simulator:
    """Asks IAM about the identity that calls of an account are made by."""

    def __init__(self, clients: AwsClients, account: Account) -> None:
        self._clients = clients
        self._account = account

    def try_all(self, changes: Iterable[Change], region: str, cluster: str = "") -> str:
        """Say that the changes would be allowed.

        Args:
            changes: what is asked about.
            region: where they would be made.
            cluster: ARN of the cluster where they would be made, if in one.

        Raises:
            WrongError: one would be denied.
            NotSetError: the identity is none that IAM could simulate, or its policies ask for more than IAM is given.
            OutsideError: IAM does not answer, or not to the worker.
        """
        wanted, who = tuple(changes), self._identity()
        answers = self._ask(who, wanted, _context(region, cluster))
        refused = [item for item in wanted if answers[item].decision != ALLOWED]
        missing = sorted({key for item in refused or wanted for key in answers[item].missing})
        if denied := [item for item in refused if answers[item].is_sure]:
            explicit = any(answers[item].decision == EXPLICIT for item in denied)
            fix = f"{POLICY}, and let no other policy deny it" if explicit else POLICY
            raise WrongError(f"{who} may not {_listed(denied, answers)}", fix)
        if refused:
            why = f"because nobody gives it {', '.join(missing)}" if missing else "and does not say why"
            raise NotSetError(f"unknown: IAM's simulator cannot allow {_listed(refused, answers)}, {why}")
        dependencies = f"; conditions on {', '.join(missing)} are not weighed" if missing else ""
        actions = ", ".join(dict.fromkeys(item.action for item in wanted))
        return f"IAM's simulator allows {who} {actions}{dependencies}"

    def _identity(self) -> str:
        """Return the ARN of the role or user whose policies count."""
        if self._account.role:
            return self._account.role.role_arn
        with self._clients.naming_errors("ask AWS who the worker is"):
            arn = self._clients.sts(self._account).get_caller_identity()["Arn"]
        _, _, service, _, _, name = arn.split(":", 5)
        match service, name.split("/"):
            case "iam", ["user", *_]:
                return arn
            case "sts", ["assumed-role", role, *_]:
                # The session's ARN leaves the role's path out.
                with self._clients.naming_errors(f"look up the role {role}"):
                    return self._clients.iam(self._account).get_role(RoleName=role)["Role"]["Arn"]
        raise NotSetError(f"unknown: IAM cannot simulate {arn}; give the worker a role or a user of its own")

    def _ask(
        self, who: str, changes: tuple[Change, ...], context: list[ContextEntryTypeDef]
    ) -> dict[Change, Answer]:
        """Ask about every action on every resource: IAM has no shorter way to ask about some."""
        answers = dict.fromkeys(changes, Answer())
        pages = self._clients.iam(self._account).get_paginator("simulate_principal_policy")
        with self._clients.naming_errors("ask IAM's policy simulator"):
            for page in pages.paginate(
                PolicySourceArn=who,
                ActionNames=list(dict.fromkeys(item.action for item in changes)),
                ResourceArns=list(dict.fromkeys(item.resource for item in changes)),
                ContextEntries=context,
            ):
                for result in page["EvaluationResults"]:
                    for answer in result.get("ResourceSpecificResults", []):
                        change = Change(result["EvalActionName"], answer["EvalResourceName"])
                        answers[change] = _read(result, answer)
        return answers


def _context(region: str, cluster: str) -> list[ContextEntryTypeDef]:
    """Tell IAM what AWS would know of a call: policies are often narrowed by it."""
    known = {
        "aws:RequestedRegion": region,
        "iam:PassedToService": TASKS,
        "ecs:cluster": cluster,
        "application-autoscaling:service-namespace": "ecs",
        "application-autoscaling:scalable-dimension": "ecs:service:DesiredCount",
    }
    return [
        {"ContextKeyName": name, "ContextKeyType": "string", "ContextKeyValues": [value]}
        for name, value in known.items()
        if value
    ]


def _read(result: EvaluationResultTypeDef, answer: ResourceSpecificResultTypeDef) -> Answer:
    decision = answer["EvalResourceDecision"]
    by_organization = result.get("OrganizationsDecisionDetail", {})
    by_boundary = answer.get("PermissionsBoundaryDecisionDetail", {})
    if not by_organization.get("AllowedByOrganizations", True):
        because = " (a policy of the organization denies it)"
    elif decision == EXPLICIT:
        because = " (a policy denies it)"
    elif not by_boundary.get("AllowedByPermissionsBoundary", True):
        because = " (beyond its permissions boundary)"
    else:
        because = ""
    return Answer(decision, tuple(answer.get("MissingContextValues", ())), because)


def _listed(changes: Iterable[Change], answers: dict[Change, Answer]) -> str:
    """Name actions by what they are done to."""
    by_resource: dict[str, list[str]] = {}
    for change in changes:
        by_resource.setdefault(change.resource, []).append(f"{change.action}{answers[change].because}")
    return "; ".join(f"{', '.join(actions)} on {resource}" for resource, actions in by_resource.items())


def simulate_changes(clients: AwsClients, target: Target) -> str:
    """Ask IAM about every change that a procedure may make of a service on ECS as it runs now.

    Raises:
        NotSetError: nothing can be known.
        WrongError: a change would be denied.
    """
    service = describe_service(clients, target)
    here = service.arn.rsplit(":", 1)[0]  # arn:aws:ecs:eu-west-1:123456789012
    changes = [*_of_service(clients, target, service, here), *_of_roles(clients, target, service, here)]
    return Simulator(clients, target.account).try_all(
        changes, target.region, f"{here}:cluster/{target.cluster}"
    )


def _of_service(clients: AwsClients, target: Target, service: ServiceState, here: str) -> Iterator[Change]:
    deployment = f"{here}:service-deployment/{target.cluster}/{target.ecs_service}/*"
    yield Change("ecs:UpdateService", service.arn)
    # AWS asks for it on both.
    yield Change("ecs:StopServiceDeployment", service.arn)
    yield Change("ecs:StopServiceDeployment", service.service_deployment or deployment)
    if service.shifting and service.shifting.pauses:  # of the own rollback, where a person chooses that
        yield Change("ecs:ContinueServiceDeployment", service.service_deployment or deployment)
    if target.approvals.signed:  # a scale-out leaves there whose yes it used up
        yield Change("ecs:TagResource", service.arn)
    if service.task_definition:
        yield Change("ecs:RegisterTaskDefinition", service.task_definition)
        yield Change("ecs:TagResource", service.task_definition)
    for scaled in describe_scaling(clients, target):
        if arn := scaled.get("ScalableTargetARN"):
            yield Change("application-autoscaling:RegisterScalableTarget", arn)
    if target.database and target.database.rds_instance:
        database = here.replace(":ecs:", ":rds:")
        yield Change("rds:RebootDBInstance", f"{database}:db:{target.database.rds_instance}")


def _of_roles(clients: AwsClients, target: Target, service: ServiceState, here: str) -> Iterator[Change]:
    """Name the roles that a release hands to its tasks when it is registered again."""
    if not service.task_definition:
        return
    with clients.naming_errors("describe the task definition that runs"):
        found = clients.ecs(target.account).describe_task_definition(taskDefinition=service.task_definition)[
            "taskDefinition"
        ]
    _, partition, _, _, account = here.split(":")
    for role in sorted({found.get("executionRoleArn", ""), found.get("taskRoleArn", "")} - {""}):
        full = role if role.startswith("arn:") else f"arn:{partition}:iam::{account}:role/{role}"
        yield Change("iam:PassRole", full)


def look_at_shelf(clients: AwsClients, place: Place, shelf: str | None) -> str:
    """Look at the folder that RUNBOOK_REVIEWS names, or ask IAM about the bucket; nothing is written.

    A bucket is written to by the worker's own identity.

    Raises:
        NotSetError: it names none, or nothing can be known.
        WrongError: reviews could not be written there.
    """
    if not shelf:
        raise NotSetError("RUNBOOK_REVIEWS is not set: reviews are written by runbook review alone")
    bucket = S3.fullmatch(shelf)
    if bucket is None:
        return _look_at_folder(Path(shelf))
    own = clients.s3().meta
    key = "/".join(part for part in (bucket["prefix"], place.environment, "*") if part)
    put = Change("s3:PutObject", f"arn:{own.partition}:s3:::{bucket['bucket']}/{key}")
    return Simulator(clients, Account(region=place.where.region)).try_all([put], own.region_name)


def _look_at_folder(folder: Path) -> str:
    there = next(item for item in (folder, *folder.absolute().parents) if item.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise WrongError(
            f"the worker cannot write into {there}", f"let it, or correct RUNBOOK_REVIEWS = {folder}"
        )
    return f"{there} can be written to"
