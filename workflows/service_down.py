"""Service down: find out why, and restart, roll back or repair; what is not clear is a person's choice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from temporalio import workflow

from activities.ecs.activities import EcsActivities
from activities.measuring.diagnosis import DiagnosisActivities
from runbook_model.reports import Ending, ProcedureRequest, Report
from workflows.decisions.diagnosis import Cause, Diagnosis, classify_service_down
from workflows.decisions.tasks import make_room_in_the_cluster
from workflows.local import service_down as local
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow
from workflows.page.run import Part, open_run
from workflows.remedies.other_pages import repair_dependency, roll_back
from workflows.remedies.person import ask_person_to_act, ask_person_to_choose, note_cause
from workflows.remedies.restart import restart
from workflows.remedies.verification import measure

if TYPE_CHECKING:
    from workflows.page.run import Run

HEADINGS = {
    Part.ASK: "Ask before changing anything",
    Part.PUT_RIGHT: "Put it right",
    Part.WAIT: "Wait for steady state",
    Part.VERIFY: "Verify",
}


@workflow.defn
class ServiceDown(ProcedureWorkflow):
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
        opened = await open_run(page, request, headings=HEADINGS, by_compose=True)
        if opened.by_compose:
            return await self._by_compose(opened)
        run = opened.diagnosed(await self._diagnose(opened))

        page.heading("Name the cause")
        note_cause(run)
        match run.diagnosis.cause:
            case Cause.BAD_RELEASE | Cause.DEPLOYMENT_STUCK:
                return await roll_back(run)
            case Cause.CRASH_LOOP | Cause.UNHEALTHY_TARGETS:
                return await restart(run)
            case Cause.CAPACITY:
                return await ask_person_to_act(run, make_room_in_the_cluster)
            case Cause.DEPENDENCY | Cause.DATABASE:
                return await repair_dependency(run)
            case _:
                ways = {"restart": partial(restart, run), "roll-back": partial(roll_back, run)}
                return await ask_person_to_choose(run, ways)

    async def _diagnose(self, run: Run) -> Diagnosis:
        page, target = run.page, run.target
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        tasks = await page.read("Read the tasks and why they stopped", DiagnosisActivities.read_tasks, target)
        logs = await page.read(
            "Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target
        )
        sample = await measure(run, history.current)
        diagnosis = classify_service_down(target, tasks, logs, sample)
        return diagnosis.citing(tasks.told, logs.told, *logs.newest[-3:])

    async def _by_compose(self, opened: Run) -> Ending:
        run = opened.diagnosed(await local.diagnose(opened))

        self.page.heading("Name the cause")
        note_cause(run)
        return await local.put_right(run)
