"""AWS that refuses a read for a moment, as it does when many calls come at once: the diagnosis waits, and is the same."""

from functools import partial

import pytest

from activities.runtime.fence import TRIES
from tests.crash.histories import started
from tests.crash.outages import CRASHES


@pytest.mark.xdist_group("crash")
@pytest.mark.rare
async def test_a_throttled_read_is_tried_again_and_changes_no_diagnosis(world, lanes):
    expected, _ = await lanes.undisturbed(outage=CRASHES)
    (lane,) = await lanes.open(outage=CRASHES)
    refused = TRIES - 2
    throttle = partial(world.fault, "ListTasks", error="ThrottlingException", times=refused)
    async with lane.remediation(first=throttle) as handle:
        assert await lane.end_of(handle) == expected
        events = list((await handle.fetch_history()).events)
    assert started(events, "read_tasks").activity_task_started_event_attributes.attempt == refused + 1
