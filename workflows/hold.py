"""Temporary capacity: kept for the time that was promised, then taken back where it still is as we set it."""

from __future__ import annotations

from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.autoscaling.activities import ScalingActivities
from activities.catalog.activities import CatalogActivities
from activities.chat.activities import ChatActivities
from activities.temporal.holds import HoldRequest, ScaleOutHistory, ScaleOutRuns
from runbook_model.bounds import REPORT_BYTES, within
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.errors import Rejected
from runbook_model.incident.announcements import Notice
from runbook_model.incident.messages import PROCEDURE_ENDED
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Ending, Outcome, Report, Task, Undone
from runbook_model.sizes import RestoreCapacity, ScaledOut, ScaleOutRun
from runbook_model.text.durations import format_duration
from workflows.decisions.rollback.releases import refused
from workflows.decisions.scaling import capacity_left
from workflows.page.deciding.handlers import takes_signal
from workflows.page.deciding.inbox import reading
from workflows.page.options import BEST_EFFORT, RETRY_FOREVER, run_step
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow
from workflows.page.telling.incident_link import send_report

MOST_RUNS = 50
"""So many runs may extend one hold."""


@workflow.defn
class Hold(ProcedureWorkflow):
    """Keep temporary capacity for a while, then take it back; an abort takes it back at once.

    What was before is read from the histories of the runs that scaled out: a hold knows only who they are.
    """

    @workflow.init
    def __init__(self, request: HoldRequest) -> None:
        self.page = Page("hold")
        self._request = request
        self._runs: tuple[ScaleOutRun, ...] = (request.run,)
        self.page.carry_on(request.authorities)
        self._incident = request.incident
        self.page.orders.signing.lapses_after = request.lapses_after
        self._until = workflow.now() + request.hold
        self.inbox.on("extend", reading(HoldRequest), self._extend)

    extend = takes_signal("extend", "Keep it longer: sent by another procedure that needs the capacity")

    @workflow.run
    async def run(self, request: HoldRequest) -> Report:
        """Run the page."""
        asked = ProcedureRequest(
            service=request.service,
            environment=request.environment,
            requested_by=request.requested_by,
            automatic=request.automatic,
        )
        report = await self.page.run(asked, self._procedure)
        left = capacity_left(report)
        heard = self._incident is not None and await send_report(self._incident, PROCEDURE_ENDED, report)
        if left is None:
            return report
        self.page.record.task(left)
        if not heard:  # the incident is over by now, or there was none
            await self._notify(left)
        return within(self.page.report, REPORT_BYTES)

    async def _notify(self, left: Task) -> None:
        """Notify people of capacity that stays, where no incident does."""
        names = f"{self._request.environment}/{self._request.service}"
        text = f"{left.what}: {left.why}"
        notice = Notice(target=names, text=text, run=workflow.info().workflow_id, urgent=True)
        with suppress(FailureError):
            await run_step(
                self.page.record, "Notify people of it", ChatActivities.notify, notice, (BEST_EFFORT,)
            )

    def _extend(self, again: HoldRequest) -> None:
        """Keep it longer, for another run that scaled out."""
        if again.run in self._runs:
            return
        if len(self._runs) >= MOST_RUNS:
            raise Rejected(f"{MOST_RUNS} runs have extended this hold already")
        self._runs = (*self._runs, again.run)
        self.page.carry_on(again.authorities)
        self._incident = again.incident or self._incident
        self._until = workflow.now() + again.hold

    async def _procedure(self) -> Ending:
        page = self.page
        page.heading("Keep the capacity")
        place = page.record.intend("Hold", "before the scale-out", "more tasks for a while")
        page.record.changed(place, certain=True)
        page.can_undo(place, self._take_back)
        scaled = await self._read_scaled_out()
        if scaled is None:
            page.undone(place, Undone(detail="nothing is held: no history shows a scale-out"))
            why = f"{self._runs[0].workflow_id} ({self._runs[0].run_id}) did not scale this target out"
            return page.unless_ending(refused("input", why, "start a procedure that scales out"))
        page.record.changed(place, before=scaled.was.summary, after=scaled.ours.summary)
        while True:
            await self._time_is_up()
            page.heading("Take it back")
            taken_back = self._runs
            came = await self._take_back()
            if self._runs == taken_back:
                page.undone(place, came)
                return Ending(outcome=Outcome.RECOVERED, summary=f"The time is up: {came.detail}.")
            page.heading("Keep the capacity")  # another procedure raised it while it was taken back

    async def _read_scaled_out(self) -> ScaledOut | None:
        report = self.page.report
        runs = ScaleOutRuns(service=report.service, environment=report.environment, runs=self._runs)
        words = "Read what was scaled out"
        return await self.page.read(words, ScaleOutHistory.read_scaled_out, runs, options=RETRY_FOREVER)

    async def _time_is_up(self) -> None:
        page = self.page
        while (left := self._until - workflow.now()).total_seconds() > 0:
            page.record.summary(f"Kept until {self._until:%Y-%m-%d %H:%M} UTC, then taken back.")
            await workflow.sleep(left, summary=f"Keep the capacity for {format_duration(left)}")
            await page.wait_for_brake()
            await page.ready()

    async def _take_back(self) -> Undone:
        names = TargetNames(service=self._request.service, environment=self._request.environment)
        target = await self.page.restore(
            "Look up the target in the catalog",
            CatalogActivities.resolve_target,
            names,
            options=RETRY_FOREVER,
        )
        change = RestoreCapacity(target=target, runs=self._runs)
        words = "Remove the extra capacity"
        taken = await self.page.restore(
            words, ScalingActivities.restore_capacity, change, options=RETRY_FOREVER
        )
        return Undone(detail=taken.detail)
