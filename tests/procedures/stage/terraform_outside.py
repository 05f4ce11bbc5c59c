"""The small outside world with a Terraform module that owns the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporalio import activity

from activities.terraform.activities import TerraformApply
from activities.terraform.run import TerraformApplied
from runbook_model.catalog.service_policies import Terraform
from runbook_model.errors import CutOffApplyError, RunbookError, StalePlanError
from runbook_model.releases.terraform_plans import (
    AttributeChange,
    ResourceChange,
    TerraformPlan,
    TerraformWish,
)
from tests.procedures.stage.outside import Outside, release

if TYPE_CHECKING:
    from runbook_model.catalog.target import Target
    from runbook_model.releases.release import Release

DEFINITION, SERVICE = "aws_ecs_task_definition.shop", "aws_ecs_service.shop"


@dataclass
class TerraformOutside(Outside):
    """One service whose module takes an image tag; each apply registers a new revision."""

    strategy: str = "terraform"
    applied: str = "1.2.0"
    """The tag of the last apply."""
    serial: int = 1
    """Of the state; a plan of an older one is stale."""
    skip_destroy: bool = False
    tag_moved: bool = False
    """Whether tags stand for other images than those that ran, which nobody knows yet."""
    deploys: bool = True
    """False: the module ignores changes of the service's task definition."""
    also_lowers: tuple[AttributeChange, ...] = ()
    """What the module would take next to the release."""
    somebody_deploys: bool = False
    """Whether another release is deployed over what an apply deployed, before anybody looks."""
    more_changes: tuple[str, ...] = ()
    """Addresses that the way back would change too."""
    cut_off: list[str] = field(default_factory=list)
    """Where the next applies are cut off: ``before`` or ``after`` the service was updated."""
    state: str = "shop"
    """Names the state of the module."""
    moves: list[str] = field(default_factory=list)
    """Somebody applies these tags, one before each apply of ours."""

    @property
    def target(self) -> Target:
        return super().target.model_copy(update={"terraform": Terraform(directory="/infra/shop")})

    @activity.defn
    async def plan_terraform(self, wish: TerraformWish) -> TerraformPlan:
        await self._called("plan_terraform")
        tag = wish.variables["image_tag"]
        if tag == self.applied:
            return TerraformPlan(
                directory="/infra/shop", variables=wish.variables, hash=f"{tag} {self.serial}", empty=True,
                state=self.state,
            )  # fmt: skip
        before, gone = self.current, () if self.skip_destroy else (self.current.task_definition,)
        image = AttributeChange(
            path="container_definitions[0].image", before=f'"shop:{self.applied}"', after=f'"shop:{tag}"'
        )
        resources = (
            ResourceChange(address=DEFINITION, action="replace", attributes=(image,)),
            ResourceChange(address=SERVICE, action="update", attributes=self.also_lowers),
        )
        back = self.more_changes if tag == "1.2.0" else ()
        return TerraformPlan(
            directory="/infra/shop",
            variables=wish.variables,
            hash=f"{before.revision} {self.applied} {tag} {self.serial}",
            resources=resources,
            addresses=(DEFINITION, SERVICE, *back),
            deregisters=gone,
            state=self.state,
        )

    @activity.defn
    async def apply_terraform(self, change: TerraformApply) -> TerraformApplied:
        await self._called("apply_terraform")
        tag = change.variables["image_tag"]
        if change.fence:
            self._fenced(change.fence)
        if self.moves:
            self.applied, self.serial = self.moves.pop(0), self.serial + 1
        if not change.hash.endswith(f" {self.serial}"):
            raise _certainly_not_made(StalePlanError("the plan is stale")).to_application_error()
        cut_off = self.cut_off.pop(0) if self.cut_off else None
        self.serial += 1
        if cut_off == "before":
            raise CutOffApplyError("an apply was cut off").to_application_error()
        self.applied = tag
        if self.deploys:
            self.deployed(release(20) if self.somebody_deploys else self._registered(tag))
        self._changed("apply_terraform", f"apply {tag}")
        if cut_off == "after":
            raise CutOffApplyError("an apply was cut off").to_application_error()
        return TerraformApplied(detail="Apply complete!")

    def _registered(self, tag: str) -> Release:
        """A new revision with the image that the tag stands for."""
        new = release(10 + self.serial, tag)
        known = {image.name: image for item in self.history for image in item.release.images}
        if self.tag_moved:
            return new
        return new.model_copy(update={"images": tuple(known.get(item.name, item) for item in new.images)})

    @property
    def activities(self) -> list[object]:
        return [*super().activities, self.plan_terraform, self.apply_terraform]


def _certainly_not_made(error: RunbookError) -> RunbookError:
    error.certainly_not_made = True
    return error
