"""What runs did, read from their histories: when a change was first made, and what a run left behind that was cut off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.temporal.runs import NO_SUCH_RUN, PATIENCE, find, is_open, read_events
from runbook_model.errors import NotWarrantedError, PolicyError
from runbook_model.fact import Fact
from runbook_model.names.ids import is_lock

MOST = 10
"""How many runs are looked at: only those that started since the one that asks stand before its predecessor."""

CUT_OFF: dict[int, str] = {
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed out",
    WorkflowExecutionStatus.FAILED: "failed",
}

CHANGES = {
    "deploy_release": "UpdateService",
    "force_deployment": "UpdateService (forced)",
    "stop_deployment": "StopServiceDeployment",
    "put_settings_back": "UpdateService (deployment configuration)",
    "continue_deployment": "ContinueServiceDeployment",
    "register_release": "RegisterTaskDefinition",
    "register_sized": "RegisterTaskDefinition",
    "apply_terraform": "terraform apply",
    "scale_out": "scaling out",
    "terminate_sessions": "pg_terminate_backend",
    "reboot_instance": "RebootDBInstance",
    "restart_service": "a restart of containers",
}
"""Activity of the product -> the call that it makes."""

DEEPEST = 10
"""So many runs may stand above one."""

NOTHING_SENT = frozenset({NotWarrantedError.__name__, PolicyError.__name__})


class RunName(Fact):
    """A run that asks after the one before it."""

    workflow_id: str
    run_id: str
    under: RunName | None = None
    """The procedure whose child it is: that one holds the lock, and its predecessor counts as this one's."""


class Predecessor(Fact):
    """The run before this one, if it was cut off after it had changed something or may have."""

    run_id: str = ""
    how: str = ""
    """``terminated``, ``timed out`` or ``failed``."""
    changes: tuple[str, ...] = ()
    """The calls that it made or may have made, as text."""

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        if not self.changes:
            return "none left anything behind"
        return f"run {self.run_id} was {self.how} after: {'; '.join(self.changes)}"


class RunHistory:
    """Reads the histories of earlier runs from Temporal itself."""

    def __init__(self, client: Client, own_changes: Mapping[str, str] | None = None) -> None:
        """Read with this client; ``own_changes`` is what activities of installed packages change."""
        self._client = client
        self._calls = {**CHANGES, **(own_changes or {})}

    @activity.defn
    async def read_predecessor(self, run: RunName) -> Predecessor:
        """Find out whether the last run on this id, or on that of the procedure above it, was cut off with changes made."""
        own = await self._before(run)
        return await self._before(run.under) if run.under and not own.changes else own

    async def _before(self, run: RunName) -> Predecessor:
        # The newest start comes first: that is visibility's own order.
        query = f"WorkflowId = '{run.workflow_id}'"
        newest, _ = await find(self._client, query, MOST, PATIENCE)
        for found in newest:
            run_id = found.execution.run_id
            if run_id == run.run_id or is_open(found.status):
                continue
            how = CUT_OFF.get(found.status)
            if how is None:
                return Predecessor()
            changes = await self._changes(run.workflow_id, run_id)
            return Predecessor(run_id=run_id, how=how, changes=changes)
        return Predecessor()

    async def _changes(self, workflow_id: str, run_id: str) -> tuple[str, ...]:
        """List what a run and the procedures that it ran as its children changed."""
        events = (await self._client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()).events
        changes = list(_changes(events, self._calls))
        for event in events:
            if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                child = event.child_workflow_execution_started_event_attributes.workflow_execution
                if not is_lock(child.workflow_id):
                    changes += await self._changes(child.workflow_id, child.run_id)
        return tuple(changes)


def _changes(events: Iterable[HistoryEvent], calls: Mapping[str, str]) -> Iterable[str]:
    """List the changes that a history shows as started: each was made, or may have been."""
    started: dict[int, str] = {}
    done: set[int] = set()
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            if call := calls.get(scheduled.activity_type.name):
                started[event.event_id] = f"{call} at {event.event_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            done.add(event.activity_task_completed_event_attributes.scheduled_event_id)
    for event_id, call in started.items():
        yield call if event_id in done else f"{call} (may not have been made)"


class ChangeHistory:
    """Reads from Temporal itself which changes a run has made, and whose child it is."""

    def __init__(self, client: Client, changes: Collection[str]) -> None:
        self._client = client
        self._changes = changes

    async def first_made(self, workflow_id: str, run_id: str, document: str) -> datetime | None:
        """Return when a run made its first change that brought a document along; None where it made none yet."""
        events = await read_events(self._client, workflow_id, run_id)
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
                if error.status in NO_SUCH_RUN:
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
