"""What a run changed when it scaled out, read from its history: nobody is believed who only says so."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runbook_model.fact import Fact
from runbook_model.ids import is_under_lock, task_queue
from runbook_model.sizes import RestoreCapacity, ScaledOut, ScaleOut, ScaleOutRun

PATIENCE = timedelta(seconds=5)
SCALE_OUT = "scale_out"
"""The activity that raises the capacity."""


class ScaleOutRuns(Fact):
    """Runs that scaled a target out, in their order."""

    service: str
    environment: str
    runs: tuple[ScaleOutRun, ...]


class ScaleOutHistory:
    """Reads scale-outs from the histories of the runs that made them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def read_scaled_out(self, of: ScaleOutRuns) -> ScaledOut | None:
        """Read what ran before, and what was set; None where no history of this target says so."""
        changes = [change for run in of.runs for change in await self._changes(run, of)]
        return ScaledOut.by(changes)

    async def fill_in(self, change: RestoreCapacity) -> RestoreCapacity:
        """Write into a change what the histories say, in place of anything that was sent."""
        target = change.target
        runs = ScaleOutRuns(service=target.service, environment=target.environment, runs=change.runs)
        return change.model_copy(update={"found": await self.read_scaled_out(runs)})

    async def _changes(self, run: ScaleOutRun, of: ScaleOutRuns) -> list[ScaleOut]:
        if not is_under_lock(run.workflow_id, of.environment, of.service):
            return []
        handle = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
        try:
            events = (await handle.fetch_history(rpc_timeout=PATIENCE)).events
        except RPCError as error:
            if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:  # no such run
                return []
            raise
        found = [await self._scale_out(event) for event in events if _scales_out(event, of.environment)]
        names = (of.environment, of.service)
        return [change for change in found if (change.target.environment, change.target.service) == names]

    async def _scale_out(self, event: HistoryEvent) -> ScaleOut:
        payloads = event.activity_task_scheduled_event_attributes.input.payloads
        (change,) = await self._client.data_converter.decode(payloads, [ScaleOut])
        assert isinstance(change, ScaleOut)
        return change


def _scales_out(event: HistoryEvent, environment: str) -> bool:
    if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        return False
    scheduled = event.activity_task_scheduled_event_attributes
    ours = scheduled.task_queue.name == task_queue(environment)
    return ours and scheduled.activity_type.name == SCALE_OUT
