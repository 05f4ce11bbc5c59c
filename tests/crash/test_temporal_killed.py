"""SIGKILL of the Temporal server while a rollback waits and while it verifies: it comes back on its file and continues."""

import asyncio
import socket

import pytest

from tests.crash.histories import schedules, until_written


@pytest.mark.xdist_group("crash")
async def test_temporal_dies_while_it_waits_and_while_it_verifies_and_nothing_is_lost(world, lanes):
    expected, _ = await lanes.undisturbed()
    (lane,) = await lanes.open()
    async with lane.remediation() as handle:
        for activity in ("await_steady_state", "observe"):
            await until_written(handle, schedules(activity))
            await asyncio.sleep(1)  # let it be in the middle
            await asyncio.to_thread(world.temporal, "restart")
        assert await lane.end_of(handle) == expected


@pytest.mark.xdist_group("crash")
def test_temporal_comes_back_on_its_address_after_a_kill(world):
    pid = f"{world.addresses.aws}/_sandbox/temporal"
    before = world.http.get(pid).json()["pid"]
    world.temporal("kill")
    assert world.http.get(pid).json()["pid"] is None
    world.temporal("start")
    assert world.http.get(pid).json()["pid"] not in {None, before}
    host, _, port = world.addresses.temporal.partition(":")
    socket.create_connection((host, int(port)), timeout=5).close()
