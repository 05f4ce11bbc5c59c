"""UpdateService that answers too late or not at all: what was done is looked for before anything is sent again."""

import asyncio
from dataclasses import replace

import pytest

from activities.runtime.fence import LANDS_WITHIN, READ_TIMEOUT


async def roll_back(lane):
    async with lane.remediation() as handle:
        return await lane.end_of(handle)


@pytest.mark.xdist_group("crash")
async def test_a_change_whose_answer_never_came_is_found_and_not_made_again(world, lanes):
    expected, _ = await lanes.undisturbed()
    two = await lanes.open(2)
    # Which lane meets which fault is chance; each meets one.
    world.fault("UpdateService", delay_seconds=READ_TIMEOUT.total_seconds() + 1)
    world.fault("UpdateService", lose_reply=True)
    assert await asyncio.gather(*map(roll_back, two)) == [expected, expected]


@pytest.mark.rare
@pytest.mark.xdist_group("crash")
async def test_a_change_that_lands_after_everybody_gave_up_on_it_makes_no_second_deployment(world, lanes):
    expected, _ = await lanes.undisturbed()
    (lane,) = await lanes.open()
    world.fault("UpdateService", delay_seconds=LANDS_WITHIN.total_seconds() + 3)
    end = await roll_back(lane)
    # It was sent again meanwhile. ECS answers the later of the two with the deployment that there is already.
    assert end == replace(expected, changes=["UpdateService", "UpdateService"], faults=["made twice"])
