"""Steady-state waits, from one to a thousand, on one worker: what AWS is asked, how late it is noticed, what it costs.

The worker is the product's own process. ECS is the lean endpoint of the tests (a thousand services would be thousands of
task processes on the simulator), which answers after 50 ms; what gets steady when is decided here.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from _report import median, p95, publish
from temporalio import workflow
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from activities.ecs.waits import Waits
    from runbook_model.names.ids import watch_queue
    from runbook_model.releases.rollout import Awaited
    from tests.lean_ecs import ARN, calls_per_second
    from tests.many_services import CLUSTER, ManyServices, many_services, name
    from workflows.page.options import execute, watches
    from workflows.page.sandbox import sandbox_runner

COUNTS = (1, 10, 100, 1000)
WATCHED = 10.0
"""Seconds for which nothing gets steady, to measure what waiting costs."""
CALM, BUDGET = 5.0, 10.0


@workflow.defn
class OneWait:
    """Waits as a rollback does and nothing else."""

    @workflow.run
    async def run(self, awaited: Awaited) -> float:
        """Return when it was noticed, in seconds since 1970."""
        hows = watches(watch_queue("open"), remembers=False)
        await execute(Waits.await_steady_state, awaited, hows, activity_id="wait", summary="Wait")
        return workflow.now().timestamp()


Wait = WorkflowHandle[Any, float]


async def start(world: ManyServices, number: int) -> Wait:
    """Wait for the last deployment of a service."""
    service = f"{name(number)}-open"
    awaited = Awaited(
        target=world.target(number),
        deployment=f"ecs-svc/{service}-2",
        task_definition=f"{ARN}:task-definition/{service}:2",
        service_deployment=f"{ARN}:service-deployment/{CLUSTER}/{service}/2",
        deadline=datetime.now(UTC) + timedelta(days=1),
    )
    unique = f"wait-{number}-{uuid.uuid4().hex[:6]}"
    return await world.client.start_workflow(OneWait.run, awaited, id=unique, task_queue="bench")


async def lags(world: ManyServices, waits: dict[int, Wait]) -> list[float]:
    """Let a tenth of the waits, three at least, get steady one after the other; return how late each was noticed."""
    chosen = random.sample(sorted(waits), min(len(waits), max(3, len(waits) // 10)))
    spread = max(3.0, len(chosen) / 5)
    now = time.time()
    moments = {number: now + 1 + random.uniform(0, spread) for number in chosen}
    await world.steady_at({name(number): at for number, at in moments.items()})
    noticed = await asyncio.gather(*(waits[number].result() for number in chosen))
    return [at - moments[number] for number, at in zip(chosen, noticed, strict=True)]


async def end(waits: dict[int, Wait]) -> None:
    """End the waits that still are."""
    for wait in waits.values():
        with suppress(RPCError):  # it has ended by itself
            await wait.terminate()


async def measure(world: ManyServices, count: int) -> dict[str, object]:
    """Measure so many waits."""
    never = time.time() + 86400
    await world.steady_at({name(number): never for number in range(count)})
    with world.working() as worker:
        began = time.time()
        idle = await world.use(worker, 2)
        waits = {}
        for first in range(0, count, 50):
            some = range(first, min(first + 50, count))
            waits |= dict(zip(some, await asyncio.gather(*(start(world, n) for n in some)), strict=True))
        await asyncio.sleep(CALM)
        since = time.time()
        used, temporal = await asyncio.gather(world.use(worker, WATCHED), world.use(world.temporal, WATCHED))
        until = time.time()
        late = []
        for _ in range(5 if count == 1 else 1):
            late += await lags(world, waits)
            if count == 1:
                await world.steady_at({name(0): never})
                waits = {0: await start(world, 0)}
                await asyncio.sleep(2)
        calls = await world.calls(began)
        await end(waits)
    print(f"  {count} waits measured in {time.time() - began:.0f} s", file=sys.stderr, flush=True)
    mean, _ = calls_per_second(calls, "DescribeServices", since, until)
    _, most = calls_per_second(calls, "DescribeServices", began, time.time())
    if most > BUDGET + 1:
        print(f"! {most} calls in one second: the budget is {BUDGET}", file=sys.stderr)
    return {
        "waits": count,
        "calls/s": mean,
        "most in 1 s": most,
        "lag median s": median(late),
        "lag p95 s": p95(late),
        "worker CPU %": used.cpu * 100,
        "worker MB": used.memory,
        "MB more than idle": used.memory - idle.memory,
        "Temporal CPU %": temporal.cpu * 100,
    }


async def main() -> None:
    """Measure all counts in one run."""
    counts = [int(word) for word in sys.argv[1:]] or COUNTS
    async with (
        many_services(max(counts)) as world,
        Worker(world.client, task_queue="bench", workflows=[OneWait], workflow_runner=sandbox_runner()),
    ):
        rows = [await measure(world, count) for count in counts]
    publish("watcher", rows)


if __name__ == "__main__":
    asyncio.run(main())
