"""Service down: find out why, and restart, roll back or repair; what is not clear is a person's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities
    from activities.measuring.diagnosis import DiagnosisActivities
    from runbook_model.reports import Ending, ProcedureRequest, Report
    from workflows.decisions.diagnosis import Cause, Diagnosis, classify_service_down
    from workflows.decisions.tasks import make_room_in_the_cluster
    from workflows.local.service_down import service_down
    from workflows.page.finding import find_target
    from workflows.page.page import Page
    from workflows.page.procedure import Procedure
    from workflows.remedies.deploying import measure
    from workflows.remedies.remedies import (
        ask_person_to_act,
        ask_person_to_choose,
        note_cause,
        repair_dependency,
        restart,
        roll_back,
    )

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target


@workflow.defn
class ServiceDown(Procedure):
    """Bring a service back that does not answer."""

    def __init__(self) -> None:
        self.page = Page("service-down")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        """Run the page."""
        return await self.page.run(request, lambda: self._procedure(request))

    async def _procedure(self, request: ProcedureRequest) -> Ending:
        page = self.page

        page.heading("Look at the service, its tasks and its logs")
        target = await find_target(page, request, by_compose=True)
        if isinstance(target, Ending):
            return target
        if target.platform == "compose":
            return await service_down(page, target, request)
        diagnosis = await self._diagnose(target)

        page.heading("Name the cause")
        note_cause(page, target, diagnosis)
        match diagnosis.cause:
            case Cause.BAD_RELEASE | Cause.DEPLOYMENT_STUCK:
                return await roll_back(page, request, diagnosis)
            case Cause.CRASH_LOOP | Cause.UNHEALTHY_TARGETS:
                return await restart(page, target, request, diagnosis)
            case Cause.CAPACITY:
                return await ask_person_to_act(page, target, request, diagnosis, make_room_in_the_cluster)
            case Cause.DEPENDENCY | Cause.DATABASE:
                return await repair_dependency(page, target, request, diagnosis)
            case _:
                return await ask_person_to_choose(
                    page,
                    target,
                    request,
                    diagnosis,
                    {
                        "restart": lambda: restart(page, target, request, diagnosis),
                        "roll-back": lambda: roll_back(page, request, diagnosis),
                    },
                )

    async def _diagnose(self, target: Target) -> Diagnosis:
        page = self.page
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        tasks = await page.read("Read the tasks and why they stopped", DiagnosisActivities.read_tasks, target)
        logs = await page.read(
            "Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target
        )
        sample = await measure(page, target, history.current)
        diagnosis = classify_service_down(target, tasks, logs, sample)
        return diagnosis.citing(tasks.told, logs.told, *logs.newest[-3:])
