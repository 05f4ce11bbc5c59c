"""Stuck deployment: stop a deployment that does not arrive; ECS puts back what ran before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

from activities.ecs.activities import EcsActivities
from activities.ecs.changes import EcsChanges
from activities.ecs.orders import StopDeployment
from runbook_model.messages import ProcedureRequest
from runbook_model.releases.rollout import Phase
from runbook_model.reports import Ending
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow, runs_page
from workflows.page.run import open_run
from workflows.platforms.deployment import await_own_rollback, hand_over, undo_stop
from workflows.remedies.verification import measure, verified_or_handed_over, verify

with workflow.unsafe.imports_passed_through():
    from stuck_deployment.stopping import StopPlan, find_out_why, plan_stop

if TYPE_CHECKING:
    from workflows.page.run import Run


@workflow.defn
class StuckDeployment(ProcedureWorkflow):
    """Take back a deployment that does not arrive."""

    def __init__(self) -> None:
        # Undoing it would deploy again what got stuck: an abort that does not say so keeps it.
        self.page = Page("stuck-deployment", abort_keeps=True)

    @runs_page
    async def run(self, request: ProcedureRequest) -> Ending:
        """Stop the deployment, and verify what ran before."""
        page = self.page

        page.heading("Look at the deployment")
        run = await open_run(page, request)
        plan = page.unless_ending(await self._plan(run))
        baseline = await measure(run, plan.before)
        page.add_follow_up(find_out_why(plan))
        run.end_if_only_planned(plan)

        page.heading("Ask before stopping it")
        question = "Stop the deployment?"
        plan = await page.checkpoint(plan, run.target, question, lambda: self._plan(run))

        page.heading("Stop it")
        page.undo_brings_back(plan.before)
        await self._stop(run, plan)

        page.heading("Wait until the earlier release runs again")
        landing = plan.after
        rollout = await await_own_rollback(run, f"Wait until only {landing.name} runs", plan.stops)
        if rollout.phase is not Phase.STEADY:
            return await hand_over(run, rollout)

        page.heading("Verify")
        return await verified_or_handed_over(
            run, lambda: verify(run, landing, rollout.at, baseline), plan.headline
        )

    async def _plan(self, run: Run) -> StopPlan | Ending:
        words = "Read what runs and what ran before"
        history = await run.page.read(words, EcsActivities.read_history, run.target)
        return plan_stop(run.target, history)

    async def _stop(self, run: Run, plan: StopPlan) -> None:
        stuck, landing = plan.before, plan.after
        await run.page.change(
            f"Stop the deployment of {stuck.name}",
            EcsChanges.stop_deployment,
            StopDeployment(target=run.target, service_deployment=plan.stops, fence=plan.fence),
            action="StopServiceDeployment",
            before=stuck.name,
            after=landing.name,
            undo=lambda: undo_stop(run, plan.stops, before=stuck, landing=landing),
        )
