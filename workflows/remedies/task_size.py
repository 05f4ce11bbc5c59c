"""Tasks that get more: plan it by Terraform or as a new revision, put it in place, and put back what ran."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow

from activities.ecs.activities import EcsActivities
from activities.ecs.changes import EcsChanges
from activities.ecs.orders import Deployed, DeployRelease
from activities.ecs.task_sizes import RegisterSized, TaskSizes
from runbook_model.releases.capacity import TaskChange
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Release
from runbook_model.releases.rollout import Phase, Rollout
from runbook_model.reports import Ending, Outcome, Undone, not_undone
from runbook_model.sizes import SizeQuery, TaskSize
from workflows.decisions.recovery import Judged
from workflows.decisions.rollback.plan import RollbackPlan, moved_tag
from workflows.decisions.sizing import Reasons, SizePlan, as_update, fell_short, size_plan
from workflows.decisions.terraform.sizing import (
    TerraformSizePlan,
    hidden,
    size_by_terraform,
    started_past_terraform,
    values_for,
    way_back,
)
from workflows.page.run import Run
from workflows.platforms.deployment import also_said, await_steady, hand_over, undo_release, unless_replaced
from workflows.platforms.shifting import await_traffic, undo_shift
from workflows.platforms.whole_deployment import follow
from workflows.remedies.terraform import (
    apply_all,
    apply_back,
    deployed_by_terraform,
    end_if_deployed_meanwhile,
    plan_with_terraform,
)
from workflows.remedies.verification import verified_or_handed_over

PUT_BACK = "put-back"


@dataclass
class Resized:
    """What came of a plan: the deployment that is ours, how it is taken back, and how it arrived."""

    deployed: Deployed
    before: Release
    release: Release
    take_back: Callable[[], Awaitable[Undone]]
    change: int
    """Its place among the page's changes."""
    update: RollbackPlan | None = None
    """The same as a rollback's update, where deployments shift traffic."""
    arrived: Rollout | None = None


async def read_size(run: Run, history: ReleaseHistory) -> TaskSize:
    """Read what the tasks that run have."""
    pool = run.target.database.pool if run.target.database else None
    query = SizeQuery(
        target=run.target,
        task_definition=history.current.task_definition,
        variable=pool.env if pool else None,
    )
    return await run.page.read("Read what each task has", TaskSizes.read_task_size, query)


async def plan_size(
    run: Run, history: ReleaseHistory, size: TaskSize, change: TaskChange | Ending, reasons: Reasons
) -> SizePlan | Ending:
    """Plan what tasks get: by Terraform where it owns the service, for it would take anything else back."""
    target = run.target
    if isinstance(change, Ending):
        return change
    if target.terraform is None:
        return size_plan(target, history, size, change, reasons)
    values = values_for(target, history, change)
    if isinstance(values, Ending):
        return values
    terraform = await plan_with_terraform(run, values)
    needs_yes = reasons.needs_yes or started_past_terraform(history, terraform) or hidden(terraform)
    reasons = reasons.model_copy(update={"needs_yes": needs_yes})
    return size_by_terraform(target, history, size, change, terraform, reasons)


async def put_in_place(run: Run, plan: SizePlan) -> Resized | None:
    """Make the change and find its deployment; None when a plan of Terraform's was stale and must be made again."""
    page, target = run.page, run.target
    if isinstance(plan, TerraformSizePlan):
        return await _by_terraform(run, plan)
    release = await page.change(
        f"Register {plan.before.revision} once more: {plan.change.summary}",
        TaskSizes.register_sized,
        RegisterSized(target=target, release=plan.before, change=plan.change, run_id=workflow.info().run_id),
        action="RegisterTaskDefinition",
        before=plan.was,
        after="a new revision of the same images",
        undo=_stays_registered,
    )

    update = as_update(plan, release)

    async def take_back() -> Undone:
        if update:
            return await undo_shift(run, update, release)
        return await undo_release(run, plan.fence, plan.before, release)

    deployed = await page.change(
        f"Update the service to {release.revision}",
        EcsChanges.deploy_release,
        DeployRelease(target=target, release=release, fence=plan.fence, registered=True),
        action="UpdateService",
        before=plan.was,
        after=plan.shall_be,
        undo=take_back,
    )
    return Resized(deployed, plan.before, release, take_back, len(page.report.changes) - 1, update)


