"""Database issues: find who holds its connections, end what was forgotten; what takes more is a task for people."""

from __future__ import annotations

from functools import partial

from temporalio import workflow

from runbook_model.catalog.service_policies import Database
from runbook_model.measured.readings import STANDARD_LOOKS, Sample
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Ending, Task
from workflows.decisions.database import TerminatePlan
from workflows.decisions.database_remedies import NoReboot, RebootPlan, fix_leak
from workflows.decisions.rollback.releases import refused
from workflows.decisions.sizing import SizePlan
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow, runs_page
from workflows.page.run import Part, Run, open_run
from workflows.platforms.choice import platform_of
from workflows.platforms.compose import Compose
from workflows.remedies.database import (
    Done,
    Found,
    Remedy,
    await_available,
    connect_and_measure,
    end_sessions,
    look_again,
    look_further,
    no_longer,
    only_planned,
    plan_remedy,
    plan_sessions_again,
    put_right_in_container,
    read_database,
    reboot,
)
from workflows.remedies.task_size import await_size, put_in_place, verified_or_put_back
from workflows.remedies.verification import measure, verified_or_handed_over

LOOKS = (*STANDARD_LOOKS, "connections")
HEADINGS_BY_COMPOSE = {
    Part.ASK: "Ask before changing anything",
    Part.PUT_RIGHT: "Restart the database",
    Part.VERIFY: "Verify by connecting and by the service's health",
}


@workflow.defn
class DatabaseIssues(ProcedureWorkflow):
    """Give a service its database back."""

    def __init__(self) -> None:
        self.page = Page("database-issues")

    @runs_page
    async def run(self, request: ProcedureRequest) -> Ending:
        """Find who holds the connections, free them or restart the database, and verify."""
        page = self.page

        page.heading("Check the database")
        run = await open_run(page, request, headings=HEADINGS_BY_COMPOSE, looks=LOOKS, by_compose=True)
        policy = run.target.database
        if policy is None:
            why, fix = (
                f"the catalog names no database of {run.target.key}",
                'add database = { dsn_env = "…" }',
            )
            return refused("input", why, fix)
        if run.by_compose:
            return await self._by_compose(run, Compose(run), policy)
        read = await read_database(run)

        page.heading("Find who holds the connections")
        await platform_of(run).read_recent_logs()
        found = await look_further(run, policy, read)
        page.record.found(found.diagnosis.summary)
        baseline = await measure(run, found.history.current)
        remedy = await plan_remedy(run, found)
        if request.plan_only:
            return only_planned(run, found, remedy)
        done = await self._put_right(run, found, remedy)
        return await self._verified(run, found, baseline, done)

    async def _put_right(self, run: Run, found: Found, remedy: Remedy | Ending) -> Done:
        match remedy:
            case TerminatePlan():
                return await self._free(run, found, remedy)
            case SizePlan():
                return await self._raise_pool(run, found, remedy)
            case RebootPlan():
                return await self._restart(run, found, remedy)
            case NoReboot():
                await await_available(run, found)
                return Done(f"Nothing was changed, {remedy.why} by itself")
            case Task():
                await self.page.task(remedy, run.target)
                return Done(f"A person says that it is done ({remedy.what})")
            case Ending():
                return self.page.unless_ending(remedy)

    async def _free(self, run: Run, found: Found, plan: TerminatePlan) -> Done:
        page = self.page

        page.heading("Ask before changing anything")
        again = partial(plan_sessions_again, run, found, plan)
        agreed = await page.checkpoint(plan, run.target, "End these sessions?", again)

        page.heading("Free connections")
        await end_sessions(run, agreed)
        return Done(agreed.headline)

    async def _raise_pool(self, run: Run, found: Found, plan: SizePlan) -> Done:
        page, resized = self.page, None

        async def plan_again() -> SizePlan | Ending:
            again = await look_again(run, found)
            return again if isinstance(again, SizePlan | Ending) else no_longer("A bigger pool")

        while resized is None:
            page.heading("Ask before changing anything")
            plan = await page.checkpoint(plan, run.target, "Raise the pool?", plan_again)

            page.heading("Raise the connection pool")
            resized = await put_in_place(run, plan)
            if resized is None:  # Terraform's plan was stale
                plan = page.unless_ending(await plan_again())

        page.heading("Wait for steady state")
        since = page.unless_ending(await await_size(run, resized))
        return Done(plan.headline, resized, since)

    async def _restart(self, run: Run, found: Found, plan: RebootPlan) -> Done:
        page = self.page

        async def plan_again() -> RebootPlan | Ending:
            again = await look_again(run, found)
            return again if isinstance(again, RebootPlan) else no_longer("A reboot")

        page.heading("Ask before changing anything")
        agreed = await page.checkpoint(plan, run.target, "Reboot the database?", plan_again)

        page.heading("Restart the database")
        await reboot(run, agreed)
        await await_available(run, found)
        return Done(plan.headline)

    async def _verified(self, run: Run, found: Found, baseline: Sample, done: Done) -> Ending:
        page = self.page

        page.heading("Verify by connecting and by the service's health")
        look = partial(connect_and_measure, run, found, baseline, done)
        if done.resized:
            ending = await verified_or_put_back(run, look, done.headline, done.resized)
        else:
            ending = await verified_or_handed_over(run, look, done.headline)

        page.heading("Record what was learnt")
        if found.diagnosis.sessions:
            follow_up = fix_leak(run.target, found.diagnosis, found.history.current.revision)
            page.record.found(follow_up.why)
            page.add_follow_up(follow_up)
            page.record.summary(ending.summary)
        return ending

    async def _by_compose(self, run: Run, platform: Compose, policy: Database) -> Ending:
        """Run the page on one machine: a procedure of its own, as the only change there is a restart of containers."""
        running = await platform.read_running("Read what runs")
        diagnosis = await platform.diagnose_database(policy)

        self.page.heading("Find who holds the connections")
        return await put_right_in_container(run, running, diagnosis)
