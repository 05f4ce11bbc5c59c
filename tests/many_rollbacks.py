"""Rollbacks in a world of many services: brought to their checkpoints, and aborted with an undo."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError

from runbook_model.messages import Approval, RollbackRequest
from runbook_model.names.ids import remediation_id
from runbook_model.reports import Report, State
from starter.client.starting import begin
from tests.many_services import name
from tests.patience import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from temporalio.client import WorkflowHandle

    from tests.many_services import ManyServices

AT_ONCE = 20
"""How many are started at a time."""


@dataclass(frozen=True)
class Undoing:
    """How an abort was followed; seconds, as history tells."""

    report: Report
    to_first_step: float
    """From the abort to the start of the first step that undoes."""
    to_change: float
    """From the abort to the answer of the UpdateService that undoes."""
    longest_queue: float
    """Longest time from schedule to start of all its activities after the abort."""


async def start(world: ManyServices, number: int, environment: str = "gated") -> WorkflowHandle:
    """Start the rollback of one service."""
    request = RollbackRequest(service=name(number), environment=environment, requested_by="alice")
    run_id = await begin(world.client, "rollback", request)
    workflow_id = remediation_id(environment, name(number))
    return world.client.get_workflow_handle(workflow_id, run_id=run_id, result_type=Report)


async def at_their_checkpoints(world: ManyServices, numbers: Iterable[int]) -> None:
    """Start rollbacks, and wait until each waits for a person's yes."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def start_number(number: int) -> None:
        async with turns:
            handle = await start(world, number)
            await seen(handle, lambda report: report.state is State.AWAITING_APPROVAL)

    await asyncio.gather(*(start_number(number) for number in numbers))


async def waiting(world: ManyServices) -> int:
    """Count the rollbacks that wait for a person's yes."""
    asked = 'RunbookState = "awaiting-approval" AND ExecutionStatus = "Running"'
    return (await world.client.count_workflows(asked)).count


async def abort_and_undo(world: ManyServices, number: int) -> Undoing:
    """Bring a rollback to where it waits for steady state, abort it, and follow its undo to the end."""
    await world.rollouts_take(None)
    handle = await start(world, number)
    asked = await seen(handle, lambda report: report.checkpoint is not None)
    await handle.execute_update("decide", Approval(by="bob", plan_hash=asked.plan_hash))
    await seen(handle, lambda report: any(step.step.startswith("Wait until only") for step in report.steps))
    await world.rollouts_take(0)
    await handle.signal("abort", {"by": "bob", "reason": "measured", "keep": False})
    async with asyncio.timeout(PATIENCE):
        report = await handle.result()
    return _followed(report, (await handle.fetch_history()).events)


def _followed(report: Report, events) -> Undoing:
    signal = next(
        event for event in events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    )
    aborted = signal.event_time.ToDatetime()
    scheduled = {
        event.event_id: event
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.event_id > signal.event_id
    }
    queued, changed, first = [], None, None
    for event in events:
        started = event.activity_task_started_event_attributes.scheduled_event_id
        if started in scheduled:
            at = event.event_time.ToDatetime()
            first = first or at
            queued.append((at - scheduled[started].event_time.ToDatetime()).total_seconds())
        done = scheduled.get(event.activity_task_completed_event_attributes.scheduled_event_id)
        kind = done and done.activity_task_scheduled_event_attributes.activity_type.name
        if kind == "deploy_release":
            changed = event.event_time.ToDatetime()
    assert first, "no step after the abort"
    assert changed, f"nothing was undone: {report.summary}"
    return Undoing(
        report, (first - aborted).total_seconds(), (changed - aborted).total_seconds(), max(queued)
    )


async def seen(handle: WorkflowHandle, wanted: Callable[[Report], bool], seconds: float = 60) -> Report:
    """Look at a run until its page is as wanted; a query that a busy worker does not answer is asked again."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                report = await handle.query("status", result_type=Report)
            except RPCError:
                await asyncio.sleep(0.2)
                continue
            if wanted(report):
                return report
            assert report.state is not State.DONE, f"it ended: {report.summary}"
            await asyncio.sleep(0.2)
