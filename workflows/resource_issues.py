"""Resource issues: find out what runs out and why, and scale out at once; the rest is left to people, in writing."""

from __future__ import annotations

from temporalio import workflow

from activities.measuring.diagnosis import DiagnosisActivities
from runbook_model.measured.readings import STANDARD_LOOKS
from runbook_model.measured.symptoms import ResourcesRead
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Ending
from workflows.decisions.diagnosis import Cause, Diagnosis, classify_resources
from workflows.decisions.tasks import find_the_leak, use_less
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow, runs_page
from workflows.page.run import Part, Run, open_run
from workflows.platforms.choice import platform_of
from workflows.remedies.other_pages import ask_person_to_choose, note_cause, repair_dependency
from workflows.remedies.scale_out import scale_out_or_up, ways_to_scale

LOOKS = (*STANDARD_LOOKS, "cpu", "memory")

HEADINGS = {
    Part.ASK: "Ask before changing anything",
    Part.PUT_RIGHT: "Put it right",
    Part.WAIT: "Wait for steady state",
    Part.VERIFY: "Verify",
}


@workflow.defn
class ResourceIssues(ProcedureWorkflow):
    """Give a service room whose CPU or memory runs out."""

    def __init__(self) -> None:
        self.page = Page("resource-issues")

    @runs_page
    async def run(self, request: ProcedureRequest) -> Ending:
        """Look, name the cause, put it right and verify."""
        page = self.page

        page.heading("Look at CPU, memory and restarts")
        opened = await open_run(page, request, headings=HEADINGS, looks=LOOKS, by_compose=True)
        diagnosis, resources = await self._diagnose(opened)
        run = opened.diagnosed(diagnosis)

        page.heading("Name the cause")
        note_cause(run)
        match run.diagnosis.cause:
            case Cause.CPU | Cause.MEMORY | Cause.LOAD:
                page.add_follow_up(use_less(run.target, run.diagnosis))
                return await scale_out_or_up(run, resources, run.target.scale.resources)
            case Cause.LEAK:
                page.add_follow_up(find_the_leak(run.target, run.diagnosis))
                return await scale_out_or_up(run, resources, run.target.scale.resources)
            case Cause.DEPENDENCY:
                return await repair_dependency(run)
            case _:
                return await ask_person_to_choose(run, ways_to_scale(run, run.target.scale.resources))

    async def _diagnose(self, run: Run) -> tuple[Diagnosis, ResourcesRead]:
        page, target, platform = run.page, run.target, platform_of(run)
        around = await platform.look_around()
        resources = await page.read(
            "Read CPU, memory and restarts", DiagnosisActivities.read_resources, target
        )
        utilization = await platform.read_utilization()
        load = await page.read("Read its load", DiagnosisActivities.read_load, target)
        database = None
        if platform.one_machine and target.database:  # it takes of the same CPU and memory
            database = await platform.read_database_signs(target.database)
        diagnosis = around.explain(classify_resources(target, resources, load, utilization)).citing(
            *(read.summary for read in (resources, utilization, load)),
            *around.lines,
            *((database.summary,) if database else ()),
            CPU=resources.cpu,
            memory=resources.memory,
            memory_over_time=resources.series,
        )
        return diagnosis, resources
