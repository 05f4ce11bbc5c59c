"""High error rate: find out what fails and since when, and roll back, scale out or repair; what is not clear is a person's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.measuring.diagnosis import DiagnosisActivities
    from runbook_model.reports import Ending, ProcedureRequest, Report
    from workflows.decisions.diagnosis import Cause, Diagnosis, classify_errors
    from workflows.local.high_error_rate import high_error_rate
    from workflows.page.finding import find_target
    from workflows.page.page import Page
    from workflows.page.procedure import Procedure
    from workflows.remedies.remedies import ask_person_to_choose, note_cause, repair_dependency, roll_back
    from workflows.remedies.scaling_out import scale

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target


@workflow.defn
class HighErrorRate(Procedure):
    """Bring a service back below its error rate."""

    def __init__(self) -> None:
        self.page = Page("high-error-rate")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        """Run the page."""
        return await self.page.run(request, lambda: self._procedure(request))

    async def _procedure(self, request: ProcedureRequest) -> Ending:
        page = self.page

        page.heading("Look at errors, load and logs")
        target = await find_target(page, request, by_compose=True)
        if isinstance(target, Ending):
            return target
        if target.platform == "compose":
            return await high_error_rate(page, target, request)
        diagnosis = await self._diagnose(target)

        page.heading("Name the cause")
        note_cause(page, target, diagnosis)
        match diagnosis.cause:
            case Cause.BAD_RELEASE:
                return await roll_back(page, request, diagnosis)
            case Cause.LOAD:
                return await scale(page, target, request, diagnosis, count=target.scale.errors)
            case Cause.DEPENDENCY | Cause.DATABASE:
                return await repair_dependency(page, target, request, diagnosis)
            case _:
                return await ask_person_to_choose(
                    page,
                    target,
                    request,
                    diagnosis,
                    {
                        "roll-back": lambda: roll_back(page, request, diagnosis),
                        "scale-out": lambda: scale(
                            page, target, request, diagnosis, count=target.scale.errors
                        ),
                    },
                )

    async def _diagnose(self, target: Target) -> Diagnosis:
        page = self.page
        errors = await page.read(
            "Read which requests fail, and since when", DiagnosisActivities.read_errors, target
        )
        load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
        logs = await page.read(
            "Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target
        )
        return classify_errors(target, errors, load, logs).citing(
            *(one.told for one in (errors, load, logs)),
            *logs.newest[-3:],
            share_of_errors=errors.share.now,
            errors_by_type=errors.by_type,
            errors_by_release=errors.by_release,
            requests=load.rate,
        )
