"""When a change was first made by a yes, read from the history of the run that it was given to."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runbook_model.errors import NotWarrantedError, PolicyError

PATIENCE = timedelta(seconds=5)
DEEPEST = 10
"""So many runs may stand above one."""
NOTHING_SENT = frozenset({NotWarrantedError.__name__, PolicyError.__name__})


class ChangeHistory:
    """Reads from Temporal itself which changes a run has made, and whose child it is."""

    def __init__(self, client: Client, changes: Collection[str]) -> None:
        self._client = client
        self._changes = changes

    async def first_made(self, workflow_id: str, run_id: str, document: str) -> datetime | None:
        """Return when a run made its first change that brought a document along; None where it made none yet."""
        try:
            handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
            events = (await handle.fetch_history(rpc_timeout=PATIENCE)).events
        except RPCError as error:
            if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
                return None
            raise
        refused = {
            failed.scheduled_event_id
            for event in events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED
            and (failed := event.activity_task_failed_event_attributes)
            and failed.failure.application_failure_info.type in NOTHING_SENT
        }
        for event in events:
            if event.event_id not in refused and await self._brings(event, document):
                return event.event_time.ToDatetime(UTC)
        return None

    async def is_under(self, run: tuple[str, str], parent: tuple[str, str]) -> bool:
        """Whether a run is another one, or a child under it; both by id and run id."""
        for _ in range(DEEPEST):
            if run == parent:
                return True
            handle = self._client.get_workflow_handle(run[0], run_id=run[1])
            try:
                found = await handle.describe(rpc_timeout=PATIENCE)
            except RPCError as error:
                if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
                    return False
                raise
            if not (found.parent_id and found.parent_run_id):
                return False
            run = (found.parent_id, found.parent_run_id)
        return False

    async def _brings(self, event: HistoryEvent, document: str) -> bool:
        if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            return False
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name not in self._changes:
            return False
        (given,) = await self._client.data_converter.decode(scheduled.input.payloads)
        return document in _documents(given)


def _documents(given: Any) -> list[object]:
    if not isinstance(given, dict):
        return []
    return [
        authority.get("warrant", {}).get("document")
        for authority in given.get("authorities", ())
        if isinstance(authority, dict)
    ]
