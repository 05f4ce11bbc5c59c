"""Words for what a page does through Terraform: plan, apply exactly that plan, agree to what an apply that was cut off left.

What a plan is for, and which deployment comes of it, is each remedy's own: see ``terraform_rollback`` and ``sizing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities
    from activities.ecs.changes import Deployed
    from activities.terraform.activities import TerraformActivities, TerraformApply
    from runbook_model.reports import Ending, Outcome
    from runbook_model.terraform_plans import TerraformPlan, TerraformWish
    from workflows.decisions.endings import cause_of
    from workflows.decisions.terraform import by_hand, goes_beyond
    from workflows.page.options import APPLY, PLAN, ActivityOptions
    from workflows.remedies.deploying import await_steady
    from workflows.remedies.undoing import fate_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from activities.terraform.run import TerraformApplied
    from runbook_model.catalog.catalog import Target
    from runbook_model.release import Fence
    from runbook_model.reports import PlannedCall
    from workflows.page.page import Page
    from workflows.page.run_loop import Undo

CUT_OFF = "An apply was cut off half-way; this is what is left of it."
STALE = "stale"
"""The plan is no longer what Terraform would do, and nothing was applied: it must be made again."""


class ByTerraform(Protocol):
    """A plan that Terraform carries out."""

    @property
    def terraform(self) -> TerraformPlan:
        """What it would do."""
        ...

    @property
    def fence(self) -> Fence:
        """The state of the service that it was made on."""
        ...

    @property
    def calls(self) -> tuple[PlannedCall, ...]:
        """What people are shown."""
        ...

    @property
    def was(self) -> str:
        """What is there before, in words."""
        ...

    @property
    def shall_be(self) -> str:
        """What is wanted, in words."""
        ...

    def model_copy(self, *, update: dict[str, Any]) -> Self:
        """Return it with other fields."""
        ...


SomeChange = TypeVar("SomeChange", bound=ByTerraform)


async def plan_with_terraform(page: Page, target: Target, variables: dict[str, str]) -> TerraformPlan:
    """Ask Terraform what it would change with these values."""
    wish = TerraformWish(target=target, variables=variables)
    return await page.read("Plan with Terraform", TerraformActivities.plan_terraform, wish, options=PLAN)


async def nobody_deployed(page: Page, target: Target, plan: ByTerraform) -> Ending | None:
    """Look once more, just before the apply, that the service is as the plan saw it."""
    service = await page.read("Look that nothing changed", EcsActivities.read_service, target)
    if service.fence == plan.fence:
        return None
    running = service.task_definition.rpartition("/")[2]
    return page.ended(Outcome.SUPERSEDED, f"{running} was deployed meanwhile; it is left alone.")


async def apply_all(page: Page, target: Target, plan: SomeChange, undo: Undo) -> Ending | str | None:
    """Apply the plan; returns None once all of it is, an ending, or ``STALE``."""
    left = plan
    while refused := await _apply(page, target, left, undo):
        if refused == "StalePlanError" and left is plan:
            return STALE
        rest = await _agree_to_the_rest(page, target, plan)
        if isinstance(rest, Ending):
            return rest
        if rest.terraform.empty:
            break
        left = rest
    return None


async def _apply(page: Page, target: Target, plan: ByTerraform, undo: Undo) -> str | None:
    """Apply a plan; returns the error's name where people must agree anew."""
    try:
        await page.change(
            f"Apply exactly this plan: {plan.terraform.told}",
            _APPLY,
            _order(target, plan.terraform, plan.fence),
            action="terraform apply",
            before=plan.was,
            after=plan.shall_be,
            undo=undo,
            options=_options(page),
        )
    except ActivityError as error:
        cause = cause_of(error)
        if cause and cause.type in {"StalePlanError", "CutOffApplyError"}:
            return cause.type
        raise
    return None


async def _agree_to_the_rest(page: Page, target: Target, plan: SomeChange) -> SomeChange | Ending:
    """Plan what an apply that was cut off left to do; nobody's earlier yes counts for it."""

    async def rest() -> Any:
        service = await page.read("Read what runs now", EcsActivities.read_service, target)
        terraform = await plan_with_terraform(page, target, plan.terraform.variables)
        again = {"terraform": terraform, "essence": terraform.hash, "fence": service.fence}
        left: Any = plan.model_copy(update={**again, "needs_yes": CUT_OFF, "calls": plan.calls})
        page.record.planned(left)
        return left

    first = await rest()
    if isinstance(first, Ending) or first.terraform.empty:
        return cast("SomeChange | Ending", first)
    agreed: SomeChange | Ending = await page.checkpoint(first, target, "Apply the rest?", rest)
    return agreed


async def apply_back(page: Page, target: Target, done: TerraformPlan, back: dict[str, str]) -> str:
    """Plan the way back and apply it, if it touches nothing but what the way there touched; says what came of it."""
    way_back = await plan_with_terraform(page, target, back)
    if way_back.empty:
        return "nothing to undo: Terraform has nothing to change back"
    if more := goes_beyond(way_back, done):
        return (
            f"could not undo: Terraform would also change {', '.join(more[:5])}; by hand: {by_hand(way_back)}"
        )
    service = await page.read("Read what runs now", EcsActivities.read_service, target)
    if theirs := await _deployed_meanwhile(page, target, done, back):
        return f"could not undo: {theirs} was deployed meanwhile"
    await page.restore(
        "Apply the way back", _APPLY, _order(target, way_back, service.fence), options=_options(page)
    )
    now = await page.read("Look which deployment came of it", EcsActivities.read_service, target)
    if now.primary is None or now.fence == service.fence:
        return "undone"
    deployed = Deployed(
        deployment=now.primary.id, task_definition=now.task_definition, at=workflow.now(),
        service_deployment=now.service_deployment,
    )  # fmt: skip
    waiting = await_steady(page, target, "Wait until it runs again", deployed)
    return await fate_of(page, target, waiting)


async def _deployed_meanwhile(
    page: Page, target: Target, done: TerraformPlan, back: dict[str, str]
) -> str | None:
    """Name the release that runs, where it is neither what was put there nor what the way back brings."""
    if target.terraform is None:
        return None
    history = await page.read("Look whose release runs", EcsActivities.read_history, target)
    variable = target.terraform.image_variable
    ours = {done.variables.get(variable), back.get(variable)}
    return None if ours & {image.tag for image in history.current.images} else history.current.name


def _order(target: Target, terraform: TerraformPlan, fence: Fence) -> TerraformApply:
    return TerraformApply(
        target=target,
        variables=terraform.variables,
        hash=terraform.hash,
        run_id=workflow.info().run_id,
        fence=fence,
    )


def _options(page: Page) -> ActivityOptions:
    return ActivityOptions(**{**APPLY, "task_queue": page.watch_queue})


# A page's changes are written as plain functions; that this one is awaited by its worker makes no difference to it.
_APPLY = cast("Callable[[Any, TerraformApply], TerraformApplied]", TerraformActivities.apply_terraform)
