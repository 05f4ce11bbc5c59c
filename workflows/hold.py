"""Temporary capacity: kept for the time that was promised, then taken back where it still is as we set it."""

from __future__ import annotations

from temporalio import workflow

from activities.autoscaling.activities import RestoreCapacity, ScalingActivities
from activities.catalog.activities import CatalogActivities
from activities.temporal.holds import HoldRequest
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.durations import format_duration
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Ending, Outcome, Report, Undone
from workflows.page.handlers import takes_signal
from workflows.page.inbox import reading
from workflows.page.options import RETRY_FOREVER
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow


@workflow.defn
class Hold(ProcedureWorkflow):
    """Keep temporary capacity for a while, then take it back; an abort takes it back at once."""

    @workflow.init
    def __init__(self, request: HoldRequest) -> None:
        self.page = Page("hold")
        self._request = request
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
        return await self.page.run(asked, self._procedure)

    def _extend(self, again: HoldRequest) -> None:
        """Take a later request: what was before the first one stays what it goes back to, unless somebody else set it since."""
        if again.run_id != self._request.run_id:
            on_ours = again.was.setting == self._request.ours.setting
            self._request = again.model_copy(update={"was": self._request.was}) if on_ours else again
            self._until = workflow.now() + again.hold

    async def _procedure(self) -> Ending:
        page = self.page
        page.heading("Keep the capacity")
        place = page.record.intend("Hold", _bounds(self._request.was), _bounds(self._request.ours))
        page.record.changed(place, certain=True)
        page.can_undo(place, self._take_back)
        while True:
            await self._time_is_up()
            page.heading("Take it back")
            taken_back = self._request
            came = await self._take_back()
            if self._request is taken_back:
                page.undone(place, came)
                return Ending(outcome=Outcome.RECOVERED, summary=f"The time is up: {came.detail}.")
            page.heading("Keep the capacity")  # another procedure raised it while it was taken back

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
        change = RestoreCapacity(target=target, was=self._request.was, ours=self._request.ours)
        words = "Remove the extra capacity"
        taken = await self.page.restore(
            words, ScalingActivities.restore_capacity, change, options=RETRY_FOREVER
        )
        return Undone(detail=taken.detail)


def _bounds(capacity: object) -> str:
    return str(getattr(capacity, "summary", capacity))
