"""What people order while a procedure is only just being started, and what the brake then knows of it."""

from __future__ import annotations

import asyncio

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Interceptor, WorkflowInboundInterceptor, WorkflowOutboundInterceptor

from runbook_model.names import ids
from tests.patience import PATIENCE
from workflows.brake import Brake


class StartsAtAWord(Interceptor):
    """Temporal takes its time to start a child: until the test says so."""

    def workflow_interceptor_class(self, _input):
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound):
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    async def start_child_workflow(self, input):  # noqa: A002 - the SDK's name
        said = asyncio.Event()
        workflow.set_signal_handler("start", said.set)
        await said.wait()
        return await super().start_child_workflow(input)


@pytest.fixture
def _slowly(world):
    world.between.append(StartsAtAWord())


async def nothing_counts(stage):
    """The brake remembers nothing that was started automatically."""
    brake = stage.client.get_workflow_handle(ids.brake_id(stage.environment))
    async with asyncio.timeout(PATIENCE):
        while (await brake.query(Brake.status)).book.starts:
            await asyncio.sleep(0.01)


async def beginning(stage):
    """An incident that starts a procedure just now: the brake let it, and Temporal has not answered yet."""
    incident = await stage.fires("HighErrorRate")
    brake = stage.client.get_workflow_handle(ids.brake_id(stage.environment))
    async with asyncio.timeout(PATIENCE):
        while not await _is_asked(incident):
            await asyncio.sleep(0.01)
    assert (await brake.query(Brake.status)).book.starts
    return incident


async def _is_asked(incident) -> bool:
    """Whether the workflow has taken the brake's answer."""
    events = [event async for event in incident.fetch_history_events()]
    asked = [
        event.event_id
        for event in events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "reserve"
    ]
    answered = [
        event.event_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
        and event.activity_task_completed_event_attributes.scheduled_event_id in asked
    ]
    taken = [
        event.event_id for event in events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    return bool(answered) and max(taken) > max(answered)


@pytest.mark.usefixtures("_slowly")
async def test_an_abort_reaches_the_procedure_that_is_just_being_started(stage):
    incident = await beginning(stage)
    await incident.signal("abort", {"by": "bob", "reason": "I have it"})
    await incident.signal("start")
    seen = await stage.until(lambda now: now.procedures and now.procedures[0].outcome)
    assert (len(seen.procedures), seen.procedures[0].outcome) == (1, "aborted")
    assert "Aborted by bob (I have it)" in seen.procedures[0].summary


@pytest.mark.usefixtures("_slowly")
async def test_what_a_person_started_first_is_joined_and_takes_no_place_in_the_brakes_book(stage):
    incident = await beginning(stage)
    await stage.starts("rollback")
    await incident.signal("start")
    seen = await stage.running("rollback")
    assert [procedure.procedure for procedure in seen.procedures] == ["rollback"]
    await nothing_counts(stage)
