"""High latency: find out what is slow and why, and scale out; slow code is a task for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.measuring.diagnosis import DiagnosisActivities
    from activities.postgres.activities import DatabaseActivities
    from runbook_model.readings import STANDARD_LOOKS
    from runbook_model.reports import Ending, ProcedureRequest, Report
    from workflows.decisions.database import signs_of
    from workflows.decisions.diagnosis import Cause, Diagnosis, classify_latency
    from workflows.decisions.tasks import make_faster
    from workflows.local.high_latency import high_latency
    from workflows.page.finding import find_target
    from workflows.page.page import Page
    from workflows.page.procedure import Procedure
    from workflows.remedies.remedies import ask_person_to_choose, handed_over, note_cause, repair_dependency
    from workflows.remedies.scaling_up import scale_out_or_up, ways_to_scale

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.symptoms import ResourcesRead
    from workflows.decisions.database import DatabaseSigns

LOOKS = (*STANDARD_LOOKS, "latency")


@workflow.defn
class HighLatency(Procedure):
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
        target = await find_target(page, request, by_compose=True)
        if isinstance(target, Ending):
            return target
        if target.platform == "compose":
            return await high_latency(page, target, request)
        diagnosis, resources = await self._diagnose(target)

        page.heading("Name the cause")
        note_cause(page, target, diagnosis)
        match diagnosis.cause:
            case Cause.LOAD | Cause.RESOURCES:
                return await scale_out_or_up(
                    page, target, request, diagnosis, resources, count=target.scale.latency, looks=LOOKS
                )
            case Cause.DEPENDENCY | Cause.DATABASE:
                return await repair_dependency(page, target, request, diagnosis, looks=LOOKS)
            case Cause.CODE_PATH:
                page.add_follow_up(make_faster(target, diagnosis))
                return handed_over(page, diagnosis)
            case _:
                return await ask_person_to_choose(
                    page,
                    target,
                    request,
                    diagnosis,
                    ways_to_scale(page, target, request, diagnosis, count=target.scale.latency, looks=LOOKS),
                    looks=LOOKS,
                )

    async def _diagnose(self, target: Target) -> tuple[Diagnosis, ResourcesRead]:
        page = self.page
        latency = await page.read("Read what is slow", DiagnosisActivities.read_latency, target)
        load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
        resources = await page.read("Read CPU and memory", DiagnosisActivities.read_resources, target)
        logs = await page.read(
            "Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target
        )
        database = await self._look_into_database(target)
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

    async def _look_into_database(self, target: Target) -> DatabaseSigns | None:
        if target.database is None:
            return None
        words = "Read who works in the database, and who waits"
        read = await self.page.try_read(words, DatabaseActivities.read_database, target)
        return signs_of(read, target.database)
