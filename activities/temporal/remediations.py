"""What runs on a target, read from Temporal itself: for incidents, which must not depend on messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from activities.temporal.runs import PATIENCE, describe, is_open
from runbook_model.errors import NotYetError
from runbook_model.fact import Fact
from runbook_model.names.ids import remediation_id

LOOK_EVERY = timedelta(minutes=1)
ITS_OWN = ("steps", "readings", "plan", "rejected", "decisions")
"""Parts of a page that only the page itself needs."""


class Known(Fact):
    """What an incident knows of its target's remediation."""

    environment: str
    service: str
    run_id: str | None = None
    ended: bool = True


class RemediationSeen(Fact):
    """A run that holds or held a target's lock."""

    id: str
    run_id: str
    workflow_type: str
    started: datetime
    ended: datetime | None = None
    closed_as: str | None = None
    """``completed``, ``terminated`` …"""
    page: dict[str, Any] | None = None
    """Its report, as far as it could be read."""

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return f"{self.workflow_type} {self.closed_as or 'runs'} ({self.run_id})"


class RemediationActivities:
    """Looks at remediations."""

    def __init__(self, client: Client, look_every: timedelta = LOOK_EVERY) -> None:
        self._client = client
        self._look_every = look_every

    @activity.defn
    async def find_remediation(self, known: Known) -> RemediationSeen | None:
        """Look which run holds the target's lock now."""
        found = await self._describe(known)
        return await self._seen(found) if found and is_open(found.status) else None

    @activity.defn
    async def await_remediation(self, known: Known) -> RemediationSeen:
        """Return once the run that is known has ended, or, where none is, one is there."""
        if known.run_id and not known.ended:
            mine = await self._describe(known, known.run_id)
            if mine and not is_open(mine.status):
                return await self._seen(mine)
            raise NotYetError(f"{_id(known)} continues", self._look_every)
        newest = await self._describe(known)
        if newest and is_open(newest.status) and newest.execution.run_id != known.run_id:
            return await self._seen(newest)
        raise NotYetError(f"nothing runs on {known.environment}/{known.service}", self._look_every)

    async def _describe(self, known: Known, run_id: str | None = None) -> WorkflowExecutionInfo | None:
        found = await describe(self._client, _id(known), run_id, PATIENCE)
        return found.workflow_execution_info if found else None

    async def _seen(self, found: WorkflowExecutionInfo) -> RemediationSeen:
        run, goes_on = found.execution, is_open(found.status)
        handle = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
        page = await (_status(handle) if goes_on else _result(handle))
        return RemediationSeen(
            id=run.workflow_id,
            run_id=run.run_id,
            workflow_type=found.type.name,
            started=found.start_time.ToDatetime(UTC),
            ended=None if goes_on else found.close_time.ToDatetime(UTC),
            closed_as=None if goes_on else WorkflowExecutionStatus(found.status).name.lower(),
            page={key: value for key, value in page.items() if key not in ITS_OWN} if page else None,
        )


async def _status(handle: WorkflowHandle[Any, Any]) -> dict[str, Any] | None:
    try:
        page = await handle.query("status", rpc_timeout=PATIENCE)
    except (RPCError, WorkflowQueryFailedError):
        return None
    return page if isinstance(page, dict) else None


async def _result(handle: WorkflowHandle[Any, Any]) -> dict[str, Any] | None:
    try:
        page = await handle.result(follow_runs=False, rpc_timeout=PATIENCE)
    except WorkflowFailureError:
        return None
    return page if isinstance(page, dict) else None


def _id(known: Known) -> str:
    return remediation_id(known.environment, known.service)
