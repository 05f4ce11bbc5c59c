"""What people order while a procedure is only just being begun, and what the brake then knows of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.worker import Interceptor, WorkflowInboundInterceptor, WorkflowOutboundInterceptor

from workflows import ids
from workflows.brake import Brake

SOON = 10
AWAY = timedelta(seconds=30)


class SlowStarts(Interceptor):
    """Temporal takes its time to start a child."""

    def workflow_interceptor_class(self, _input):
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound):
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    async def start_child_workflow(self, input):  # noqa: A002 - the SDK's name
        await workflow.sleep(AWAY)
        return await super().start_child_workflow(input)


@pytest.fixture
def _slowly(world):
    world.between.append(SlowStarts())


async def nothing_counts(stage):
    """The brake remembers nothing that was begun by itself."""
    brake = stage.client.get_workflow_handle(ids.brake_id(stage.environment))
    async with asyncio.timeout(SOON):
        while (await brake.query(Brake.status)).book.begun:
            await asyncio.sleep(0.01)


async def beginning(stage):
    """An incident that begins a procedure just now."""
    incident = await stage.fires("HighErrorRate")
    await stage.until(lambda now: now.announced)
    while not [e async for e in incident.fetch_history_events() if _is_long_timer(e)]:
        await stage.temporal.sleep(timedelta(0))
    return incident


def _is_long_timer(event):
    started = event.timer_started_event_attributes
    return started.start_to_fire_timeout.ToTimedelta() == AWAY


@pytest.mark.usefixtures("_slowly")
async def test_an_abort_reaches_the_procedure_that_is_just_being_begun(stage):
    incident = await beginning(stage)
    await incident.signal("abort", {"by": "bob", "reason": "I have it"})
    await stage.passes(seconds=60)
    seen = await stage.until(lambda now: now.procedures and now.procedures[0].outcome)
    assert (len(seen.procedures), seen.procedures[0].outcome) == (1, "aborted")
    assert "Aborted by bob (I have it)" in seen.procedures[0].summary


@pytest.mark.usefixtures("_slowly")
async def test_what_a_person_began_first_is_joined_and_takes_no_place_in_the_brakes_book(stage):
    await beginning(stage)
    await stage.starts("rollback")
    await stage.passes(seconds=60)
    seen = await stage.running("rollback")
    assert [one.procedure for one in seen.procedures] == ["rollback"]
    await nothing_counts(stage)
