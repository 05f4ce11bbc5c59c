"""A new revision of a task definition, made from one that is there: what is copied, what is pinned, what marks it as ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from activities.ecs.belonging import not_allowed
from runbook_model.release import Image, Release

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import (
        DescribeTaskDefinitionResponseTypeDef,
        RegisterTaskDefinitionRequestTypeDef,
        TaskDefinitionTypeDef,
    )


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