async def await_size(run: Run, resized: Resized) -> datetime | Ending:
    """Wait until only tasks that have more run; what does not get there is put back or handed over, as a person chooses.

    Returns:
        since when nothing older runs, or has traffic.
    """
    if resized.update:
        rollout = await await_traffic(run, resized.update, resized.deployed)
    else:
        words = f"Wait until only {resized.release.revision} runs"
        rollout = await await_steady(run, words, resized.deployed)
    resized.arrived = rollout
    if rollout.phase is Phase.STEADY:
        return rollout.at
    stands = await hand_over(run, rollout)
    if stands.outcome is Outcome.SUPERSEDED:
        return stands
    question = "It did not become steady: how to continue?"
    chosen = await run.page.choose(question, stands.summary, run.target, (PUT_BACK, "hand-over"))
    return await put_back(run, resized, stands.summary) if chosen == PUT_BACK else stands


async def verified_or_put_back(
    run: Run, look: Callable[[], Awaitable[Judged]], headline: str, resized: Resized
) -> Ending:
    """Verify; what is not verified is looked at again, put back or handed over, as a person chooses.

    A module names an image by its tag: where that was moved, the bigger tasks run other code, and the ending says so.
    """
    ways = {PUT_BACK: lambda: put_back(run, resized, f"{headline} did not help")}
    ending = await verified_or_handed_over(run, look, headline, ways)
    if resized.update:
        ending = await follow(run, resized.update, resized.deployed, resized.arrived, ending)
    else:
        ending = await unless_replaced(run, resized.release, ending)
    return also_said(ending, moved_tag(resized.before, resized.release))


async def put_back(run: Run, resized: Resized, why: str) -> Ending:
    """Put back what ran before, at a person's word."""
    came = await resized.take_back()
    run.page.undone(resized.change, came)
    summary = f"{why.rstrip('.')}. Put back: {came.detail}. A person must check now."
    return Ending(outcome=Outcome.NOT_RECOVERED, summary=summary)


async def _by_terraform(run: Run, plan: TerraformSizePlan) -> Resized | None:
    page, target = run.page, run.target
    await end_if_deployed_meanwhile(run, plan)

    async def take_back() -> Undone:
        back = way_back(plan, target)
        if isinstance(back, str):
            return not_undone(back)
        return await apply_back(run, plan.terraform, back)

    if not await apply_all(run, plan, take_back):
        return None
    place = len(page.report.changes) - 1
    history = await page.read("Find the deployment that Terraform made", EcsActivities.read_history, target)
    if lacks := await _lacks(run, plan, history):
        page.end(Outcome.NOT_RECOVERED, f"Terraform applied it, but {lacks}. A person must check now.")
    deployed = deployed_by_terraform(plan, history)
    return Resized(deployed, plan.before, history.current, take_back, place)


async def _lacks(run: Run, plan: TerraformSizePlan, history: ReleaseHistory) -> str | None:
    """Say what the service does not have of what was applied: it runs something else, or its tasks have no more."""
    primary, runs = history.service.primary, history.current
    if primary is None or primary.id == plan.fence.primary:
        return f"no new deployment came of it: {runs.name} runs as before"
    if runs.tag != plan.before.tag:
        return f"the service runs {runs.name} now: somebody deployed meanwhile"
    size = await read_size(run, history)
    short = fell_short(size, plan.change)
    return f"a task of {size.revision} has {short}: the module does not control that" if short else None


async def _stays_registered() -> Undone:
    return Undone(detail="kept: a revision that no service runs does nothing")
