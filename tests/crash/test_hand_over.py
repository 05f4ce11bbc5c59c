"""SIGTERM to a worker, as at every deployment of the product: the long waits are with another worker at once."""

import asyncio

import pytest

from tests.crash.histories import pid_of, schedules, started, until_written, worker_of
from tests.patience import PATIENCE


async def ask_to_end(lane, handle, activity):
    """Ask the worker that has a wait to end; returns its process."""
    await until_written(handle, schedules(activity))
    async with asyncio.timeout(PATIENCE):
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
    for wait, process in asked.items():
        taken = started(events, wait).activity_task_started_event_attributes
        assert pid_of(taken.identity) != process.pid
        # It gave the wait up by itself: nobody had to find out, by a heartbeat that stayed away, that it was gone.
        assert taken.last_failure.application_failure_info.type == "HandedOver"
        assert process.wait(60) == 0
