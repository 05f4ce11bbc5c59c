"""Deployment rollback: put a service back on its last known good release, once a person agrees."""

from __future__ import annotations

from temporalio import workflow

from runbook_model.measured.readings import Sample
from runbook_model.messages import RollbackRequest
from runbook_model.releases.release import Judgement, Release
from runbook_model.releases.rollout import Phase, Rollout
from runbook_model.reports import Ending, Outcome, Verdict
from runbook_model.text.sentences import sentence
from workflows.decisions.recovery import Judged
from workflows.decisions.rollback.plan import moved_tag
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow, runs_page
from workflows.page.run import Run, open_run
from workflows.platforms.deployment import hand_over, mark
from workflows.remedies.release import Placed, await_release, end_if_other_runs, follow_to_end, put_back
from workflows.remedies.release_plan import Attempt, plan_release
from workflows.remedies.verification import measure, verify

GO_ON = ("verify-again", "roll-back-further", "hand-over")


@workflow.defn
class Rollback(ProcedureWorkflow):
    """Put a service back on its last known good release, once a person agrees."""

    def __init__(self) -> None:
        # Undoing a rollback would bring the outage back: an abort that does not say so keeps it.
        self.page = Page("rollback", abort_keeps=True)

    @runs_page
    async def run(self, request: RollbackRequest) -> Ending:
        """Put a release back, and verify; where that has to start again, once more."""
        page = self.page

        page.heading("Identify the last known good release")
        run = await open_run(page, request)
        attempt = Attempt(wanted=request.to, suspect=request.suspect)
        while True:
            result = await page.ending_of(self._put_back_once(run, attempt))
            if isinstance(result, Ending):
                return attempt.concluded(result)
            attempt = result

    async def _put_back_once(self, run: Run, attempt: Attempt) -> Ending | Attempt:
        """Put one release back; the next attempt where that has to start again."""
        page = self.page

        page.heading("Identify the last known good release")
        plan = await plan_release(run, attempt)
        baseline = await measure(run, plan.before)
        run.end_if_only_planned(plan)

        page.heading("Ask before changing anything")
        question = "Put the release back?"
        plan = await page.checkpoint(plan, run.target, question, lambda: plan_release(run, attempt))

        page.heading("Put the release back")
        page.undo_brings_back(plan.before)
        placed = await put_back(run, plan)
        if placed is None:
            return attempt  # Terraform's plan was stale

        page.heading("Wait for steady state")
        rollout = await await_release(run, placed)
        if rollout.phase is not Phase.STEADY:
            return await hand_over(run, rollout)

        page.heading("Verify health, error rate and logs")
        verified = await self._verify(run, attempt, placed, rollout, baseline)
        if not isinstance(verified, tuple):
            return verified
        judged, runs = verified
        more = await follow_to_end(run, placed, rollout)
        if isinstance(more, Ending):
            return more

        page.heading("Record what was learnt")
        await mark(run, runs, Judgement.GOOD, registered=placed.plan.way in {"register", "terraform"})
        for release in (*attempt.taken_back, *placed.taken_back):
            await mark(run, release, Judgement.BAD)
        summary = (
            f"{placed.plan.headline}: {sentence(judged.why)} {more}"
            if more
            else f"{placed.plan.headline}: {judged.why}"
        )
        return Ending(outcome=Outcome.RECOVERED, summary=summary, verdict=judged.verdict)

    async def _verify(
        self, run: Run, attempt: Attempt, placed: Placed, rollout: Rollout, baseline: Sample
    ) -> tuple[Judged, Release] | Ending | Attempt:
        """Verify, and return what runs too; what is not verified is a person's choice."""
        page, plan, forced = self.page, placed.plan, placed.plan.way == "force"
        while True:
            judged = await verify(run, placed.release, rollout.at, baseline, same_release_before=forced)
            runs = await end_if_other_runs(run, placed, rollout)
            if moved := moved_tag(placed.release, runs):
                judged = judged.model_copy(update={"why": f"{sentence(judged.why)} {moved}"})
            if judged.verdict is Verdict.RECOVERED:
                return judged, runs
            summary = f"{plan.headline}: {sentence(judged.why)} A person must check now."
            stands = Ending(outcome=Outcome(judged.verdict), summary=summary, verdict=judged.verdict)
            match await page.choose(
                "Recovery is not verified: how to continue?", judged.why, run.target, GO_ON
            ):
                case "verify-again":
                    continue
                case "roll-back-further":
                    return attempt.further(placed, stands)
                case _:
                    return stands
