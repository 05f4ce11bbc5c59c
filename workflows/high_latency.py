"""High latency: find out what is slow and why, and scale out; slow code is a task for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

from activities.measuring.diagnosis import DiagnosisActivities
from activities.postgres.activities import DatabaseActivities
from runbook_model.readings import STANDARD_LOOKS
from runbook_model.reports import Ending, ProcedureRequest, Report
from workflows.decisions.database import signs_of
from workflows.decisions.diagnosis import Cause, Diagnosis, classify_latency
from workflows.decisions.tasks import make_faster
from workflows.local import high_latency as local
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow
from workflows.page.run import Part, open_run
from workflows.remedies.other_pages import repair_dependency
from workflows.remedies.person import ask_person_to_choose, handed_over, note_cause
from workflows.remedies.scale_up import scale_out_or_up, ways_to_scale

if TYPE_CHECKING:
    from runbook_model.symptoms import ResourcesRead
    from workflows.decisions.database import DatabaseSigns
    from workflows.page.run import Run

LOOKS = (*STANDARD_LOOKS, "latency")

HEADINGS = {
    Part.ASK: "Ask before changing anything",
    Part.PUT_RIGHT: "Put it right",
    Part.WAIT: "Wait for steady state",
    Part.VERIFY: "Verify",
}


@workflow.defn
class HighLatency(ProcedureWorkflow):
    """Bring a service back below its response time."""

    def __init__(self) -> None:
        self.page = Page("high-latency")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        """Run the page."""
        return await self.page.run(request, lambda: self._procedure(request))

    async def _procedure(self, request: ProcedureRequest) -> Ending:
        page = self.page

        page.heading("Look at latency, resources and logs")
        opened = await open_run(page, request, headings=HEADINGS, looks=LOOKS, by_compose=True)
        if opened.by_compose:
            return await self._by_compose(opened)
        diagnosis, resources = await self._diagnose(opened)
        run = opened.diagnosed(diagnosis)

        page.heading("Name the cause")
        note_cause(run)
        match run.diagnosis.cause:
            case Cause.LOAD | Cause.RESOURCES:
                return await scale_out_or_up(run, resources, run.target.scale.latency)
            case Cause.DEPENDENCY | Cause.DATABASE:
                return await repair_dependency(run)
            case Cause.CODE_PATH:
                page.add_follow_up(make_faster(run.target, run.diagnosis))
                return handed_over(run)
            case _:
                return await ask_person_to_choose(run, ways_to_scale(run, run.target.scale.latency))

    async def _diagnose(self, run: Run) -> tuple[Diagnosis, ResourcesRead]:
        page, target = run.page, run.target
        latency = await page.read("Read what is slow", DiagnosisActivities.read_latency, target)
        load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
        resources = await page.read("Read CPU and memory", DiagnosisActivities.read_resources, target)
        logs = await page.read(
            "Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target
        )
        database = await self._look_into_database(run)
        diagnosis = classify_latency(target, latency, load, resources, logs, database)
        cited = diagnosis.citing(
            latency.told,
            *(one.told for one in latency.slowest),
            load.told,
            resources.told,
            logs.told,
            *((database.told,) if database else ()),
            *logs.newest[-3:],
            p95=latency.p95.now,
            slowest_endpoints=latency.endpoints,
            CPU=resources.cpu,
            memory=resources.memory,
        )
        return cited, resources

    async def _look_into_database(self, run: Run) -> DatabaseSigns | None:
        if run.target.database is None:
            return None
        words = "Read who works in the database, and who waits"
        read = await run.page.try_read(words, DatabaseActivities.read_database, run.target)
        return signs_of(read, run.target.database)

    async def _by_compose(self, opened: Run) -> Ending:
        run = opened.diagnosed(await local.diagnose(opened))

        self.page.heading("Name the cause")
        note_cause(run)
        return await local.put_right(run)
