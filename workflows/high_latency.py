"""High latency: find out what is slow and why, and scale out, or roll back; slow code is a task for people."""

from __future__ import annotations

from temporalio import workflow

from activities.measuring.diagnosis import DiagnosisActivities
from runbook_model.measured.readings import STANDARD_LOOKS
from runbook_model.measured.symptoms import ResourcesRead
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Ending
from workflows.decisions.diagnosis import Cause, Diagnosis, classify_latency
from workflows.decisions.tasks import make_faster
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow, runs_page
from workflows.page.run import Part, Run, open_run
from workflows.platforms.choice import platform_of
from workflows.remedies.other_pages import (
    ask_person_to_choose,
    handed_over,
    note_cause,
    repair_dependency,
    roll_back,
)
from workflows.remedies.scale_out import scale_out_or_up, ways_to_scale

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

    @runs_page
    async def run(self, request: ProcedureRequest) -> Ending:
        """Look, name the cause, put it right and verify."""
        page = self.page

        page.heading("Look at latency, resources and logs")
        opened = await open_run(page, request, headings=HEADINGS, looks=LOOKS, by_compose=True)
        diagnosis, resources = await self._diagnose(opened)
        run = opened.diagnosed(diagnosis)

        page.heading("Name the cause")
        note_cause(run)
        match run.diagnosis.cause:
            case Cause.BAD_RELEASE:
                return await roll_back(run)
            case Cause.LOAD | Cause.RESOURCES:
                return await scale_out_or_up(run, resources, run.target.scale.latency)
            case Cause.DEPENDENCY | Cause.DATABASE:
                return await repair_dependency(run)
            case Cause.CODE_PATH:
                page.add_follow_up(make_faster(run.target, run.diagnosis))
                if not platform_of(run).one_machine:  # there a restart is still a person's choice
                    return handed_over(run)
        return await ask_person_to_choose(run, ways_to_scale(run, run.target.scale.latency))

    async def _diagnose(self, run: Run) -> tuple[Diagnosis, ResourcesRead]:
        page, target, platform = run.page, run.target, platform_of(run)
        around = await platform.look_around()
        latency = await page.read("Read what is slow", DiagnosisActivities.read_latency, target)
        load = await page.read("Read its load", DiagnosisActivities.read_load, target)
        resources = await page.read("Read CPU and memory", DiagnosisActivities.read_resources, target)
        logs = await platform.read_recent_logs()
        database = await platform.read_database_signs(target.database) if target.database else None
        diagnosis = around.explain(classify_latency(target, latency, load, resources, logs, database))
        cited = diagnosis.citing(
            latency.summary,
            *(endpoint.summary for endpoint in latency.slowest),
            load.summary,
            resources.summary,
            *around.lines,
            logs.summary,
            *((database.summary,) if database else ()),
            *logs.newest[-3:],
            p95=latency.p95.now,
            slowest_endpoints=latency.endpoints,
            CPU=resources.cpu,
            memory=resources.memory,
        )
        return cited, resources
