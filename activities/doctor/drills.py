"""Drills: what one found, and the one before it, as Temporal still has it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import WorkflowFailureError

from activities.doctor.activities import Check
from runbook_model.release import Fact

if TYPE_CHECKING:
    from temporalio.client import Client

LAST_DRILL = "WorkflowType = 'Drill' AND RunbookEnvironment = '{}' AND ExecutionStatus = 'Completed'"


class DrillRequest(Fact):
    """Find out whether a rollback would work in an environment now."""

    environment: str


class Known(Fact):
    """The last that was known for sure of one check."""

    service: str | None
    """None: what the services of the environment share."""
    name: str
    ok: bool


class Drilled(Fact):
    """What a drill found; the next one is compared with it."""

    environment: str
    at: datetime
    services: tuple[str, ...] = ()
    """All that the worker's catalog has there."""
    checks: tuple[Check, ...] = ()
    broke: tuple[Check, ...] = ()
    """What worked when it was last known, and no longer does."""
    mended: tuple[Check, ...] = ()
    """What did not work when it was last known, and does again."""
    since: datetime | None = None
    """When the drill was that it is compared with; None for the first."""
    known: tuple[Known, ...] = ()
    """What is remembered for the next drill: also of what could not be told this time."""
    untold: str | None = None
    """Why people could not be told what changed; the next drill tells them."""

    @property
    def would_work(self) -> bool:
        """Whether nothing was found that would keep a rollback from working."""
        return all(one.ok is not False for one in self.checks)


class LastDrill(Fact):
    """The drill before, if there was one that can still be read."""

    drill: Drilled | None = None

    @property
    def told(self) -> str:
        """What a person reads beside the step."""
        return f"the last one was at {self.drill.at:%Y-%m-%d %H:%M} UTC" if self.drill else "none before"


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
                return LastDrill(drill=drill.model_copy(update={"checks": (), "broke": (), "mended": ()}))
            except (ValidationError, WorkflowFailureError) as error:
                activity.logger.warning("%s cannot be read: %s", run.id, error)
        return LastDrill()
