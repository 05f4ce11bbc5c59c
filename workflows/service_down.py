"""Service down: find out why, and restart, roll back or repair; what is not clear is a person's choice."""

from __future__ import annotations

from functools import partial

from temporalio import workflow

from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Ending
from workflows.decisions.diagnosis import Cause, Diagnosis
from workflows.decisions.tasks import make_room_in_the_cluster
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow, runs_page
from workflows.page.run import Part, Run, open_run
from workflows.platforms.choice import platform_of
from workflows.remedies.other_pages import (
    ask_person_to_act,
    ask_person_to_choose,
    note_cause,
    repair_dependency,
    roll_back,
)
from workflows.remedies.restart import restart
from workflows.remedies.verification import measure

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

    @runs_page
    async def run(self, request: ProcedureRequest) -> Ending:
        """Look, name the cause, put it right and verify."""
        page = self.page

        page.heading("Look at the service, its tasks and its logs")
        opened = await open_run(page, request, headings=HEADINGS, by_compose=True)
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
        platform = platform_of(run)
        outage = await platform.look_at_outage()
        logs = await platform.read_recent_logs()
        return outage.name_cause(logs, await measure(run, outage.release))
