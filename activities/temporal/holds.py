"""Starts the workflow that takes temporary capacity back: it outlives the procedure that asked for it."""

from __future__ import annotations

from temporalio import activity
from temporalio.client import Client

from runbook_model.authority.order import Authority
from runbook_model.fact import Fact
from runbook_model.ids import hold_id
from runbook_model.sizes import ScaleOutRun
from runbook_model.text.durations import Duration


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
