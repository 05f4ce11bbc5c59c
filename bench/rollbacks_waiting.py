"""Rollbacks at their checkpoints on one worker: what they cost, and whether a neighbour's abort waits for them.

The neighbour's rollback is approved and waits for steady state when it is aborted with an undo. Measured, as history
tells, is the time from the abort to the start of the first step that undoes and to the answer of the undoing
UpdateService: first on an idle worker, then next to the others. What counts is the ratio.
"""

from __future__ import annotations

import asyncio
import sys
import time

from _report import median, publish

from tests.lean_ecs import calls_per_second
from tests.many_rollbacks import Undoing, abort_and_undo, at_their_checkpoints
from tests.many_services import ManyServices, many_services

WAITING = 1000
ROUNDS = 5
WATCHED = 20.0


async def neighbours(world: ManyServices, first: int) -> list[Undoing]:
    """Abort and undo some rollbacks, one after the other."""
    return [await abort_and_undo(world, first + number) for number in range(ROUNDS)]


async def row(world: ManyServices, waiting: int, first: int) -> dict[str, object]:
    """Measure a worker with so many rollbacks at their checkpoints."""
    since = time.time()
    used, temporal = await asyncio.gather(
        world.use(world.worker, WATCHED), world.use(world.temporal, WATCHED)
    )
    calls = await world.calls(since)
    mean, most = calls_per_second(calls, "DescribeServices", since, since + WATCHED)
    undone = await neighbours(world, first)
    return {
        "waiting": waiting,
        "calls/s": mean,
        "most in 1 s": most,
        "worker MB": used.memory,
        "worker CPU %": used.cpu * 100,
        "Temporal CPU %": temporal.cpu * 100,
        "abort to undo step s": median([item.to_first_step for item in undone]),
        "abort to UpdateService s": median([item.to_change for item in undone]),
        "longest in queue s": max(item.longest_queue for item in undone),
    }


async def main() -> None:
    """Measure without and with rollbacks that wait, in one run."""
    waiting = int(sys.argv[1]) if len(sys.argv) > 1 else WAITING
    async with many_services(waiting + 2 * ROUNDS) as world:
        with world.working("gated"):
            idle = await row(world, 0, waiting)
            began = time.monotonic()
            await at_their_checkpoints(world, range(waiting))
            print(
                f"  {waiting} brought to their checkpoints in {time.monotonic() - began:.0f} s",
                file=sys.stderr,
            )
            busy = await row(world, waiting, waiting + ROUNDS)
    columns = ("worker MB", "abort to undo step s", "abort to UpdateService s")
    ratio = {column: f"{busy[column] / idle[column]:.1f}x" if column in columns else None for column in idle}
    publish("rollbacks_waiting", [idle, busy, ratio | {"waiting": "ratio"}])


if __name__ == "__main__":
    asyncio.run(main())
