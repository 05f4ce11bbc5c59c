"""The hold on temporary capacity: taken back in time, at once, later, and only as it was before."""

from __future__ import annotations

import asyncio

import pytest

from activities.holds import HoldRequest
from activities.scaling import Capacity
from tests.procedures.sick import SOON, Sick
from workflows import ids
from workflows.hold import Hold
from workflows.messages import Outcome


@pytest.fixture
def outside() -> Sick:
    return Sick()


class TestHold:
    async def start(self, pages, **fields):
        was, ours = Capacity(desired=2, running=2), Capacity(desired=5, running=5)
        request = HoldRequest(
            service="shop", environment=pages.environment, requested_by="alice", run_id="r1",
            was=was, ours=ours, hold="1h",
        )  # fmt: skip
        return await pages.client.start_workflow(
            Hold.run,
            request.model_copy(update=fields),
            id=f"hold/{pages.environment}/shop",
            task_queue=ids.task_queue(pages.environment),
        ), request

    async def test_takes_the_capacity_back_when_the_time_is_up(self, pages, outside):
        outside.desired = 5
        hold, _ = await self.start(pages)
        report = await asyncio.wait_for(hold.result(), SOON)
        assert outside.desired == 2
        assert "2 tasks are wanted again" in report.summary

    async def test_an_abort_takes_it_back_at_once(self, pages, outside):
        outside.desired = 5
        hold, _ = await self.start(pages)
        await hold.signal("abort", {"by": "bob", "reason": "the peak is over"})
        report = await asyncio.wait_for(hold.result(), SOON)
        assert report.outcome is Outcome.ABORTED
        assert outside.taken_back
        assert outside.desired == 2

    async def test_a_second_scale_out_prolongs_it_and_still_goes_back_to_the_first_state(
        self, pages, outside
    ):
        hold, request = await self.start(pages)
        more = request.model_copy(
            update={"run_id": "r2", "was": request.ours, "ours": Capacity(desired=8, running=8)}
        )
        await hold.signal("prolong", more)
        await asyncio.wait_for(hold.result(), SOON)
        assert [was.desired for was in outside.taken_back] == [2]

    async def test_a_message_that_is_none_is_kept_and_does_not_stop_it(self, pages):
        hold, _ = await self.start(pages)
        await hold.signal("prolong", "forever")
        report = await asyncio.wait_for(hold.result(), SOON)
        assert [one.message for one in report.rejected] == ["prolong"]
