"""Stuck deployment: stop a deployment that does not arrive; ECS puts back what ran before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities
    from activities.ecs.changes import EcsChanges, StopDeployment
    from activities.ecs.waits import Waits
    from docs.examples.stopping import StopPlan, find_out_why, plan_stop
    from runbook_model.reports import Ending, Outcome, ProcedureRequest, Report
    from runbook_model.rollout import Awaited, Phase, Rollout
    from workflows.page.finding import find_target
    from workflows.page.page import Page
    from workflows.page.procedure import Procedure
    from workflows.remedies.deploying import hand_over, measure, undo_stop, verified_or_handed_over, verify

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target


@workflow.defn
class StuckDeployment(Procedure):
    """Take back a deployment that does not arrive."""

    def __init__(self) -> None:
        # Undoing it would deploy again what got stuck: an abort that does not say so keeps it.
        self.page = Page("stuck-deployment", abort_keeps=True)

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        """Run the page."""
        return await self.page.run(request, lambda: self._procedure(request))

    async def _procedure(self, request: ProcedureRequest) -> Ending:
        page = self.page

        page.heading("Look at the deployment")
        target = await find_target(page, request)
        if isinstance(target, Ending):
            return target
        plan = await self._plan(target)
        if isinstance(plan, Ending):
            return plan
        baseline = await measure(page, target, plan.before)
        page.add_follow_up(find_out_why(plan))
        if request.plan_only:
            return page.ended(Outcome.PLANNED, f"{plan.headline}: planned, nothing was changed.")

        page.heading("Ask before stopping it")
        plan = await page.checkpoint(plan, target, "Stop the deployment?", lambda: self._plan(target))
        if isinstance(plan, Ending):
            return plan
        landing = plan.after

        page.heading("Stop it")
        page.undo_brings_back(plan.before)
        await self._stop(target, plan)

        page.heading("Wait until what ran before runs again")
        rollout = await self._wait(target, plan)
        if rollout.phase is not Phase.STEADY:
            return await hand_over(page, target, rollout)

        page.heading("Verify")
        return await verified_or_handed_over(
            page, target, lambda: verify(page, target, landing, rollout, baseline), plan.headline
        )

    async def _plan(self, target: Target) -> StopPlan | Ending:
        page = self.page
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        return plan_stop(target, history)

    async def _stop(self, target: Target, plan: StopPlan) -> None:
        page, stuck, landing = self.page, plan.before, plan.after
        await page.change(
            f"Stop the deployment of {stuck.name}",
            EcsChanges.stop_deployment,
            StopDeployment(target=target, service_deployment=plan.stops, fence=plan.fence),
            action="StopServiceDeployment",
            before=stuck.name,
            after=landing.name,
            undo=lambda: undo_stop(page, target, plan.stops, before=stuck, landing=landing),
        )

    async def _wait(self, target: Target, plan: StopPlan) -> Rollout:
        awaited = Awaited(
            target=target,
            kind="rollback",
            service_deployment=plan.stops,
            deadline=workflow.now() + target.rollback.steady,
        )
        words = f"Wait until only {plan.after.name} runs"
        return await self.page.watch(words, Waits.await_steady_state, awaited)
