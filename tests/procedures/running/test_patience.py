"""A wait that is taken for dead too often is believed for longer; nothing else of it changes."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from runbook_model.errors import AccessDeniedError, BugError, UnreachableError
from runbook_model.reports import Outcome
from workflows.page.options import APPLY, DEAD_AFTER

OUTAGE = DEAD_AFTER + timedelta(seconds=1.5)
SECONDS = [timedelta(seconds=n) for n in (2, 10, 60)]


async def test_a_wait_whose_attempts_run_out_continues_with_more_patience(runbook, outside):
    outside.fails["await_steady_state"] = [UnreachableError("too busy") for _ in range(9)]
    handle = await runbook.start()
    report = await handle.result()
    assert report.outcome is Outcome.RECOVERED
    waits = [
        event.activity_task_scheduled_event_attributes
        for event in (await handle.fetch_history()).events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.activity_task_scheduled_event_attributes.activity_type.name == "await_steady_state"
    ]
    assert [wait.heartbeat_timeout.ToTimedelta() for wait in waits] == SECONDS
    assert [wait.retry_policy.maximum_attempts for wait in waits] == [4, 4, 0]
    assert len([step for step in report.steps if step.step.startswith("Wait until only")]) == 1


async def test_a_wait_that_fails_for_good_is_not_tried_with_more_patience(runbook, outside):
    outside.fails["await_steady_state"] = [UnreachableError("once"), AccessDeniedError("never")]
    report = await runbook.run()
    assert (report.outcome, report.error.kind) == (Outcome.INCONCLUSIVE, "AccessDeniedError")
    assert outside.calls.count("await_steady_state") == 2


async def test_a_bug_in_a_step_ends_the_run_with_the_bug_shown_instead_of_half_an_hour_of_silence(
    runbook, outside
):
    attempts = range(1, BugError.ATTEMPTS + 1)
    outside.fails["read_history"] = [BugError("read_history", "KeyError: 'tasks'", n) for n in attempts]
    report = await runbook.run()
    assert (report.outcome, report.error.kind) == (Outcome.FAILED, "BugError")
    assert "read_history failed in its own code (KeyError: 'tasks')" in report.summary
    assert outside.calls.count("read_history") == len(attempts)


@workflow.defn(name="Applies")
class Applies:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity("apply", result_type=int, **APPLY)


@activity.defn(name="apply")
async def silent_for_a_while() -> int:
    """As an apply is of whose heartbeats none arrives for some seconds."""
    activity.heartbeat()
    if activity.info().attempt == 1:
        time.sleep(OUTAGE.total_seconds())  # noqa: ASYNC251 - nothing of this process shall be heard of
    for _ in range(20):
        activity.heartbeat()
        await asyncio.sleep(0.1)
    return activity.info().attempt


async def test_an_apply_is_not_interrupted_because_nothing_was_heard_of_it_for_some_seconds(server):
    queue = uuid.uuid4().hex
    async with Worker(
        server.client, task_queue=queue, workflows=[Applies], activities=[silent_for_a_while],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):  # fmt: skip
        assert await server.client.execute_workflow("Applies", id=queue, task_queue=queue) == 1
