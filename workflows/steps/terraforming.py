"""Words for what a page does through Terraform: plan, apply exactly that plan, find the deployment it made, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.ecs import EcsActivities
    from activities.ecs_changes import Deployed, EcsChanges, ForceDeployment
    from activities.models import Judgement
    from activities.rollout import Phase
    from activities.terraform import TerraformActivities, TerraformApply
    from activities.terraform_plans import TerraformPlan, TerraformWish
    from workflows.decisions.endings import cause_of
    from workflows.decisions.terraform import (
        TerraformRollback,
        by_hand,
        goes_beyond,
        rollback_by_terraform,
        terraform_tag,
    )
    from workflows.messages import Ending, Outcome
    from workflows.steps.deploying import await_steady, mark
    from workflows.steps.running import APPLY, PLAN, How

if TYPE_CHECKING:
    from collections.abc import Callable

    from activities.catalog import Target
    from activities.models import Release, ReleaseHistory
    from activities.terraform_run import TerraformApplied
    from workflows.decisions.rollback_plan import RollbackPlan
    from workflows.steps.page import Page

    Placed = tuple[TerraformRollback, Deployed]

CUT_OFF = "An apply was cut off half-way; this is what is left of it."


async def through_terraform(
    page: Page, target: Target, history: ReleaseHistory, chosen: RollbackPlan
) -> RollbackPlan | Ending:
    """Turn the choice of a release into a plan of Terraform's, where the catalog wants that."""
    if target.rollback.strategy != "terraform" or target.terraform is None:
        return chosen
    tag = terraform_tag(history, chosen.after)
    if isinstance(tag, Ending):
        return tag
    terraform = await _plan(page, target, {target.terraform.image_variable: tag})
    return rollback_by_terraform(target, history, chosen, terraform)


async def put_back_by_terraform(
    page: Page, target: Target, plan: TerraformRollback
) -> Placed | Ending | None:
    """Apply the plan and find the deployment that came of it; None when the plan was stale and must be made again."""
    service = await page.read("Look that nothing changed", EcsActivities.read_service, target)
    if service.fence != plan.fence:
        running = service.task_definition.rpartition("/")[2]
        return page.ended(Outcome.SUPERSEDED, f"{running} was deployed meanwhile; it is left alone.")
    if plan.loses_its_source:
        await mark(page, target, plan.before, Judgement.BAD)
    left = plan
    while refused := await _apply(page, target, left):
        if refused == "StalePlanError" and left is plan:
            return None
        rest = await _agree_to_the_rest(page, target, plan)
        if isinstance(rest, Ending):
            return rest
        if rest.terraform.empty:
            break
        left = rest
    return await _find_deployment(page, target, plan)


async def _plan(page: Page, target: Target, variables: dict[str, str]) -> TerraformPlan:
    wish = TerraformWish(target=target, variables=variables)
    return await page.read("Plan with Terraform", TerraformActivities.plan_terraform, wish, how=PLAN)


async def _apply(page: Page, target: Target, plan: TerraformRollback) -> str | None:
    """Apply a plan; returns the error's name where people must agree anew."""
    try:
        await page.change(
            f"Apply exactly this plan: {plan.terraform.told}",
            _APPLY,
            _order(target, plan.terraform),
            action="terraform apply",
            before=plan.before.name,
            after=plan.after.name,
            undo=lambda: _undo(page, target, plan),
            how=_how(page),
        )
    except ActivityError as error:
        cause = cause_of(error)
        if cause and cause.type in {"StalePlanError", "CutOffApplyError"}:
            return cause.type
        raise
    return None


