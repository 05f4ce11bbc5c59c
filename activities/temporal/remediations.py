"""What runs on a target, read from Temporal itself: for incidents, which must not depend on being told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal.brakes import PATIENCE
from runbook_model.errors import NotYetError
from runbook_model.fact import Fact
from runbook_model.ids import remediation_id

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowExecutionDescription, WorkflowHandle

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
    def told(self) -> str:
        """What a person reads beside the step."""
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
        return await self._seen(found) if found and _is_open(found) else None

    @activity.defn
    async def await_remediation(self, known: Known) -> RemediationSeen:
        """Return once the run that is known has ended, or, where none is, one is there."""
        if known.run_id and not known.ended:
            mine = await self._describe(known, known.run_id)
            if mine and not _is_open(mine):
                return await self._seen(mine)
            raise NotYetError(f"{_id(known)} goes on", self._look_every)
        newest = await self._describe(known)
        if newest and _is_open(newest) and newest.run_id != known.run_id:
            return await self._seen(newest)
        raise NotYetError(f"nothing runs on {known.environment}/{known.service}", self._look_every)

    async def _describe(self, known: Known, run_id: str | None = None) -> WorkflowExecutionDescription | None:
        handle = self._client.get_workflow_handle(_id(known), run_id=run_id)
        try:
            return await handle.describe(rpc_timeout=PATIENCE)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def _seen(self, found: WorkflowExecutionDescription) -> RemediationSeen:
        handle = self._client.get_workflow_handle(found.id, run_id=found.run_id)
        page = await (_status(handle) if _is_open(found) else _result(handle))
        return RemediationSeen(
            id=found.id,
            run_id=found.run_id,
            workflow_type=found.workflow_type,
            started=found.start_time,
            ended=found.close_time,
            closed_as=None if _is_open(found) or not found.status else found.status.name.lower(),
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


def _is_open(found: WorkflowExecutionDescription) -> bool:
    return found.status is WorkflowExecutionStatus.RUNNING


def _id(known: Known) -> str:
    return remediation_id(known.environment, known.service)
