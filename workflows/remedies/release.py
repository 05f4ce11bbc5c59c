"""A release that is put back: which one, how it is put on the service, and whether it is what runs in the end."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow

from activities.ecs.activities import EcsActivities
from activities.ecs.changes import EcsChanges
from activities.ecs.orders import Deployed, DeployRelease, RegisterRelease, StopDeployment
from runbook_model.releases.release import Release
from runbook_model.releases.rollout import Phase, Rollout
from runbook_model.reports import Ending, Outcome, Undone, Verdict
from workflows.decisions.rollback.plan import RollbackPlan
from workflows.decisions.rollback.shifting import still_serves
from workflows.decisions.terraform.rollback import TerraformRollback
from workflows.page.run import Run
from workflows.platforms.deployment import (
    await_own_rollback,
    await_steady,
    force_deployment,
    hand_over,
    undo_release,
    undo_stop,
)
from workflows.platforms.shifting import (
    await_end,
    await_traffic,
    settling,
    still_under_way,
    undo_shift,
    unless_ended,
)
from workflows.remedies.release_by_terraform import put_back_by_terraform


@dataclass(frozen=True)
class Placed:
    """A release that was put on the service."""

    plan: RollbackPlan
    deployed: Deployed

    @property
    def release(self) -> Release:
        """What runs of it: of a deregistered release a copy does."""
        if self.plan.way != "register":
            return self.plan.after
        copy = {"task_definition": self.deployed.task_definition, "active": True}
        return self.plan.after.model_copy(update=copy)

    @property
    def taken_back(self) -> tuple[Release, ...]:
        """The release that ran before, if it is to be marked once this one is verified."""
        return (self.plan.before,) if self.plan.marks_source else ()


async def put_back(run: Run, plan: RollbackPlan) -> Placed | None:
    """Put the release back in the plan's way; None when the plan came too late and must be made again."""
    if isinstance(plan, TerraformRollback):
        placed = await put_back_by_terraform(run, plan)
        return Placed(*placed) if placed else None
    match plan.way:
        case "stop" if plan.shifting:
            stopped = await unless_ended(_stop(run, plan))
            return Placed(plan, stopped) if stopped else None
        case "stop":
            return Placed(plan, await _stop(run, plan))
        case "force":
            return Placed(plan, await force_deployment(run, plan.before, plan.fence))
        case "register":
            return Placed(plan, await _deploy(run, plan, await _register(run, plan), registered=True))
        case _:
            return Placed(plan, await _deploy(run, plan, plan.after))


async def _stop(run: Run, plan: RollbackPlan) -> Deployed:
    before, after, stops = plan.before, plan.after, plan.stops or ""
    return await run.page.change(
        f"Stop the deployment of {before.name}: ECS puts {after.name} back",
        EcsChanges.stop_deployment,
        StopDeployment(target=run.target, service_deployment=stops, fence=plan.fence),
        action="StopServiceDeployment",
        before=before.name,
        after=after.name,
        undo=lambda: undo_stop(run, stops, before=before, landing=after),
    )


async def _register(run: Run, plan: RollbackPlan) -> Release:
    return await run.page.change(
        f"Register {plan.after.name} again, pinned by digest",
        EcsChanges.register_release,
        RegisterRelease(target=run.target, release=plan.after, run_id=workflow.info().run_id),
        action="RegisterTaskDefinition",
        before=f"{plan.after.revision} (deregistered)",
        after="a new revision of the same images",
    )


async def _deploy(run: Run, plan: RollbackPlan, release: Release, *, registered: bool = False) -> Deployed:
    return await run.page.change(
        f"Update the service to {release.name}",
        EcsChanges.deploy_release,
        DeployRelease(
            target=run.target,
            release=release,
            fence=plan.fence,
            registered=registered,
            settings=plan.settings,
        ),
        action="UpdateService",
        before=plan.before.name,
        after=release.name,
        undo=lambda: _undo_update(run, plan, release),
        settle=settling(run, plan),
    )


async def _undo_update(run: Run, plan: RollbackPlan, release: Release) -> Undone:
    if plan.shifting:
        return await undo_shift(run, plan, release)
    return await undo_release(run, plan.fence, plan.before, release)


async def await_release(run: Run, placed: Placed) -> Rollout:
    """Wait until the release is all that runs, or has all traffic, or is known not to get there."""
    words = f"Wait until only {placed.plan.after.name} runs"
    if placed.plan.shifting:
        return await _await_traffic(run, placed)
    if placed.plan.way == "stop":
        return await await_own_rollback(run, words, placed.plan.stops)
    return await await_steady(run, words, placed.deployed)


async def _await_traffic(run: Run, placed: Placed) -> Rollout:
    """Wait until all traffic is there; without bake times its deployment ends soon, and its configuration is put back."""
    plan = placed.plan
    rollout = await await_traffic(run, plan, placed.deployed)
    if plan.settings is None or rollout.phase is not Phase.STEADY:
        return rollout
    ended = await await_end(run, plan, placed.deployed, rollout)
    if ended.phase is Phase.STEADY:
        await run.page.settle()
    return ended if ended.phase in {Phase.FAILED, Phase.SUPERSEDED} else rollout


async def end_if_other_runs(run: Run, placed: Placed, rollout: Rollout) -> Release:
    """Look once more that what was verified is what runs, and that its images are those that were planned.

    Returns:
        what runs; fresh tasks of the same release may have got another image.
    """
    page, plan, planned = run.page, placed.plan, placed.plan.after
    history = await page.read("Check that it still runs", EcsActivities.read_history, run.target)
    runs = history.current
    if plan.shifting:
        runs = page.unless_ending(still_serves(history, rollout.service_deployment, plan))
    elif history.service.fence != rollout.service.fence:
        summary = f"{planned.name} was steady, but {runs.name} was deployed over it meanwhile. This run does not touch it."
        page.end(Outcome.SUPERSEDED, summary)
    if plan.way != "force" and runs.digests and planned.digests and runs.digests != planned.digests:
        summary = (
            f"{runs.name} runs other images than the {planned.name} that was good: its tag was moved "
            f"({planned.fingerprint} is now {runs.fingerprint}). A person must check now."
        )
        page.end(Outcome.NOT_RECOVERED, summary, verdict=Verdict.NOT_RECOVERED)
    return runs if plan.way == "force" else placed.release


async def follow_to_end(run: Run, placed: Placed, rollout: Rollout) -> str | Ending | None:
    """Follow a deployment that shifts traffic through its bake time: until it ends, ECS may take it back by itself.

    Returns:
        what is still under way; an ending where it was taken back or deployed over; None where nothing is left to say.
    """
    if not placed.plan.shifting:
        return None
    ended = await await_end(run, placed.plan, placed.deployed, rollout)
    if ended.phase in {Phase.FAILED, Phase.SUPERSEDED}:
        return await hand_over(run, ended)
    await run.page.settle()
    await end_if_other_runs(run, placed, rollout)
    return still_under_way(placed.plan) if ended.phase is Phase.STUCK else None