async def _agree_to_the_rest(
    page: Page, target: Target, plan: TerraformRollback
) -> TerraformRollback | Ending:
    """Plan what an apply that was cut off left to do; nobody's earlier yes counts for it."""

    async def rest() -> TerraformRollback | Ending:
        service = await page.read("Read what runs now", EcsActivities.read_service, target)
        terraform = await _plan(page, target, plan.terraform.variables)
        again = {"terraform": terraform, "essence": terraform.hash, "fence": service.fence}
        left = plan.model_copy(update={**again, "needs_yes": CUT_OFF, "calls": plan.calls})
        page.record.planned(left)
        return left

    first = await rest()
    if isinstance(first, Ending) or first.terraform.empty:
        return first
    return await page.checkpoint(first, target, "Apply the rest?", rest)


async def _find_deployment(page: Page, target: Target, plan: TerraformRollback) -> Placed | Ending:
    """Find what Terraform deployed; where it made no new deployment of the right image, force one."""
    history = await page.read("Look which deployment Terraform made", EcsActivities.read_history, target)
    runs, primary = history.current, history.service.primary
    if plan.tag not in {image.tag for image in runs.images}:
        return page.ended(
            Outcome.NOT_RECOVERED,
            f"Terraform applied {plan.tag}, but the service runs {runs.name}: the module does not decide what runs "
            "(ignore_changes?), or somebody deployed meanwhile. A person must look now.",
        )
    # What was known of the release's images holds for the new revision too, until it is seen to run others.
    placed = plan.model_copy(update={"after": runs.model_copy(update={"images": _images(plan.after, runs)})})
    if primary and primary.id != plan.fence.primary:
        current = history.service.service_deployment
        return placed, Deployed(
            deployment=primary.id,
            task_definition=primary.task_definition,
            service_deployment=current if current != plan.fence.service_deployment else None,
            at=workflow.now(),
        )
    forced = await page.change(
        f"Terraform made no new deployment: force one of {runs.name}",
        EcsChanges.force_deployment,
        ForceDeployment(target=target, fence=history.service.fence),
        action="UpdateService",
        before=runs.name,
        after=f"{runs.name}, fresh tasks",
    )
    return placed, forced


async def _undo(page: Page, target: Target, plan: TerraformRollback) -> str:
    """Plan the way back and apply it, if it touches nothing but what the way there touched."""
    tag = next((image.tag for image in plan.before.images if image.tag), None)
    if tag is None:
        return f"could not undo: {plan.before.name} has no image tag that Terraform could be told"
    back = await _plan(page, target, dict.fromkeys(plan.terraform.variables, tag))
    if back.empty:
        return "nothing to undo: Terraform has nothing to change back"
    if more := goes_beyond(back, plan.terraform):
        return f"could not undo: Terraform would also change {', '.join(more[:5])}; by hand: {by_hand(back)}"
    service = await page.read("Read what runs now", EcsActivities.read_service, target)
    await page.restore("Apply the way back", _APPLY, _order(target, back), how=_how(page))
    now = await page.read("Look which deployment came of it", EcsActivities.read_service, target)
    if now.primary is None or now.fence == service.fence:
        return "undone"
    deployed = Deployed(
        deployment=now.primary.id, task_definition=now.task_definition, at=workflow.now(),
        service_deployment=now.service_deployment,
    )  # fmt: skip
    rollout = await await_steady(page, target, "Wait until it runs again", deployed)
    return "undone" if rollout.phase is Phase.STEADY else f"could not undo: {rollout.detail}"


def _images(planned: Release, runs: Release) -> Any:
    known = {image.name: image for image in planned.images}
    return tuple(known.get(image.name, image) for image in runs.images)


def _order(target: Target, terraform: TerraformPlan) -> TerraformApply:
    run_id = workflow.info().run_id
    return TerraformApply(target=target, variables=terraform.variables, hash=terraform.hash, run_id=run_id)


def _how(page: Page) -> How:
    return How(**{**APPLY, "task_queue": page.watch_queue})


# A page's changes are written as plain functions; that this one is awaited by its worker makes no difference to it.
_APPLY = cast("Callable[[Any, TerraformApply], TerraformApplied]", TerraformActivities.apply_terraform)
