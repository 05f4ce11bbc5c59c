"""SIGTERM to a worker, as at every deployment of the product: the long waits are with another worker at once."""

import asyncio
import time

import pytest

from tests.crash.histories import schedules, until_written, worker_of

AT_ONCE = 1.0
"""Seconds until another worker has the wait: measured a quarter of a second, most of it the pause before a retry."""


async def hand_over(lane, handle, activity):
    """Ask the worker that has a wait to end; returns after how many seconds another has it, and the process."""
    await until_written(handle, schedules(activity))
    first = await held(handle, activity)
    asked_at, process = lane.workers.ask_to_end(first)
    await held(handle, activity, not_by=first)
    return time.time() - asked_at, process


async def held(handle, activity, *, not_by=0):
    """Wait until a worker, or another one, has an activity; returns its process."""
    async with asyncio.timeout(20):
        while (pid := await worker_of(handle, activity)) in {0, not_by}:
            await asyncio.sleep(0.005)
    return pid


@pytest.mark.xdist_group("crash")
async def test_a_worker_that_is_asked_to_end_hands_its_waits_over_at_once(lanes):
    expected, _ = await lanes.undisturbed()
    (lane,) = await lanes.open()
    async with lane.rollback(workers=3) as handle:
        waiting, first = await hand_over(lane, handle, "await_steady_state")
        verifying, second = await hand_over(lane, handle, "observe")
        assert await lane.end_of(handle) == expected
    assert waiting < AT_ONCE
    assert verifying < AT_ONCE
    assert [first.wait(30), second.wait(30)] == [0, 0]
