"""Words for a release that is put back by Terraform: choose the tag, apply the plan, find the deployment that came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities
    from activities.ecs.changes import Deployed, EcsChanges, ForceDeployment
    from runbook_model.release import Judgement
    from runbook_model.reports import Ending, Outcome
    from workflows.decisions.terraform import (
        TerraformRollback,
        rollback_by_terraform,
        takes_more,
        terraform_tag,
    )
    from workflows.remedies.deploying import mark
    from workflows.remedies.terraforming import (
        apply_all,
        apply_back,
        nobody_deployed,
        plan_with_terraform,
    )

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.release import Image, Release, ReleaseHistory
    from workflows.decisions.rollback_plan import RollbackPlan
    from workflows.page.page import Page

    Placed = tuple[TerraformRollback, Deployed]


async def through_terraform(
    page: Page, target: Target, history: ReleaseHistory, chosen: RollbackPlan
) -> RollbackPlan | Ending:
    """Turn the choice of a release into a plan of Terraform's, where the catalog wants that."""
    if target.rollback.strategy != "terraform" or target.terraform is None:
        return chosen
    tag = terraform_tag(history, chosen.after)
    if isinstance(tag, Ending):
        return tag
    terraform = await plan_with_terraform(page, target, {target.terraform.image_variable: tag})
    needs_yes = chosen.needs_yes or takes_more(terraform)
    chosen = chosen.model_copy(update={"needs_yes": needs_yes})
    return rollback_by_terraform(target, history, chosen, terraform)


async def put_back_by_terraform(
    page: Page, target: Target, plan: TerraformRollback
) -> Placed | Ending | None:
    """Apply the plan and find the deployment that came of it; None when the plan was stale and must be made again."""
    if superseded := await nobody_deployed(page, target, plan):
        return superseded
    if plan.loses_its_source:
        await mark(page, target, plan.before, Judgement.BAD)
    refused = await apply_all(page, target, plan, lambda: _undo(page, target, plan))
    if isinstance(refused, Ending):
        return refused
    return None if refused else await _find_deployment(page, target, plan)


async def _find_deployment(page: Page, target: Target, plan: TerraformRollback) -> Placed | Ending:
    """Find what Terraform deployed; where it made no new deployment of the right image, force one."""
    history = await page.read("Look which deployment Terraform made", EcsActivities.read_history, target)
    runs, primary = history.current, history.service.primary
    if plan.tag not in {image.tag for image in runs.images}:
        applied = f"Terraform applied {plan.tag}, but "
        if runs.task_definition == plan.fence.task_definition:
            why = f"the service runs {runs.name} as before: the module does not decide what runs (ignore_changes?)"
            return page.ended(Outcome.NOT_RECOVERED, f"{applied}{why}. A person must look now.")
        return page.ended(
            Outcome.SUPERSEDED, f"{applied}{runs.name} was deployed meanwhile; it is left alone."
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
    tag = next((image.tag for image in plan.before.images if image.tag), None)
    if tag is None:
        return f"could not undo: {plan.before.name} has no image tag that Terraform could be told"
    return await apply_back(page, target, plan.terraform, dict.fromkeys(plan.terraform.variables, tag))


def _images(planned: Release, runs: Release) -> tuple[Image, ...]:
    known = {image.name: image for image in planned.images}
    return tuple(known.get(image.name, image) for image in runs.images)
