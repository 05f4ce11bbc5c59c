"""High error rate: find out what fails and since when, and roll back, scale out or repair; what is not clear is a person's choice."""

from __future__ import annotations

from functools import partial

from temporalio import workflow

from activities.measuring.diagnosis import DiagnosisActivities
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Ending
from workflows.decisions.diagnosis import Cause, Diagnosis, classify_errors
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow, runs_page
from workflows.page.run import Part, Run, open_run
from workflows.platforms.choice import platform_of
from workflows.remedies.other_pages import ask_person_to_choose, note_cause, repair_dependency, roll_back
from workflows.remedies.scale_out import scale_out

HEADINGS = {
    Part.ASK: "Ask before changing anything",
    Part.PUT_RIGHT: "Put it right",
    Part.WAIT: "Wait for steady state",
    Part.VERIFY: "Verify",
}


@workflow.defn
class HighErrorRate(ProcedureWorkflow):
    """Bring a service back below its error rate."""

    def __init__(self) -> None:
        self.page = Page("high-error-rate")

    @runs_page
    async def run(self, request: ProcedureRequest) -> Ending:
        """Look, name the cause, put it right and verify."""
        page = self.page

        page.heading("Look at errors, load and logs")
        opened = await open_run(page, request, headings=HEADINGS, by_compose=True)
        run = opened.diagnosed(await self._diagnose(opened))

        page.heading("Name the cause")
        note_cause(run)
        match run.diagnosis.cause:
            case Cause.BAD_RELEASE:
                return await roll_back(run)
            case Cause.LOAD:
                return await scale_out(run, run.target.scale.errors)
            case Cause.DEPENDENCY | Cause.DATABASE:
                return await repair_dependency(run)
            case _:
                ways = {
                    "roll-back": partial(roll_back, run),
                    "scale-out": partial(scale_out, run, run.target.scale.errors),
                }
                return await ask_person_to_choose(run, ways)

    async def _diagnose(self, run: Run) -> Diagnosis:
        page, target, platform = run.page, run.target, platform_of(run)
        around = await platform.look_around()
        errors = await page.read(
            "Read which requests fail, and since when", DiagnosisActivities.read_errors, target
        )
        load = await page.read("Read its load", DiagnosisActivities.read_load, target)
        logs = await platform.read_recent_logs()
        return around.explain(classify_errors(target, errors, load, logs)).citing(
            *(read.summary for read in (errors, load, logs)),
            *around.lines,
            *logs.newest[-3:],
            share_of_errors=errors.share.now,
            errors_by_type=errors.by_type,
            errors_by_release=errors.by_release,
            requests=load.rate,
        )
