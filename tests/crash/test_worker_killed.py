"""SIGKILL of the worker that a rollback stands on, at every event of its history: the end is the same."""

import os
import random

import pytest

from tests.crash.histories import activity_of, schedules
from tests.crash.rounds import ALL, Point, event_number, kill_at_each
from tests.crash.table import table_of, write_down

SEED = os.environ.get("CRASH_SEED", "1")
LANES = 3
MIDDLES = [
    Point("1 s into the wait for steady state", schedules("await_steady_state"), 1.0),
    Point("1.5 s into the verification", schedules("observe"), 1.5),
]


def sampled(history):
    """Five points that matter, each one of its kind by chance: the seed says which."""
    chance = random.Random(SEED)
    reads = [
        item for item in history if (activity_of(item) or "").startswith(("resolve", "read_", "measure"))
    ]
    marks = [item for item in history if activity_of(item) == "mark_release"]
    read, mark = chance.choice(reads), chance.choice(marks)
    return [
        Point("a change is scheduled", schedules("deploy_release")),
        Point("a read", lambda event: event.event_id == read.event_id),
        *MIDDLES,
        Point("a mark", lambda event: event.event_id == mark.event_id),
    ]


WITHOUT = pytest.param(0, marks=pytest.mark.xdist_group("crash"))
WITH_ONE = pytest.param(1, marks=pytest.mark.xdist_group("crash-child"))


@pytest.mark.grows
@pytest.mark.timeout(3600 if ALL else 900)
@pytest.mark.parametrize("approvals", [WITHOUT, WITH_ONE] if ALL else [WITHOUT])
async def test_a_killed_worker_changes_neither_what_is_done_nor_how_it_ends(lanes, approvals):
    expected, history = await lanes.undisturbed(approvals=approvals)
    assert (expected.outcome, expected.changes) == ("recovered", ["UpdateService"])
    points = [event_number(item.event_id) for item in history] + MIDDLES if ALL else sampled(history)
    rounds = await kill_at_each(await lanes.open(LANES, approvals=approvals), points)
    assert [fault for item in rounds for fault in item.faults(expected)] == []
    if ALL:
        write_down(f"{approvals} approvals", table_of(rounds, expected))


@pytest.mark.rare
@pytest.mark.xdist_group("crash")
async def test_the_only_worker_is_killed_and_the_next_one_continues(lanes):
    expected, history = await lanes.undisturbed()
    rounds = await kill_at_each(await lanes.open(LANES), sampled(history), workers=1)
    write_down("the only worker", table_of(rounds, expected))
    assert [fault for item in rounds for fault in item.faults(expected)] == []
