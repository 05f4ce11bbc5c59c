"""Deployment rollback: put a service back on its last known good release, once a person agrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities, ReleaseQuery
    from activities.ecs.changes import (
        Deployed,
        DeployRelease,
        EcsChanges,
        ForceDeployment,
        RegisterRelease,
        StopDeployment,
    )
    from activities.git.activities import GitActivities, Repository
    from runbook_model.release import ROLLING_BACK, Judgement, Release
    from runbook_model.reports import Ending, Outcome, Report, RollbackRequest, Verdict
    from runbook_model.rollout import Phase, Rollout
    from workflows.decisions.recovery import Judged
    from workflows.decisions.releases import (
        RollbackPlan,
        needs_more,
        only_tags_are_left,
        plan_from_tags,
        plan_rollback,
    )
    from workflows.decisions.rollback_plan import asking_after
    from workflows.decisions.terraform import TerraformRollback
    from workflows.page.finding import find_target
    from workflows.page.page import Page
    from workflows.page.procedure import Procedure
    from workflows.remedies.deploying import (
        await_own_rollback,
        await_steady,
        hand_over,
        mark,
        measure,
        undo_release,
        undo_stop,
        verify,
    )
    from workflows.remedies.terraform_rollback import put_back_by_terraform, through_terraform

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.readings import Sample


GO_ON = ("verify-again", "roll-back-further", "hand-over")


@dataclass(frozen=True)
class GoFurther:
    """Begin anew: a person wants to go back further than what was put back, or the plan was stale."""

    tried: tuple[str, ...] = ()
    """ARNs of task definitions that are not tried again."""
    wanting: tuple[Release, ...] = ()
    """Releases that were taken back on the way: marked bad once another is verified."""
    stands: Ending | None = None
    """How it ends where nothing further is put back."""


@workflow.defn
class Rollback(Procedure):
    """Put a service back on its last known good release, once a person agrees."""

    def __init__(self) -> None:
        # Undoing a rollback would bring the outage back: an abort that does not say so keeps it.
        self.page = Page("rollback", abort_keeps=True)
        self._wanting: tuple[Release, ...] = ()

    @workflow.run
    async def run(self, request: RollbackRequest) -> Report:
        """Run the page."""
        return await self.page.run(request, lambda: self._procedure(request))

    async def _procedure(self, request: RollbackRequest) -> Ending:
        page = self.page
        page.heading("Identify the last known good release")
        target = await find_target(page, request)
        if isinstance(target, Ending):
            return target
        tried: tuple[str, ...] = ()
        stands: Ending | None = None
        while True:
            ending = await page.ending_of(self._put_back_once(target, request, tried))
            if isinstance(ending, GoFurther):
                tried, stands = (*tried, *ending.tried), ending.stands or stands
                self._wanting += ending.wanting
            elif stands and ending.outcome in {Outcome.REFUSED, Outcome.NOT_APPROVED}:
                return stands.model_copy(update={"summary": f"{ending.summary} {stands.summary}"})
            else:
                return ending

    async def _put_back_once(
        self, target: Target, request: RollbackRequest, tried: tuple[str, ...]
    ) -> Ending | GoFurther:
        page = self.page

        page.heading("Identify the last known good release")
        plan = await self._plan(target, request, tried)
        if isinstance(plan, Ending):
            return plan
        baseline = await measure(page, target, plan.before)
        if request.plan_only:
            return page.ended(Outcome.PLANNED, f"{plan.headline}: planned, nothing was changed.")

        page.heading("Ask before changing anything")
        plan = await page.checkpoint(
            plan, target, "Put the release back?", lambda: self._plan(target, request, tried)
        )
        if isinstance(plan, Ending):
            return plan

        page.heading("Put the release back")
        page.undo_brings_back(plan.before)
        if isinstance(plan, TerraformRollback):
            placed = await put_back_by_terraform(page, target, plan)
            if placed is None:
                return GoFurther()
            if isinstance(placed, Ending):
                return placed
            plan, deployed = placed
        else:
            deployed = await self._put_back(target, plan)

        page.heading("Wait for steady state")
        rollout = await self._wait(target, plan, deployed)
        if rollout.phase is not Phase.STEADY:
            return await hand_over(page, target, rollout)

        page.heading("Verify health, error rate and logs")
        runs = _as_it_runs(plan, deployed)
        judged = await self._verify(target, plan, runs, rollout, baseline)
        if not isinstance(judged, Judged):
            return judged

        page.heading("Record what was learnt")
        await mark(page, target, runs, Judgement.GOOD)
        for release in (*self._wanting, *((plan.before,) if plan.marks_source else ())):
            await mark(page, target, release, Judgement.BAD)
        return page.ended(Outcome.RECOVERED, f"{plan.headline}: {judged.why}", verdict=judged.verdict)

    async def _plan(
        self, target: Target, request: RollbackRequest, tried: tuple[str, ...]
    ) -> RollbackPlan | Ending:
        page, to = self.page, None if tried else request.to
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        if not to and history.latest and history.latest.status in ROLLING_BACK:
            if request.plan_only:
                said = f"ECS is rolling {history.latest.release.name} back by itself: a rollback would wait and look again."
                return page.ended(Outcome.PLANNED, said)
            # Never fight another deployment, ECS's own least of all.
            words = "Let ECS finish its own rollback"
            rollout = await await_own_rollback(page, target, words, history.latest.arn)
            if rollout.phase in {Phase.STUCK, Phase.SUPERSEDED}:
                return await hand_over(page, target, rollout)
            history = await page.read("Read what runs after it", EcsActivities.read_history, target)
        others: tuple[Release, ...] = ()
        if needs_more(target, history, to, tried):
            found = await page.read(
                "Look at the family's other revisions", EcsActivities.list_revisions, target
            )
            others = found.releases
            if to:
                query = ReleaseQuery(target=target, name=to)
                named = await page.read(f"Look for {to}", EcsActivities.find_release, query)
                others = (*named.releases, *others)
        plan = plan_rollback(target, history, others, to, tried)
        if isinstance(plan, Ending) and target.repository and only_tags_are_left(target, history, to):
            repository = Repository(url=target.repository)
            tags = await page.try_read("Look at the repository's tags", GitActivities.list_tags, repository)
            plan = (plan_from_tags(target, history, tags.tags, tried) if tags else None) or plan
        if isinstance(plan, RollbackPlan) and not tried:
            plan = asking_after(request.suspect, history, plan)
        if isinstance(plan, RollbackPlan):
            plan = await through_terraform(page, target, history, plan)
        if isinstance(plan, RollbackPlan):
            page.record.planned(plan)
        return plan

    async def _put_back(self, target: Target, plan: RollbackPlan) -> Deployed:
        page, before = self.page, plan.before.name
        match plan.way:
            case "stop":
                return await page.change(
                    f"Stop the deployment of {before}: ECS puts {plan.after.name} back",
                    EcsChanges.stop_deployment,
                    StopDeployment(target=target, service_deployment=plan.stops or "", fence=plan.fence),
                    action="StopServiceDeployment",
                    before=before,
                    after=plan.after.name,
                    undo=lambda: undo_stop(
                        page, target, plan.stops or "", before=plan.before, landing=plan.after
                    ),
                )
            case "force":
                return await page.change(
                    f"Force a new deployment of {before}",
                    EcsChanges.force_deployment,
                    ForceDeployment(target=target, fence=plan.fence),
                    action="UpdateService",
                    before=before,
                    after=f"{before}, fresh tasks",
                )
            case _:
                release = plan.after if plan.way == "deploy" else await self._register(target, plan)
                return await page.change(
                    f"Update the service to {release.name}",
                    EcsChanges.deploy_release,
                    DeployRelease(target=target, release=release, fence=plan.fence),
                    action="UpdateService",
                    before=before,
                    after=release.name,
                    undo=lambda: undo_release(page, target, plan.fence, plan.before, release),
                )

    async def _register(self, target: Target, plan: RollbackPlan) -> Release:
        return await self.page.change(
            f"Register {plan.after.name} again, pinned by digest",
            EcsChanges.register_release,
            RegisterRelease(target=target, release=plan.after, run_id=workflow.info().run_id),
            action="RegisterTaskDefinition",
            before=f"{plan.after.revision} (deregistered)",
            after="a new revision of the same images",
        )

    async def _wait(self, target: Target, plan: RollbackPlan, deployed: Deployed) -> Rollout:
        words = f"Wait until only {plan.after.name} runs"
        if plan.way == "stop":
            return await await_own_rollback(self.page, target, words, plan.stops)
        return await await_steady(self.page, target, words, deployed)

    async def _verify(
        self, target: Target, plan: RollbackPlan, runs: Release, rollout: Rollout, baseline: Sample
    ) -> Judged | Ending | GoFurther:
        """Verify; what is not verified is a person's choice."""
        page = self.page
        while True:
            forced = plan.way == "force"
            judged = await verify(page, target, runs, rollout, baseline, same_release_before=forced)
            if lost := await self._no_longer_what_was_planned(target, plan, rollout):
                return lost
            if judged.verdict is Verdict.RECOVERED:
                return judged
            summary = f"{plan.headline}: {judged.why}. A person must look now."
            stands = page.ended(Outcome(judged.verdict), summary, verdict=judged.verdict)
            match await page.choose("It is not verified: how to go on?", judged.why, target, GO_ON):
                case "verify-again":
                    continue
                case "roll-back-further":
                    tried = (plan.before.task_definition, plan.after.task_definition, runs.task_definition)
                    return GoFurther(tried, (plan.before,) if plan.marks_source else (), stands)
                case _:
                    return stands

    async def _no_longer_what_was_planned(
        self, target: Target, plan: RollbackPlan, rollout: Rollout
    ) -> Ending | None:
        """Look once more that what was verified is what runs, and that its images are those that were planned."""
        history = await self.page.read("Look that it still runs", EcsActivities.read_history, target)
        runs, planned = history.current, plan.after
        if history.service.fence != rollout.service.fence:
            summary = f"{planned.name} was steady, but {runs.name} was deployed over it meanwhile. It is left alone."
            return self.page.ended(Outcome.SUPERSEDED, summary)
        if plan.way != "force" and runs.digests and planned.digests and runs.digests != planned.digests:
            summary = (
                f"{runs.name} runs other images than the {planned.name} that was good: its tag was moved "
                f"({planned.fingerprint} is now {runs.fingerprint}). A person must look now."
            )
            return self.page.ended(Outcome.NOT_RECOVERED, summary, verdict=Verdict.NOT_RECOVERED)
        return None


def _as_it_runs(plan: RollbackPlan, deployed: Deployed) -> Release:
    """Return what the plan put on the service: of a deregistered release a copy runs."""
    if plan.way != "register":
        return plan.after
    return plan.after.model_copy(update={"task_definition": deployed.task_definition, "active": True})
