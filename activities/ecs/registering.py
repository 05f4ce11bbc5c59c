"""A new revision of a task definition: what is copied, pinned and marked as ours; and which releases and sizes a change may bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from activities.ecs.activities import EcsActivities
from activities.ecs.tasks import describe_service
from runbook_model.catalog.target import Target
from runbook_model.errors import PolicyError
from runbook_model.releases.capacity import TaskChange
from runbook_model.releases.release import Image, Release, ServiceState

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import (
        DescribeTaskDefinitionResponseTypeDef,
        RegisterTaskDefinitionRequestTypeDef,
        TaskDefinitionTypeDef,
    )

    from activities.aws.clients import AwsClients

CHANGE_TAG = "runbook:change"
"""Tag that says which run registered a task definition."""

NOT_REGISTERED = frozenset(
    {
        "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities",
        "registeredAt", "registeredBy", "deregisteredAt", "deleteRequestedAt",
    }
)  # fmt: skip
"""Members of a described task definition that RegisterTaskDefinition does not take."""

LOOKED_AT = 10
"""How many of a family's newest revisions are looked at for one of ours."""


def copy_of(
    described: DescribeTaskDefinitionResponseTypeDef, release: Release, run_id: str
) -> RegisterTaskDefinitionRequestTypeDef:
    """Write the registration of a copy with the release's images, pinned by digest where that is known."""
    old, tags = described["taskDefinition"], described.get("tags", [])
    request = {key: value for key, value in old.items() if key not in NOT_REGISTERED}
    images = {image.container: image for image in release.images}
    request["containerDefinitions"] = [
        {**container, "image": _pinned(container["image"], images[container["name"]])}
        for container in old["containerDefinitions"]
    ]
    request["tags"] = [
        *(tag for tag in tags if not tag.get("key", "").startswith(("aws:", "runbook:"))),
        {"key": CHANGE_TAG, "value": run_id},
        {"key": "runbook:from", "value": release.revision},
    ]
    return request  # type: ignore[return-value] # a described task definition, less what AWS adds, is a registration


def registered_by(
    ecs: ECSClient, family: str, run_id: str, same: Callable[[TaskDefinitionTypeDef], bool]
) -> DescribeTaskDefinitionResponseTypeDef | None:
    """Find the revision that a run registered, for which ``same`` holds: one run may register several in turn."""
    arns = ecs.list_task_definitions(familyPrefix=family, sort="DESC", maxResults=LOOKED_AT)[
        "taskDefinitionArns"
    ]
    for arn in arns:
        found = ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
        ours = {"key": CHANGE_TAG, "value": run_id} in found.get("tags", [])
        if ours and same(found["taskDefinition"]):
            return found
    return None


def images_of(definition: TaskDefinitionTypeDef | RegisterTaskDefinitionRequestTypeDef) -> dict[str, str]:
    """Return the images by container."""
    return {item["name"]: item["image"] for item in definition["containerDefinitions"]}


def _pinned(defined: str, wanted: Image) -> str:
    """Name the wanted image by digest where that is known, else as the release names it, which may be a git tag."""
    if wanted.digest is None:
        had = Image(container=wanted.container, name=defined).repository
        if wanted.repository != had:
            raise not_allowed(
                f"{wanted.name} is of another repository than {had}, which {wanted.container} runs"
            )
        return wanted.name
    if "@" in defined:
        return defined
    head, _, tag = defined.rpartition(":")
    name = head if head and "/" not in tag else defined
    return f"{name}@{wanted.digest}"


def check_belongs(
    clients: AwsClients, target: Target, task_definition: str, now: ServiceState | None = None
) -> None:
    """Let a task definition pass that is of the service's family, or that the service ran before.

    Raises:
        PolicyError: it is neither.
    """
    now = now or describe_service(clients, target)
    if _family(task_definition) == _family(now.task_definition):
        return
    ran = EcsActivities(clients).read_history(target).releases.values()
    if task_definition not in {release.task_definition for release in ran}:
        name = task_definition.rpartition("/")[2]
        raise not_allowed(
            f"{name} is no release of {target.key}: it is of another family, and never ran there"
        )


def check_size(target: Target, change: TaskChange, cpu: int | None, memory: int | None) -> None:
    """Let a size pass that the catalog names and that makes nothing smaller.

    Args:
        target: as the worker's catalog has it.
        change: what tasks shall get.
        cpu: CPU units that they have.
        memory: MB that they have.

    Raises:
        PolicyError: it is another.
    """
    pool = target.database.pool if target.database else None
    sizes = ((change.cpu, cpu, target.scale.cpu), (change.memory, memory, target.scale.memory))
    if any(wanted not in {None, has, max(has or 0, most)} for wanted, has, most in sizes):
        raise not_allowed(f"{change.summary} is not what scale.cpu and scale.memory of {target.key} allow")
    setting = (change.variable, change.value)
    if setting != (None, None) and (pool is None or setting != (pool.env, str(pool.size))):
        raise not_allowed(
            f"{change.variable}={change.value} is not the pool that the catalog names for {target.key}"
        )


def not_allowed(why: str) -> PolicyError:
    """Refuse a change that no plan of the product makes: certainly, nothing was sent."""
    error = PolicyError(why, fix="start a procedure with runbook start: it plans what the catalog allows")
    error.certainly_not_made = True
    return error


def _family(task_definition: str) -> str:
    return task_definition.rpartition("/")[2].partition(":")[0]
