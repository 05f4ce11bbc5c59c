"""However many rollbacks wait on a worker, what must be quick is quick."""

import os
import time

import pytest

from runbook_model.reports import Outcome
from tests.lean_ecs import calls_per_second
from tests.many_rollbacks import abort_and_undo, at_their_checkpoints, waiting
from tests.many_services import many_services

WAITS = int(os.environ.get("MANY_WAITS", "100"))
HALF_OF_AWS = 10

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("many-waits"), pytest.mark.timeout(900)]


@pytest.fixture
async def world():
    async with many_services(WAITS + 2) as world:
        with world.working("gated"):
            yield world


async def test_an_abort_and_its_undo_wait_for_none_of_many_open_waits(world):
    alone = await abort_and_undo(world, WAITS)
    began = time.time()
    await at_their_checkpoints(world, range(WAITS))

    with_many_waits = await abort_and_undo(world, WAITS + 1)

    for item in (alone, with_many_waits):
        assert item.report.outcome is Outcome.ABORTED
        assert [change.undone for change in item.report.changes] == ["undone"]
    assert await waiting(world) == WAITS
    assert with_many_waits.longest_queue < 5
    assert with_many_waits.to_first_step < 5
    # A call for one service alone is a step's own, such as those of the abort and its undo; the budget is the waits'.
    shared = [call for call in await world.calls(began) if call[1] == "DescribeServices" and call[2] > 1]
    last = shared[-1][0]
    mean, _ = calls_per_second(shared, "DescribeServices", last - 5, last)
    # Sent a tenth of a second apart, two more may arrive in five seconds.
    assert 0 < mean <= HALF_OF_AWS + 2 / 5
