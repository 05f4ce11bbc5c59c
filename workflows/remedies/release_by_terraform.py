"""A release that is put back by Terraform: choose the tag, apply the plan, find the deployment that came of it."""

from __future__ import annotations

from activities.ecs.activities import EcsActivities
from activities.ecs.changes import EcsChanges
from activities.ecs.orders import Deployed, ForceDeployment
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Image, Judgement, Release
from runbook_model.reports import Ending, Outcome, Undone, not_undone
from runbook_model.text.sentences import sentence
from workflows.decisions.rollback.plan import RollbackPlan
from workflows.decisions.terraform.rollback import (
    TerraformRollback,
    plain_tag,
    rollback_by_terraform,
    takes_more,
    terraform_tag,
    value_of_image,
)
from workflows.decisions.terraform.sizing import outside_scope, runs_value, started_past_terraform
from workflows.page.run import Run
from workflows.platforms.deployment import mark
from workflows.remedies.terraform import (
    apply_all,
    apply_back,
    deployed_by_terraform,
    end_if_deployed_meanwhile,
    plan_with_terraform,
)

Placed = tuple[TerraformRollback, Deployed]


async def through_terraform(run: Run, history: ReleaseHistory, chosen: RollbackPlan) -> RollbackPlan:
    """Turn the choice of a release into a plan of Terraform's, where the catalog wants that."""
    page, target = run.page, run.target
    if target.rollback.strategy != "terraform" or target.terraform is None:
        return chosen
    tag = page.unless_ending(terraform_tag(history, chosen.after))
    value = page.unless_ending(value_of_image(target, chosen.after, tag))
    terraform = await plan_with_terraform(run, {target.terraform.image_variable: value})
    page.unless_ending(outside_scope(target, history, chosen.after, terraform))
    needs_yes = chosen.needs_yes or started_past_terraform(history, terraform) or takes_more(terraform)
    agreed_to = chosen.model_copy(update={"needs_yes": needs_yes})
    return page.unless_ending(rollback_by_terraform(target, history, agreed_to, terraform))


async def put_back_by_terraform(run: Run, plan: TerraformRollback) -> Placed | None:
    """Apply the plan and find the deployment that came of it; None when the plan was stale and must be made again."""
    run.page.unless_ending(await run.page.locks.hold_state())
    await end_if_deployed_meanwhile(run, plan)
    if plan.loses_its_source:
        await mark(run, plan.before, Judgement.BAD)
    applied = await apply_all(run, plan, lambda: _undo(run, plan))
    return await _find_deployment(run, plan) if applied else None


async def _find_deployment(run: Run, plan: TerraformRollback) -> Placed:
    """Find what Terraform deployed; where it made no new deployment of the right image, force one."""
    page, target = run.page, run.target
    history = await page.read("Find the deployment that Terraform made", EcsActivities.read_history, target)
    runs, primary = history.current, history.service.primary
    if not runs_value(runs, plan.tag):
        applied = f"Terraform applied {plan.tag}, but "
        if runs.task_definition == plan.fence.task_definition:
            why = f"the service runs {runs.name} as before: the module does not control what runs (ignore_changes?)"
            page.end(Outcome.NOT_RECOVERED, f"{applied}{sentence(why)} A person must check now.")
        page.end(
            Outcome.SUPERSEDED, f"{applied}{runs.name} was deployed meanwhile; this run does not touch it."
        )
    # What was known of the release's images holds for the new revision too, until it is seen to run others.
    placed = plan.model_copy(update={"after": runs.model_copy(update={"images": _images(plan.after, runs)})})
    if primary and primary.id != plan.fence.primary:
        return placed, deployed_by_terraform(plan, history)
    forced = await page.change(
        f"Terraform made no new deployment: force one of {runs.name}",
        EcsChanges.force_deployment,
        ForceDeployment(target=target, fence=history.service.fence),
        action="UpdateService",
        before=runs.name,
        after=f"{runs.name}, fresh tasks",
    )
    return placed, forced


async def _undo(run: Run, plan: TerraformRollback) -> Undone:
    tag = plain_tag(plan.before)
    if tag is None:
        return not_undone(f"{plan.before.name} has no image tag that Terraform could be given")
    value = value_of_image(run.target, plan.before, tag)
    if isinstance(value, Ending):
        return not_undone(value.summary)
    return await apply_back(run, plan.terraform, dict.fromkeys(plan.terraform.variables, value))


def _images(planned: Release, runs: Release) -> tuple[Image, ...]:
    known = {image.name: image for image in planned.images}
    return tuple(known.get(image.name, image) for image in runs.images)
