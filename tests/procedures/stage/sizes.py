"""What the tasks of the small outside world have, and a module of Terraform's that decides it where a test says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporalio import activity

from activities.ecs.task_sizes import RegisterSized
from activities.terraform.activities import TerraformApply
from activities.terraform.reading import SENSITIVE
from activities.terraform.run import TerraformApplied
from runbook_model.catalog.service_policies import Terraform
from runbook_model.errors import CutOffApplyError, StalePlanError
from runbook_model.releases.release import Release
from runbook_model.releases.terraform_plans import (
    AttributeChange,
    ResourceChange,
    TerraformPlan,
    TerraformWish,
)
from runbook_model.sizes import ContainerSize, SizeQuery, TaskSize
from tests.procedures.stage.outside import ARN, Outside, release

if TYPE_CHECKING:
    from runbook_model.catalog.target import Target

DIRECTORY = "/infra/shop"
DEFINITION = "aws_ecs_task_definition.shop"
SIZES = {"cpu": 256, "memory": 512, "pool": 10}
VARIABLES = {"cpu": "cpu", "memory": "memory", "db_pool_size": "pool"}
"""The module's variables, and which size each of them is."""


@dataclass
class SizedOutside(Outside):
    """One service whose tasks have sizes."""

    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Sizes by revision; those that are not named have the smallest."""
    owned: bool = False
    """Whether a module of Terraform's owns the service."""
    module: dict[str, int] = field(default_factory=dict)
    """What the module was last applied with; by default the smallest."""
    ignores: bool = False
    """Whether the module ignores what its tasks have."""
    also_lowers: tuple[str, int, int] | None = None
    """Another number that the next plan would lower: path, before, after."""
    hides: bool = False
    """Whether the module's containers are sensitive as a whole."""
    serial: int = 1
    moves: int = 0
    """How often somebody changes the state before our next applies."""
    cut_off: list[str] = field(default_factory=list)

    @property
    def target(self) -> Target:
        terraform = Terraform(directory=DIRECTORY) if self.owned else None
        return super().target.model_copy(update={"terraform": terraform})

    def size(self, revision: str | None = None) -> dict[str, int]:
        """What the tasks of a revision have; of what runs unless set."""
        return SIZES | self.sizes.get(revision or self.current.revision, {})

    @activity.defn
    async def read_task_size(self, query: SizeQuery) -> TaskSize:
        await self._called("read_task_size")
        size = self.size(query.task_definition.rpartition("/")[2])
        setting = str(size["pool"]) if query.variable else None
        app = ContainerSize(name="app", setting=setting)
        return TaskSize(
            task_definition=query.task_definition, cpu=size["cpu"], memory=size["memory"], fargate=True,
            containers=(app,),
        )  # fmt: skip

    @activity.defn
    async def register_sized(self, order: RegisterSized) -> Release:
        await self._called("register_sized")
        change, was = order.change, self.size(order.release.revision)
        self.sizes["shop:50"] = {
            "cpu": change.cpu or was["cpu"],
            "memory": change.memory or was["memory"],
            "pool": int(change.value or was["pool"]),
        }
        self._changed("register_sized", f"register {self.sizes['shop:50']}")
        return order.release.model_copy(update={"task_definition": f"{ARN}:task-definition/shop:50"})

    @activity.defn
    async def plan_terraform(self, wish: TerraformWish) -> TerraformPlan:
        await self._called("plan_terraform")
        now, wanted = SIZES | self.module, self._wanted(wish.variables)
        tag = wish.variables["image_tag"]
        differing = [name for name in SIZES if now[name] != wanted[name]]
        changes = [self._change(name, now[name], wanted[name]) for name in differing]
        if self.also_lowers:
            changes.append(self._change(*self.also_lowers))
        if self.hides:
            changes.append(AttributeChange(path="container_definitions", before=SENSITIVE, after=SENSITIVE))
        if tag not in {image.tag for image in self.current.images}:
            changes.append(self._change("containers[0].image", "shop:old", f"shop:{tag}"))
        plan = TerraformPlan(
            directory=DIRECTORY, variables=wish.variables, hash=f"{sorted(wanted.items())} {self.serial}",
            resources=(ResourceChange(address=DEFINITION, action="replace", attributes=tuple(changes)),),
            addresses=(DEFINITION,), empty=not changes,
        )  # fmt: skip
        return plan.model_copy(update={"resources": (), "addresses": ()}) if plan.empty else plan

    @activity.defn
    async def apply_terraform(self, change: TerraformApply) -> TerraformApplied:
        await self._called("apply_terraform")
        if self.moves:
            self.moves, self.serial = self.moves - 1, self.serial + 1
        if not change.hash.endswith(f" {self.serial}"):
            error = StalePlanError("the plan is stale")
            error.certainly_not_made = True
            raise error.to_application_error()
        cut_off = self.cut_off.pop(0) if self.cut_off else None
        self.serial += 1
        if cut_off != "before":
            self._apply(change)
        if cut_off:
            raise CutOffApplyError("an apply was cut off").to_application_error()
        return TerraformApplied(detail="Apply complete!")

    def _apply(self, change: TerraformApply) -> None:
        self.module = self._wanted(change.variables)
        new = release(10 + self.serial, change.variables["image_tag"])
        new = new.model_copy(update={"images": (self.fresh or self.current).images})
        self.sizes[new.revision] = self.size() if self.ignores else self.module
        self.deployed(new)
        self._changed("apply_terraform", f"apply {self.module}")

    def _wanted(self, variables: dict[str, str]) -> dict[str, int]:
        return SIZES | {VARIABLES[name]: int(value) for name, value in variables.items() if name in VARIABLES}

    def _change(self, path: str, before: object, after: object) -> AttributeChange:
        words = (f'"{value}"' if isinstance(value, str) else f"{value}" for value in (before, after))
        old, new = words
        return AttributeChange(path=path, before=old, after=new)

    @property
    def activities(self) -> list[object]:
        own = [
            name
            for name, thing in vars(SizedOutside).items()
            if hasattr(thing, "__temporal_activity_definition")
        ]
        return [*super().activities, *(getattr(self, name) for name in own)]
