"""Restart: fresh tasks of what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.ecs.activities import EcsActivities
from activities.ecs.changes import EcsChanges, ForceDeployment
from runbook_model.rollout import Phase
from workflows.decisions.restarting import RestartPlan, plan_restart
from workflows.page.run import Part
from workflows.remedies.deployment import await_steady, hand_over
from workflows.remedies.verification import measure, unless_replaced, verified_or_handed_over, verify

if TYPE_CHECKING:
    from runbook_model.reports import Ending
    from workflows.decisions.diagnosis import Diagnosis
    from workflows.page.run import DiagnosedRun


async def restart(run: DiagnosedRun[Diagnosis]) -> Ending:
    """Start fresh tasks of what runs, wait for them, and verify."""
    page, target = run.page, run.target

    async def plan_again() -> RestartPlan | Ending:
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        return plan_restart(target, history, run.diagnosis.because)

    run.begin(Part.ASK)
    plan = page.unless_ending(await plan_again())
    run.end_if_only_planned(plan)
    baseline = await measure(run, plan.before)
    plan = await page.checkpoint(plan, target, "Restart the service?", plan_again)

    run.begin(Part.PUT_RIGHT)
    release = plan.before
    deployed = await page.change(
        f"Force a new deployment of {release.name}",
        EcsChanges.force_deployment,
        ForceDeployment(target=target, fence=plan.fence),
        action="UpdateService",
        before=release.name,
        after=f"{release.name}, fresh tasks",
        undo=_nothing_to_put_back,
    )
    run.begin(Part.WAIT)
    rollout = await await_steady(run, "Wait until only fresh tasks run", deployed)
    if rollout.phase is not Phase.STEADY:
        return await hand_over(run, rollout)

    run.begin(Part.VERIFY)
    ending = await verified_or_handed_over(
        run, lambda: verify(run, release, rollout.at, baseline, same_release_before=True), plan.headline
    )
    return await unless_replaced(run, release, ending)


async def _nothing_to_put_back() -> str:
    return "nothing to undo: fresh tasks of the same release run"
