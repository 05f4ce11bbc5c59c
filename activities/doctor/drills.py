"""Drills: what one found, and the one before it, as Temporal still has it."""

from __future__ import annotations

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError

from runbook_model.checks import Drilled, DrillRequest, LastDrill
from runbook_model.names.ids import ENVIRONMENT

LAST_DRILL = f"WorkflowType = 'Drill' AND {ENVIRONMENT.name} = '{{}}' AND ExecutionStatus = 'Completed'"


class DrillActivities:
    """Reads drills from Temporal itself: its results are their only memory."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def read_last_drill(self, request: DrillRequest) -> LastDrill:
        """Read what the newest completed drill of an environment leaves to compare with."""
        query = LAST_DRILL.format(request.environment)
        async for run in self._client.list_workflows(query, limit=1):
            handle = self._client.get_workflow_handle(run.id, run_id=run.run_id, result_type=Drilled)
            try:
                drill = await handle.result(follow_runs=False)
                return LastDrill(drill=drill.model_copy(update={"checks": (), "broke": (), "restored": ()}))
            except (ValidationError, WorkflowFailureError) as error:
                activity.logger.warning("%s cannot be read: %s", run.id, error)
        return LastDrill()
