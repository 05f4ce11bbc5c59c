"""Database issues: find who holds its connections, end what was forgotten; what takes more is a task for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.database import DatabaseActivities, TerminateSessions
    from activities.diagnosis import DiagnosisActivities
    from activities.ecs import EcsActivities
    from activities.readings import STANDARD_LOOKS, Sample
    from activities.rollout import Phase, Rollout
    from workflows.decisions.database import (
        Cause,
        Diagnosis,
        TerminatePlan,
        classify,
        plan_terminate,
    )
    from workflows.decisions.database_tasks import fit_pool, mend_leak, release_lock, restart_database
    from workflows.decisions.recovery import Judged
    from workflows.decisions.releases import refused
    from workflows.local.database_issues import database_issues
    from workflows.messages import Ending, Outcome, ProcedureRequest, Report, Verdict
    from workflows.steps.deploying import measure, verified_or_handed_over, verify
    from workflows.steps.finding import find_target
    from workflows.steps.page import Page
    from workflows.steps.procedure import Procedure

if TYPE_CHECKING:
    from activities.catalog import Target
    from activities.models import ReleaseHistory
    from activities.policies import Database
    from workflows.messages import Task

LOOKS = (*STANDARD_LOOKS, "connections")


@dataclass(frozen=True)
class Found:
    """What the page works on from its second heading on."""

    target: Target
    policy: Database
    diagnosis: Diagnosis
    history: ReleaseHistory
    baseline: Sample


@workflow.defn
class DatabaseIssues(Procedure):
    """Give a service its database back."""

    def __init__(self) -> None:
        # Sessions that were ended cannot be brought back, so there is nothing that an abort could undo.
        self.page = Page("database-issues", abort_keeps=True)

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
                "input", f'the catalog names no database of {target.key}: add database = {{ dsn_env = "…" }}'
            )
        if target.platform == "compose":
            return await database_issues(page, target, request)
        diagnosis = await self._diagnose(target, target.database)

        page.heading("Find who holds the connections")
        page.record.found(diagnosis.told)
        await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        baseline = await measure(page, target, history.current, LOOKS)
        found = Found(target, target.database, diagnosis, history, baseline)
        plan = plan_terminate(target, diagnosis)
        if plan:
            page.record.planned(plan)
        if request.plan_only:
            words = plan.headline if plan else f"No change by this procedure. {diagnosis.told}"
            return page.ended(Outcome.PLANNED, f"{words}: planned, nothing was changed.")

        match diagnosis.cause:
            case _ if plan:
                return await self._free(found, plan)
            case Cause.DOWN:
                return await self._restart(found)
            case Cause.LOAD | Cause.LOCKS:
                return await self._make_room(found)
            case _:
                return page.ended(
                    Outcome.INCONCLUSIVE, f"Left to a person, nothing was changed: {diagnosis.told}."
                )

    async def _free(self, found: Found, plan: TerminatePlan) -> Ending:
        page, target = self.page, found.target

        async def plan_again() -> TerminatePlan | Ending:
            diagnosis = await self._diagnose(target, found.policy)
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
        return await self._verified(found, agreed.headline)

    async def _make_room(self, found: Found) -> Ending:
        """Ask a person for what this procedure cannot do: end sessions that are at work, or allow more connections."""
        asking = release_lock if found.diagnosis.cause is Cause.LOCKS else fit_pool
        return await self._a_person_does(found, asking(found.target, found.diagnosis))

    async def _restart(self, found: Found) -> Ending:
        self.page.heading("Restart the database")
        return await self._a_person_does(found, restart_database(found.target, found.diagnosis))

    async def _a_person_does(self, found: Found, task: Task) -> Ending:
        answer = await self.page.task(task, found.target)
        if isinstance(answer, Ending):
            return answer
        return await self._verified(found, f"A person says that it is done ({task.what})")

    async def _verified(self, found: Found, headline: str) -> Ending:
        page = self.page

        page.heading("Verify by connecting and by the service's health")
        ending = await verified_or_handed_over(page, found.target, lambda: self._judge(found), headline)

        page.heading("Record what was learnt")
        if found.diagnosis.sessions:
            mend = mend_leak(found.target, found.diagnosis, found.history.current.revision)
            page.record.found(mend.why)
            page.leave(mend)
            page.record.summary(ending.summary)
        return ending

    async def _judge(self, found: Found) -> Judged:
        page, target = self.page, found.target
        connected = await page.read("Connect to the database", DatabaseActivities.test_connection, target)
        if not connected.serves:
            return Judged(verdict=Verdict.NOT_RECOVERED, why=connected.told)
        since = Rollout(phase=Phase.STEADY, detail="", service=found.history.service, at=workflow.now())
        release = found.history.current
        return await verify(
            page, target, release, since, found.baseline, same_release_before=True, looks=LOOKS
        )

    async def _diagnose(self, target: Target, policy: Database) -> Diagnosis:
        words = "Read who holds its connections and who waits"
        return classify(await self.page.read(words, DatabaseActivities.read_database, target), policy)


async def _cannot_be_undone() -> str:
    return "kept: a session that was ended cannot be brought back"
