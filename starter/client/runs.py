"""Runs as Temporal's server knows them, read without asking any worker.

Read from the raw messages: the SDK's own classes fail on a run that somebody paused in the Temporal UI.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from temporalio.api.common.v1 import Payload
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey, TypedSearchAttributes
from temporalio.converter import decode_typed_search_attributes

from activities.temporal import runs
from runbook_model.names import ids
from runbook_model.names.procedures import procedure_of
from runbook_model.reports import Outcome, State
from starter.client.connect import RPC_TIMEOUT
from starter.names import Scope

T = TypeVar("T")

PAUSED_BY_SERVER = 8
"""A status that the SDK does not know yet."""

ENDED_AS = {
    WorkflowExecutionStatus.FAILED: Outcome.FAILED,
    WorkflowExecutionStatus.TERMINATED: Outcome.FAILED,
    WorkflowExecutionStatus.TIMED_OUT: Outcome.FAILED,
    WorkflowExecutionStatus.CANCELED: Outcome.ABORTED,
}


@dataclass(frozen=True)
class Run:
    """One run of a workflow."""

    id: str
    run_id: str
    parent: str | None
    status: int
    procedure: str
    service: str
    environment: str
    recorded_state: str | None
    recorded_outcome: str | None
    started: datetime
    ended: datetime | None
    memo: dict[str, Payload]
    waiting_children: tuple[str, ...] = ()
    first_run_id: str = ""
    """Of the runs that it continues, where it got too long for one."""
    queue: str = ""
    """Whose workers it waits for."""

    @property
    def continues_as_new(self) -> bool:
        """Whether it ended only in order to continue as a new run of the same id, as a long incident does."""
        return self.status == WorkflowExecutionStatus.CONTINUED_AS_NEW

    @property
    def is_open(self) -> bool:
        """Whether it still runs."""
        return runs.is_open(self.status)

    @property
    def state(self) -> State:
        """What it does, as far as the server knows."""
        if not self.is_open:
            return State.DONE
        if self.status == PAUSED_BY_SERVER:
            return State.PAUSED
        known = {state.value: state for state in State if state is not State.DONE}
        return known.get(self.recorded_state or "", State.RUNNING)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; a run that the server ended says nothing itself."""
        if self.is_open:
            return None
        ending = next((end for status, end in ENDED_AS.items() if status == self.status), None)
        if ending is not None:
            return ending
        return Outcome(self.recorded_outcome) if self.recorded_outcome in set(Outcome) else None

    async def memo_value(self, client: Client, key: str, kind: type[T]) -> T | None:
        """Decode a memo field; None when it is missing, null or not what we expect.

        Raises:
            SealedError: it is encrypted, and cannot be decrypted here.
        """
        payload = self.memo.get(key)
        if payload is None:
            return None
        try:
            hint = cast("type", kind | None)
            values = await client.data_converter.decode([payload], [hint])
        except (ValueError, TypeError, RuntimeError):  # another version wrote it; the rest still helps
            return None
        value: T | None = values[0]
        return value


async def describe(client: Client, workflow_id: str, run_id: str | None = None) -> Run | None:
    """Read a run, the newest of its id unless a run id is given; None when there is none."""
    found = await runs.describe(client, workflow_id, run_id, RPC_TIMEOUT)
    if found is None:
        return None
    children = tuple(child.workflow_id for child in found.pending_children)
    return _read(found.workflow_execution_info, children)


def of_scope(scope: Scope) -> list[str]:
    """Return the conditions of a visibility query for the runs of a scope."""
    named = ((ids.SERVICE, scope.service), (ids.ENVIRONMENT, scope.environment))
    limits = [f'{attribute.name} = "{name}"' for attribute, name in named if name is not None]
    return [f"{ids.SERVICE.name} IS NOT NULL", *limits]


async def find(client: Client, query: str, limit: int) -> tuple[list[Run], bool]:
    """List runs by a visibility query, newest first, and whether there are more."""
    found, more = await runs.find(client, query, limit, RPC_TIMEOUT)
    return [_read(info) for info in found], more


def _read(info: WorkflowExecutionInfo, children: tuple[str, ...] = ()) -> Run:
    found = decode_typed_search_attributes(info.search_attributes)
    kind, environment, service = _names_in(info.execution.workflow_id)
    procedure = procedure_of(info.type.name) if ids.is_procedure(info.execution.workflow_id) else kind
    return Run(
        id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        parent=info.parent_execution.workflow_id or None,
        status=info.status,
        procedure=_keyword(found, ids.PROCEDURE) or procedure,
        service=_keyword(found, ids.SERVICE) or service,
        environment=_keyword(found, ids.ENVIRONMENT) or environment,
        recorded_state=_keyword(found, ids.STATE),
        recorded_outcome=_keyword(found, ids.OUTCOME),
        started=info.start_time.ToDatetime(UTC),
        ended=info.close_time.ToDatetime(UTC) if info.HasField("close_time") else None,
        memo=dict(info.memo.fields),
        waiting_children=children,
        first_run_id=info.first_run_id,
        queue=info.task_queue,
    )


def _keyword(found: TypedSearchAttributes, key: SearchAttributeKey[Any]) -> str | None:
    value = found.get(key)
    return value if isinstance(value, str) else None


def _names_in(workflow_id: str) -> tuple[str, str, str]:
    """Read ``kind/environment/service`` from an id that has it."""
    kind, environment, service = (*workflow_id.split("/"), "", "", "")[:3]
    return kind, environment, service


SOON = timedelta(seconds=8)
"""A worker that has not started a run within this time is not there; one that has is waited for."""


async def was_started(client: Client, workflow_id: str) -> bool:
    """Whether a worker has taken the first task of a run."""
    found = await runs.describe(client, workflow_id, None, RPC_TIMEOUT)
    return found is not None and found.workflow_execution_info.history_length > NOT_STARTED


NOT_STARTED = 2
"""Events of a run that nobody has taken: it was started, and its first task is ready."""
