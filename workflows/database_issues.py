"""Database issues: find who holds its connections, end what was forgotten; what takes more is a task for people."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.measuring.diagnosis import DiagnosisActivities
    from activities.postgres.activities import DatabaseActivities, TerminateSessions
    from runbook_model.readings import STANDARD_LOOKS, Sample
    from runbook_model.reports import Ending, Outcome, Plan, ProcedureRequest, Report, Task, Verdict
    from runbook_model.rollout import Phase, Rollout
    from workflows.decisions.database import TerminatePlan, classify, plan_terminate
    from workflows.decisions.database_remedies import NoReboot, RebootPlan, mend_leak
    from workflows.decisions.recovery import Judged
    from workflows.decisions.releases import refused
    from workflows.decisions.sizing import SizePlan
    from workflows.local.database_issues import database_issues
    from workflows.page.finding import find_target
    from workflows.page.page import Page
    from workflows.page.procedure import Procedure
    from workflows.remedies.database import Found, look_again, look_further, plan_remedy, read_database
    from workflows.remedies.deploying import measure, verified_or_handed_over, verify
    from workflows.remedies.rebooting import await_available, reboot
    from workflows.remedies.sizing import Resized, await_size, put_in_place, verified_or_put_back

if TYPE_CHECKING:
    from workflows.remedies.database import Remedy

LOOKS = (*STANDARD_LOOKS, "connections")


@workflow.defn
class DatabaseIssues(Procedure):
    """Give a service its database back."""

    def __init__(self) -> None:
        self.page = Page("database-issues")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        """Run the page."""
        return await self.page.run(request, lambda: self._procedure(request))

    async def _procedure(self, request: ProcedureRequest) -> Ending:
        page = self.page

        page.heading("Check the database")
        target = await find_target(page, request, by_compose=True)
        if isinstance(target, Ending):
            return target
        if target.database is None:
            return refused(
                "input",
                f"the catalog names no database of {target.key}",
                'add database = { dsn_env = "…" }',
            )
        if target.platform == "compose":
            return await database_issues(page, target, request)
        read = await read_database(page, target)

        page.heading("Find who holds the connections")
        await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
        found = await look_further(page, target, target.database, read)
        page.record.found(found.diagnosis.told)
        baseline = await measure(page, target, found.history.current, LOOKS)
        remedy = await plan_remedy(page, found)
        if request.plan_only:
            return self._only_planned(found, remedy)
        return await self._put_right(found, baseline, remedy)

    async def _put_right(self, found: Found, baseline: Sample, remedy: Remedy) -> Ending:
        match remedy:
            case TerminatePlan():
                return await self._free(found, baseline, remedy)
            case SizePlan():
                return await self._raise_pool(found, baseline, remedy)
            case RebootPlan() | NoReboot():
                return await self._restart(found, baseline, remedy)
            case Task():
                answer = await self.page.task(remedy, found.target)
                if isinstance(answer, Ending):
                    return answer
                return await self._verified(found, baseline, f"A person says that it is done ({remedy.what})")
            case _:
                return remedy

    def _only_planned(self, found: Found, remedy: Remedy) -> Ending:
        if isinstance(remedy, Ending) and remedy.outcome is Outcome.REFUSED:
            return remedy
        words = f"No change by this procedure. {found.diagnosis.told}"
        if isinstance(remedy, Plan):
            self.page.record.planned(remedy)
            words = remedy.headline
        return self.page.ended(Outcome.PLANNED, f"{words}: planned, nothing was changed.")

    async def _free(self, found: Found, baseline: Sample, plan: TerminatePlan) -> Ending:
        page, target = self.page, found.target

        async def plan_again() -> TerminatePlan | Ending:
            diagnosis = classify(await read_database(page, target), found.policy)
            again = plan_terminate(target, diagnosis, plan.sessions)
            if again is None:
                summary = f"The forgotten sessions are gone; nothing was changed: {diagnosis.told}."
                return page.ended(Outcome.INCONCLUSIVE, f"{summary} A person must look.")
            page.record.planned(again)
            return again

        page.heading("Ask before changing anything")
        agreed = await page.checkpoint(plan, target, "End these sessions?", plan_again)
        if isinstance(agreed, Ending):
            return agreed

        page.heading("Free connections")
        await page.change(
            f"End {len(agreed.sessions)} forgotten sessions",
            DatabaseActivities.terminate_sessions,
            TerminateSessions(target=target, sessions=agreed.sessions),
            action="pg_terminate_backend",
            before=f"{len(agreed.sessions)} sessions of {agreed.application}, idle in a transaction",
            after="ended",
            undo=_cannot_be_undone,
        )
        return await self._verified(found, baseline, agreed.headline)

    async def _raise_pool(self, found: Found, baseline: Sample, plan: SizePlan) -> Ending:
        page, target = self.page, found.target

        async def plan_again() -> SizePlan | Ending:
            again = await look_again(page, found)
            return again if isinstance(again, SizePlan | Ending) else self._no_longer("A bigger pool")

        again: SizePlan | Ending = plan
        while True:
            if isinstance(again, Ending):
                return again
            page.heading("Ask before changing anything")
            agreed = await page.checkpoint(again, target, "Raise the pool?", plan_again)
            if isinstance(agreed, Ending):
                return agreed

            page.heading("Raise the connection pool")
            resized = await put_in_place(page, target, agreed)
            if isinstance(resized, Ending):
                return resized
            if resized:
                break
            again = await plan_again()  # Terraform's plan was stale

        page.heading("Wait for steady state")
        rollout = await await_size(page, target, resized)
        if isinstance(rollout, Ending):
            return rollout
        return await self._verified(found, baseline, agreed.headline, (resized, rollout))

    async def _restart(self, found: Found, baseline: Sample, plan: RebootPlan | NoReboot) -> Ending:
        page, target = self.page, found.target

        async def plan_again() -> RebootPlan | Ending:
            again = await look_again(page, found)
            return again if isinstance(again, RebootPlan) else self._no_longer("A reboot")

        headline = (
            f"Nothing was changed, {plan.why} by itself" if isinstance(plan, NoReboot) else plan.headline
        )
        if isinstance(plan, RebootPlan):
            page.heading("Ask before changing anything")
            agreed = await page.checkpoint(plan, target, "Reboot the database?", plan_again)
            if isinstance(agreed, Ending):
                return agreed

            page.heading("Restart the database")
            await reboot(page, target, agreed)
        if late := await await_available(page, target, found.policy.rds_instance or ""):
            return late
        return await self._verified(found, baseline, headline)

    async def _verified(
        self, found: Found, baseline: Sample, headline: str, changed: tuple[Resized, Rollout] | None = None
    ) -> Ending:
        page = self.page

        page.heading("Verify by connecting and by the service's health")
        look = partial(self._judge, found, baseline, changed)
        if changed:
            ending = await verified_or_put_back(page, found.target, look, headline, changed[0])
        else:
            ending = await verified_or_handed_over(page, found.target, look, headline)

        page.heading("Record what was learnt")
        if found.diagnosis.sessions:
            fix = mend_leak(found.target, found.diagnosis, found.history.current.revision)
            page.record.found(fix.why)
            page.add_follow_up(fix)
            page.record.summary(ending.summary)
        return ending

    async def _judge(self, found: Found, baseline: Sample, changed: tuple[Resized, Rollout] | None) -> Judged:
        page, target = self.page, found.target
        connected = await page.read("Connect to the database", DatabaseActivities.test_connection, target)
        if not connected.serves:
            return Judged(verdict=Verdict.NOT_RECOVERED, why=connected.told)
        if changed:
            resized, rollout = changed
            return await verify(page, target, resized.release, rollout, baseline, looks=LOOKS)
        since = Rollout(phase=Phase.STEADY, detail="", service=found.history.service, at=workflow.now())
        release = found.history.current
        return await verify(page, target, release, since, baseline, same_release_before=True, looks=LOOKS)

    def _no_longer(self, remedy: str) -> Ending:
        summary = f"{remedy} is no longer what helps; nothing was changed. A person must look."
        return self.page.ended(Outcome.INCONCLUSIVE, summary)


async def _cannot_be_undone() -> str:
    return "kept: a session that was ended cannot be brought back"
