"""SIGKILL of the worker while a procedure's child is at work: the child makes its change once, the parent ends as it does."""

import pytest
from temporalio.api.enums.v1 import EventType

from tests.crash.histories import schedules
from tests.crash.outages import CRASHES
from tests.crash.rounds import ALL, Point, event_number, kill_at_each

LANES = 2
ASKED_FOR = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
MIDDLES = [
    Point("the child is asked for", lambda event: event.event_type == ASKED_FOR),
    Point("the child's change is scheduled", schedules("deploy_release"), in_child=True),
    Point("1 s into the child's verification", schedules("observe"), 1.0, in_child=True),
]


@pytest.mark.rare
@pytest.mark.xdist_group("crash-child")
@pytest.mark.timeout(3600 if ALL else 900)
async def test_a_procedure_whose_child_loses_its_worker_ends_as_if_nobody_had_died(lanes):
    expected, history = await lanes.undisturbed(outage=CRASHES)
    assert (expected.outcome, expected.changes, expected.deployments) == ("recovered", ["UpdateService"], 1)
    assert expected.marks == {"good": ["verified"], "bad": ["bad"]}
    points = [*MIDDLES, *(event_number(item.event_id) for item in history)] if ALL else MIDDLES
    rounds = await kill_at_each(await lanes.open(LANES, outage=CRASHES), points)
    assert [fault for item in rounds for fault in item.faults(expected)] == []
