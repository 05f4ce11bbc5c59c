"""Who holds a lock: read from Temporal itself, which knows whose child a lock is."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal.runs import PATIENCE, POLL, describe, is_open, read_pollers
from runbook_model.errors import NotYetError
from runbook_model.locks import Holder, LockQuestion

LOOK_EVERY = timedelta(seconds=1)


class LockActivities:
    """Looks who holds locks, and frees those that nobody does."""

    def __init__(
        self, client: Client, look_every: timedelta = LOOK_EVERY, polls_within: timedelta = POLL
    ) -> None:
        self._client = client
        self._look_every = look_every
        self._polls_within = polls_within

    @activity.defn
    async def find_holder(self, question: LockQuestion) -> Holder:
        """Name the open run that holds a lock; a lock whose run has ended is ended here, should Temporal not have yet."""
        lock = await self._open(question.lock)
        if lock is None:
            return Holder()
        if not lock.parent_execution.workflow_id:
            return _holder(lock, lock, alone=True)
        if lock.parent_execution.run_id == question.run_id:
            raise NotYetError(f"{question.lock} is being released", self._look_every)
        run = await self._open_or_reset(lock.parent_execution)
        if run and run.execution.run_id != question.run_id:
            return _holder(run, lock)
        why = "the run that held it was reset" if run else "the run that held it has ended"
        await self._terminate(question.lock, lock.execution.run_id, why)
        return Holder()

    @activity.defn
    async def make_room(self, question: LockQuestion) -> Holder:
        """Return once a lock is free: its holder is aborted and keeps its changes; what cannot end by itself is terminated.

        That is a lock of nobody's, and a run whose queue no worker asks for work any more.
        """
        holder = await self.find_holder(question)
        if not holder.id:
            return holder
        if holder.alone:
            await self._terminate(holder.id, holder.run_id, f"replaced by {question.by}")
            return Holder()
        if not await self._is_served(holder):
            await self._terminate(holder.id, holder.run_id, f"replaced by {question.by}: no worker serves it")
        elif question.reason:
            mark = f"room-{question.run_id}"
            order = {"by": question.by, "reason": question.reason, "keep": True, "decision_id": mark}
            await self._handle(holder.id, holder.run_id).signal("abort", order, rpc_timeout=PATIENCE)
        else:
            return holder
        raise NotYetError(f"{holder.id} ends", self._look_every)

    async def _is_served(self, holder: Holder) -> bool:
        """Whether a worker asked the queue of a run for work lately."""
        run = await self._open(holder.id, holder.run_id)
        if run is None:
            return True
        return bool(await read_pollers(self._client, run.task_queue, PATIENCE, lately=self._polls_within))

    async def _open(self, workflow_id: str, run_id: str = "") -> WorkflowExecutionInfo | None:
        """Describe a run that is open; None where there is none."""
        found = await describe(self._client, workflow_id, run_id, PATIENCE)
        return _if_open(found) if found else None

    async def _open_or_reset(self, run: WorkflowExecution) -> WorkflowExecutionInfo | None:
        """Describe a run that is open, or the open one that it was reset to: Temporal leaves the lock with the first."""
        run_id = run.run_id
        while found := await describe(self._client, run.workflow_id, run_id, PATIENCE):
            run_id = found.workflow_extended_info.reset_run_id
            if not run_id:
                return _if_open(found)
        return None

    async def _terminate(self, workflow_id: str, run_id: str, why: str) -> None:
        try:
            await self._handle(workflow_id, run_id).terminate(reason=why, rpc_timeout=PATIENCE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
                raise

    def _handle(self, workflow_id: str, run_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(workflow_id, run_id=run_id)


def _if_open(found: DescribeWorkflowExecutionResponse) -> WorkflowExecutionInfo | None:
    info = found.workflow_execution_info
    return info if is_open(info.status) else None


def _holder(run: WorkflowExecutionInfo, lock: WorkflowExecutionInfo, *, alone: bool = False) -> Holder:
    return Holder(
        id=run.execution.workflow_id,
        run_id=run.execution.run_id,
        workflow_type=run.type.name,
        since=lock.start_time.ToDatetime(UTC),
        alone=alone,
    )
