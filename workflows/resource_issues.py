"""Resource issues: find out what runs out and why, and scale out at once; the rest is left to people, in writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.measuring.diagnosis import DiagnosisActivities
    from runbook_model.readings import STANDARD_LOOKS
    from runbook_model.reports import Ending, ProcedureRequest, Report
    from workflows.decisions.diagnosis import Cause, Diagnosis, classify_resources
    from workflows.decisions.tasks import find_the_leak, use_less
    from workflows.local.resource_issues import resource_issues
    from workflows.page.finding import find_target
    from workflows.page.page import Page
    from workflows.page.procedure import Procedure
    from workflows.remedies.remedies import ask_person_to_choose, note_cause
    from workflows.remedies.scaling_up import scale_out_or_up, ways_to_scale

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.symptoms import ResourcesRead

LOOKS = (*STANDARD_LOOKS, "cpu", "memory")


@workflow.defn
class ResourceIssues(Procedure):
    """Give a service room whose CPU or memory runs out."""

    def __init__(self) -> None:
        self.page = Page("resource-issues")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        """Run the page."""
        return await self.page.run(request, lambda: self._procedure(request))

    async def _procedure(self, request: ProcedureRequest) -> Ending:
        page = self.page

        page.heading("Look at CPU, memory and restarts")
        target = await find_target(page, request, by_compose=True)
        if isinstance(target, Ending):
            return target
        if target.platform == "compose":
            return await resource_issues(page, target, request)
        diagnosis, resources = await self._diagnose(target)

        page.heading("Name the cause")
        note_cause(page, target, diagnosis)
        match diagnosis.cause:
            case Cause.CPU | Cause.MEMORY | Cause.LOAD:
                page.add_follow_up(use_less(target, diagnosis))
                return await scale_out_or_up(
                    page, target, request, diagnosis, resources, count=target.scale.resources, looks=LOOKS
                )
            case Cause.LEAK:
                page.add_follow_up(find_the_leak(target, diagnosis))
                return await scale_out_or_up(
                    page, target, request, diagnosis, resources, count=target.scale.resources, looks=LOOKS
                )
            case _:
                return await ask_person_to_choose(
                    page,
                    target,
                    request,
                    diagnosis,
                    ways_to_scale(
                        page, target, request, diagnosis, count=target.scale.resources, looks=LOOKS
                    ),
                    looks=LOOKS,
                )

    async def _diagnose(self, target: Target) -> tuple[Diagnosis, ResourcesRead]:
        page = self.page
        resources = await page.read(
            "Read CPU, memory and restarts", DiagnosisActivities.read_resources, target
        )
        utilization = await page.read(
            "Read what CloudWatch says", DiagnosisActivities.read_utilization, target
        )
        load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
        diagnosis = classify_resources(target, resources, load, utilization).citing(
            *(one.told for one in (resources, utilization, load)),
            CPU=resources.cpu,
            memory=resources.memory,
            memory_over_time=resources.series,
        )
        return diagnosis, resources
