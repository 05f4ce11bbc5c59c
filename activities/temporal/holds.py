"""Temporary capacity: what a run changed, read from its history, and the workflow that takes it back, which outlives the run."""

from __future__ import annotations

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from activities.temporal.runs import read_events
from runbook_model.authority.order import Authority
from runbook_model.fact import Fact
from runbook_model.names.ids import hold_id, is_under_lock, task_queue
from runbook_model.sizes import RestoreCapacity, ScaledOut, ScaleOut, ScaleOutRun
from runbook_model.text.durations import Duration

SCALE_OUT = "scale_out"
"""The activity that raises the capacity."""


class HoldRequest(Fact):
    """Keep temporary capacity for a while, then take it back."""

    service: str
    environment: str
    requested_by: str
    run: ScaleOutRun
    """The run that scaled out; the same again is the same request. Its history says what was before."""
    hold: Duration
    authorities: tuple[Authority, ...] = ()
    """What was signed for the scale-out, and for its end."""
    incident: str | None = None
    """The incident that the scale-out belongs to: it hears what the hold came to."""
    lapses_after: Duration | None = None
    """After this long a pause lapses, where decisions are signed."""
    automatic: bool = False
    """Whether no person asked for it: then the brake is asked before it is taken back."""


class HoldActivities:
    """Starts holds."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def start_hold(self, request: HoldRequest) -> str | None:
        """Start the target's hold, or extend the one that is open: there is one for each target. Returns its run."""
        hold = await self._client.start_workflow(
            "Hold",
            request,
            id=hold_id(request.environment, request.service),
            task_queue=activity.info().task_queue,
            start_signal="extend",
            start_signal_args=[request],
            static_summary=f"Takes back temporary capacity of {request.service} in {request.environment}",
        )
        return hold.result_run_id


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
        events = await read_events(self._client, run.workflow_id, run.run_id)
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
