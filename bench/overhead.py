"""The product's own time: a rollback up to steady state, against the bare calls on the same world.

Bare means what a script would do: DescribeServices, UpdateService, and DescribeServices once a second until two readings
in a row are steady. The product looks up the target and what ran before, measures, plans, and writes everything down.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import boto3
from _report import median, p95, publish
from temporalio.api.enums.v1 import EventType

from runbook_model.reports import State
from tests.lean_ecs import ARN
from tests.many_rollbacks import seen, start
from tests.many_services import CLUSTER, ManyServices, many_services, name

ROUNDS = 8
ROLLOUT = 3.0
"""Seconds until a new deployment is steady."""


def bare(ecs: Any, number: int) -> float:
    """Put a service back by hand; return the seconds that took."""
    service = f"{name(number)}-open"
    began = time.monotonic()
    ecs.describe_services(cluster=CLUSTER, services=[service])
    ecs.update_service(cluster=CLUSTER, service=service, taskDefinition=f"{ARN}:task-definition/{service}:1")
    alike = 0
    while alike < 2:
        time.sleep(1)
        found = ecs.describe_services(cluster=CLUSTER, services=[service])["services"][0]
        alike = alike + 1 if found["deployments"][0]["rolloutState"] == "COMPLETED" else 0
    return time.monotonic() - began


async def product(world: ManyServices, number: int) -> tuple[float, float]:
    """Put a service back by a rollback; return the seconds to its first step and to steady state, as history tells."""
    handle = await start(world, number, "open")
    await seen(handle, lambda report: report.state is State.VERIFYING)
    await handle.signal("abort", {"by": "bob", "reason": "measured", "keep": True})
    await handle.result()
    events = (await handle.fetch_history()).events
    names = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    }
    began = events[0].event_time.ToDatetime()
    starts = [e for e in events if e.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED]
    steady = next(
        event
        for event in events
        if names.get(event.activity_task_completed_event_attributes.scheduled_event_id)
        == "await_steady_state"
    )
    moments = starts[0].event_time.ToDatetime(), steady.event_time.ToDatetime()
    first, end = ((moment - began).total_seconds() for moment in moments)
    return first, end


async def main() -> None:
    """Measure in turns, so that noise hits both alike."""
    by_hand, first, whole = [], [], []
    async with many_services(2 * ROUNDS + 1) as world:
        await world.rollouts_take(ROLLOUT)
        ecs = boto3.client("ecs", endpoint_url=world.settings["AWS_ENDPOINT_URL"], region_name="us-east-1",
                           aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
        with world.working():
            await product(world, 2 * ROUNDS)  # the worker's first: it builds clients
            for number in range(ROUNDS):
                by_hand.append(await asyncio.to_thread(bare, ecs, 2 * number))
                step, end = await product(world, 2 * number + 1)
                first.append(step)
                whole.append(end)
    times = {"bare calls to steady": by_hand, "rollback to steady": whole, "rollback to first step": first}
    publish("overhead", [
        {"what": what, "median s": median(took), "p95 s": p95(took),
         "more than the bare calls s": median(took) - median(by_hand) if took is whole else None,
         "ratio": f"{median(took) / median(by_hand):.2f}x"}
        for what, took in times.items()
    ])  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main())
