"""SIGTERM to a worker, as at every deployment of the product: the long waits are with another worker at once."""

import asyncio

import pytest

from tests.crash.histories import pid_of, schedules, started, time_of, until_written, worker_of

AT_ONCE = 1.5
"""Seconds until another worker has the wait. Measured: a quarter of a second, with the pause before a retry in it;
a worker that just dies costs more than two.
"""


async def ask_to_end(lane, handle, activity):
    """Ask the worker that has a wait to end; returns when, and the process."""
    await until_written(handle, schedules(activity))
    async with asyncio.timeout(20):
        while not (pid := await worker_of(handle, activity)):
            await asyncio.sleep(0.005)
    return lane.workers.ask_to_end(pid)


@pytest.mark.xdist_group("crash")
async def test_a_worker_that_is_asked_to_end_hands_its_waits_over_at_once(lanes):
    expected, _ = await lanes.undisturbed()
    (lane,) = await lanes.open()
    async with lane.remediation(workers=3) as handle:
        asked = {wait: await ask_to_end(lane, handle, wait) for wait in ("await_steady_state", "observe")}
        assert await lane.end_of(handle) == expected
        events = list((await handle.fetch_history()).events)
    for wait, (asked_at, process) in asked.items():
        taken = started(events, wait)
        assert pid_of(taken.activity_task_started_event_attributes.identity) != process.pid
        assert 0 < time_of(taken) - asked_at < AT_ONCE
        assert process.wait(60) == 0
