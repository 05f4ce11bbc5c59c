"""SIGKILL of the worker at every event of a rollback where deployments shift traffic: under way by a stop, finished by an update."""

import pytest

from tests.crash.histories import schedules
from tests.crash.outages import AFTER_THE_BAKE, IN_THE_BAKE
from tests.crash.rounds import ALL, Point, event_number, kill_at_each
from tests.crash.table import table_of, write_down

LANES = 3
CASES = {
    "a stop in the bake time": (IN_THE_BAKE, "stop_deployment", "StopServiceDeployment", 0),
    "an update after it": (AFTER_THE_BAKE, "deploy_release", "UpdateService", 1),
}


@pytest.mark.rare
@pytest.mark.xdist_group("crash-shifting")
@pytest.mark.timeout(3600 if ALL else 900)
@pytest.mark.parametrize("case", CASES)
async def test_a_killed_worker_changes_neither_what_is_done_to_shifted_traffic_nor_how_it_ends(lanes, case):
    outage, activity, change, deployments = CASES[case]
    expected, history = await lanes.undisturbed(outage=outage)
    assert (expected.outcome, expected.runs, expected.changes, expected.deployments) == (
        "recovered",
        "the good release",
        [change],
        deployments,
    )
    middles = [
        Point("the change is scheduled", schedules(activity)),
        Point("the wait for traffic is scheduled", schedules("await_steady_state")),
        Point("1 s into the verification", schedules("observe"), 1.0),
    ]
    points = [*(event_number(item.event_id) for item in history), middles[-1]] if ALL else middles
    rounds = await kill_at_each(await lanes.open(LANES, outage=outage), points)
    if ALL:
        write_down(case, table_of(rounds, expected))
    assert [fault for item in rounds for fault in item.faults(expected)] == []
