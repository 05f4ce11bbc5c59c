"""Words for temporary capacity: scale out, see the tasks run, and leave a hold behind that takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.autoscaling.activities import ScaleOut, ScalingActivities, TakeBack
    from activities.ecs.waits import AwaitedTasks, Waits
    from activities.temporal.holds import HoldActivities, HoldRequest

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.release import ServiceState
    from runbook_model.sizes import Capacity
    from workflows.decisions.scaling import ScalePlan
    from workflows.page.page import Page


async def scale_out(page: Page, target: Target, plan: ScalePlan) -> Capacity:
    """Raise the capacity and start the hold that takes it back."""
    call = plan.calls[0]
    ours: Capacity = await page.change(
        f"Scale out to {plan.to} tasks",
        ScalingActivities.scale_out,
        ScaleOut(target=target, was=plan.was, to=plan.to),
        action=call.action,
        before=plan.was.told,
        after=f"{plan.to} tasks for a while",
        # From the plan alone: the change's own answer may be lost.
        undo=lambda: _take_back(page, target, plan.was, plan.was.raised_to(plan.to)),
    )
    request = HoldRequest(
        service=target.service,
        environment=target.environment,
        requested_by=page.report.requested_by,
        run_id=workflow.info().run_id,
        was=plan.was,
        ours=ours,
        hold=target.scale.hold,
        automatic=page.automatic,
    )
    if not await page.note("Leave a hold that takes it back", HoldActivities.start_hold, request):
        page.record.decided("left", "the runbook", "no hold could be started: take the capacity back by hand")
    return ours


async def await_tasks(page: Page, target: Target, plan: ScalePlan) -> ServiceState:
    """Wait until the tasks run."""
    awaited = AwaitedTasks(target=target, count=plan.to, deadline=workflow.now() + target.rollback.steady)
    return await page.watch(f"Wait until {plan.to} tasks run", Waits.await_tasks, awaited)


async def _take_back(page: Page, target: Target, was: Capacity, ours: Capacity) -> str:
    change = TakeBack(target=target, was=was, ours=ours)
    taken = await page.restore("Take the capacity back", ScalingActivities.take_back, change)
    return "undone" if taken.done else f"could not undo: {taken.told}"
