"""Runs as Temporal's server knows them, in its raw messages: the SDK's own classes fail on a run that is paused there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

PATIENCE = timedelta(seconds=5)
"""For one call of an activity."""
NO_SUCH_RUN = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT})
"""How the server answers for an id or a run id that it does not know, or that is none."""
MOST_OF_A_PAGE = 500
CLOSED = frozenset(int(status) for status in WorkflowExecutionStatus) - {int(WorkflowExecutionStatus.RUNNING)}
"""Every other status is open, also one that the SDK does not know yet, such as that of a run paused on the server."""

POLL = timedelta(seconds=70)
"""A worker that lives asks its queue for work at least this often."""
OPEN = "CloseTime IS NULL"
"""The condition of a visibility query for open runs; a run that is paused on the server is one, and is not "Running"."""


def is_open(status: int) -> bool:
    """Whether a run with this status has not ended."""
    return status not in CLOSED


async def describe(
    client: Client, workflow_id: str, run_id: str | None, within: timedelta
) -> DescribeWorkflowExecutionResponse | None:
    """Read a run, the newest of its id unless a run id is given; None when there is none."""
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id or ""),
    )
    try:
        return await client.workflow_service.describe_workflow_execution(request, retry=True, timeout=within)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND and "amespace" not in error.message:
            return None
        raise


async def read_events(client: Client, workflow_id: str, run_id: str) -> Sequence[HistoryEvent]:
    """Read the history of a run; nothing when there is no such run."""
    try:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        return (await handle.fetch_history(rpc_timeout=PATIENCE)).events
    except RPCError as error:
        if error.status in NO_SUCH_RUN:
            return ()
        raise


async def read_pollers(
    client: Client,
    queue: str,
    within: timedelta,
    *,
    kind: TaskQueueType.ValueType = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    lately: timedelta = POLL,
) -> list[PollerInfo]:
    """Read which workers asked a queue for work lately; one that died a moment ago is still among them."""
    found = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        ),
        timeout=within,
    )
    oldest = datetime.now(UTC) - lately
    return [poller for poller in found.pollers if poller.last_access_time.ToDatetime(UTC) > oldest]


async def find(
    client: Client, query: str, limit: int, within: timedelta
) -> tuple[list[WorkflowExecutionInfo], bool]:
    """List runs by a visibility query, newest first, and whether there are more."""
    runs: list[WorkflowExecutionInfo] = []
    token = b""
    while len(runs) < limit:
        request = ListWorkflowExecutionsRequest(
            namespace=client.namespace,
            query=query,
            page_size=min(limit - len(runs), MOST_OF_A_PAGE),
            next_page_token=token,
        )
        page = await client.workflow_service.list_workflow_executions(request, retry=True, timeout=within)
        runs += page.executions
        token = page.next_page_token
        if not token:
            return runs, False
    return runs, True
