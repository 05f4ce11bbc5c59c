"""The hold on temporary capacity: taken back in time, at once, later, and only as it was before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio import activity

from activities.temporal.holds import HoldRequest
from runbook_model.brakes import Block, BrakeAnswer, Question
from runbook_model.errors import AccessDeniedError, UnreachableError
from runbook_model.names import ids
from runbook_model.releases.capacity import Capacity
from runbook_model.reports import Outcome, Report, State
from runbook_model.sizes import ScaleOut, ScaleOutRun
from tests.patience import PATIENCE
from tests.procedures.stage.outside import Outside
from tests.procedures.stage.sick import Sick
from workflows.hold import Hold


@dataclass
class Braked(Sick):
    """An environment whose brake somebody may hold."""

    brake: str | None = None

    @activity.defn
    async def read_brake(self, _question: Question) -> BrakeAnswer:
        await self._called("read_brake")
        return BrakeAnswer(held=Block(kind="person", why=self.brake) if self.brake else None)

    @activity.defn
    async def await_brake(self, _question: Question) -> BrakeAnswer:
        await self._called("await_brake")
        return BrakeAnswer()

    @property
    def activities(self) -> list[object]:
        return [*super().activities, self.read_brake, self.await_brake]


BOB_ABORTS = {"by": "bob", "reason": "the peak is over"}


def run_named(run_id: str) -> ScaleOutRun:
    return ScaleOutRun(workflow_id="remediation/prod/shop", run_id=run_id)


def from_to(was: int, to: int) -> ScaleOut:
    return ScaleOut(target=Outside().target, was=Capacity(desired=was, running=was), to=to)


@pytest.fixture
def outside() -> Braked:
    return Braked(scaled_out={"r1": from_to(2, 5)})


class TestHold:
    async def start(self, pages, start_signal=None, start_signal_args=(), **fields):
        request = HoldRequest(
            service="shop",
            environment=pages.environment,
            requested_by="alice",
            run=run_named("r1"),
            hold="1h",
        )
        hold = await pages.client.start_workflow(
            Hold.run,
            request.model_copy(update=fields),
            id=f"hold/{pages.environment}/shop",
            task_queue=ids.task_queue(pages.environment),
            start_signal=start_signal,
            start_signal_args=start_signal_args,
        )
        pages.runs.append(hold)
        if start_signal is None:
            async with asyncio.timeout(PATIENCE):  # the test server fails on an abort while a read ends
                while "Kept until" not in (await hold.query("status", result_type=Report)).summary:
                    await asyncio.sleep(0.01)
        return hold, request

    async def test_takes_the_capacity_back_when_the_time_is_up(self, pages, outside):
        outside.desired = 5
        hold, _ = await self.start(pages)
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert outside.desired == 2
        assert "2 tasks are wanted again" in report.summary

    async def test_the_incident_of_the_scale_out_hears_what_it_came_to(self, pages, outside):
        outside.desired = 5
        incident = f"incident/{pages.environment}/shop"
        hold, _ = await self.start(pages, incident=incident)
        assert (await asyncio.wait_for(hold.result(), PATIENCE)).outcome is Outcome.RECOVERED
        sent = [
            event.signal_external_workflow_execution_initiated_event_attributes
            for event in (await hold.fetch_history()).events
            if event.HasField("signal_external_workflow_execution_initiated_event_attributes")
        ]
        assert [(item.signal_name, item.workflow_execution.workflow_id) for item in sent] == [
            ("procedure_ended", incident)
        ]

    @pytest.mark.parametrize("incident", ["none", "over", "open"])
    async def test_capacity_that_stays_is_a_task_and_people_hear_of_it_from_the_incident_or_the_hold(
        self, pages, outside, incident
    ):
        outside.fails["restore_capacity"] = [AccessDeniedError("could not set the desired count: denied")]
        named = None if incident == "none" else f"incident/{pages.environment}/shop"
        if incident == "open":  # whatever run is open by that id
            longer = HoldRequest(
                service="shop",
                environment=pages.environment,
                requested_by="alice",
                run=run_named("r1"),
                hold="9h",
            )
            queue = ids.task_queue(pages.environment)
            await pages.client.start_workflow(Hold.run, longer, id=named, task_queue=queue)
        hold, _ = await self.start(pages, incident=named)
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert (report.outcome, outside.taken_back) == (Outcome.INCONCLUSIVE, [])
        (task,) = report.tasks
        what = "Check the temporary capacity, and take it back by hand"
        assert (task.what, task.kind, task.state) == (what, "immediate", "open")
        assert "could not set the desired count: denied" in task.why
        said = [(notice.target, notice.text, notice.urgent) for notice in outside.notices]
        by_hold = [(f"{pages.environment}/shop", f"{what}: {task.why}", True)]
        assert said == ([] if incident == "open" else by_hold)

    async def test_an_abort_that_could_not_take_it_back_leaves_the_task_too(self, pages, outside):
        outside.fails["restore_capacity"] = [AccessDeniedError("denied")]
        hold, _ = await self.start(pages)
        await hold.signal("abort", BOB_ABORTS)
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert report.outcome is Outcome.ABORTED
        assert (len(report.tasks), len(outside.notices)) == (1, 1)

    async def test_people_who_cannot_be_notified_keep_the_task(self, pages, outside):
        outside.fails["restore_capacity"] = [AccessDeniedError("denied")]
        outside.fails["notify"] = [AccessDeniedError("no token")]
        hold, _ = await self.start(pages)
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert (len(report.tasks), report.steps[-1].state) == (1, "failed")

    async def test_it_is_taken_back_however_long_aws_does_not_answer(self, pages, outside):
        outside.desired = 5
        away = [UnreachableError("could not set the desired count: AWS did not answer") for _ in range(130)]
        outside.fails["restore_capacity"] = away
        hold, _ = await self.start(pages)
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert (report.outcome, outside.desired) == (Outcome.RECOVERED, 2)

    async def test_an_abort_takes_it_back_at_once(self, pages, outside):
        outside.desired = 5
        hold, _ = await self.start(pages)
        await hold.signal("abort", BOB_ABORTS)
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert report.outcome is Outcome.ABORTED
        assert outside.taken_back
        assert outside.desired == 2

    async def test_an_abort_that_comes_with_its_start_takes_it_back_too(self, pages, outside):
        outside.desired = 5
        hold, _ = await self.start(pages, start_signal="abort", start_signal_args=[BOB_ABORTS])
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert (report.outcome, outside.desired) == (Outcome.ABORTED, 2)

    async def test_a_second_scale_out_prolongs_it_and_still_goes_back_to_the_first_state(
        self, pages, outside
    ):
        hold, request = await self.start(pages)
        outside.scaled_out["r2"] = from_to(5, 8)
        await hold.signal("extend", request.model_copy(update={"run": run_named("r2")}))
        await asyncio.wait_for(hold.result(), PATIENCE)
        assert [was.desired for was in outside.taken_back] == [2]

    async def test_what_a_person_set_between_two_scale_outs_is_what_it_goes_back_to(self, pages, outside):
        hold, request = await self.start(pages)
        outside.scaled_out["r2"] = from_to(8, 10)
        await hold.signal("extend", request.model_copy(update={"run": run_named("r2")}))
        await asyncio.wait_for(hold.result(), PATIENCE)
        assert [was.desired for was in outside.taken_back] == [8]

    async def test_a_scale_out_while_it_takes_back_has_its_time_too(self, pages, outside, temporal):
        taking_back = outside.holds("restore_capacity")
        hold, request = await self.start(pages)
        async with asyncio.timeout(PATIENCE), temporal.time_skipping_unlocked():
            while "restore_capacity" not in outside.calls:
                await asyncio.sleep(0.01)
        began = await temporal.get_current_time()
        outside.scaled_out["r2"] = from_to(5, 8)
        await hold.signal("extend", request.model_copy(update={"run": run_named("r2")}))
        taking_back.set()
        await asyncio.wait_for(hold.result(), PATIENCE)
        assert await temporal.get_current_time() - began >= timedelta(minutes=59)
        assert [was.desired for was in outside.taken_back] == [2, 2]

    @pytest.mark.ending("recovered-hold-resumed")
    async def test_a_pause_keeps_the_capacity_until_it_ends(self, pages, outside, temporal):
        outside.desired = 5
        hold, _ = await self.start(pages)
        await hold.signal("pause", {"by": "bob", "reason": "the peak is not over"})
        await temporal.sleep(timedelta(hours=3))
        report = await hold.query("status", result_type=Report)
        assert (report.state, outside.desired, outside.taken_back) == (State.PAUSED, 5, [])
        await hold.signal("resume", {"by": "bob"})
        await asyncio.wait_for(hold.result(), PATIENCE)
        assert outside.desired == 2

    async def test_what_nobody_asked_for_is_not_taken_back_while_a_person_holds_the_brake(
        self, pages, outside, temporal
    ):
        outside.desired, outside.brake = 5, "alice switched the brake on"
        let_go = outside.holds("await_brake")
        hold, _ = await self.start(pages, automatic=True)
        async with asyncio.timeout(PATIENCE), temporal.time_skipping_unlocked():
            while "await_brake" not in outside.calls:
                await asyncio.sleep(0.01)
        assert (outside.desired, outside.taken_back) == (5, [])
        let_go.set()
        await asyncio.wait_for(hold.result(), PATIENCE)
        assert outside.desired == 2

    async def test_a_message_that_is_none_is_kept_and_does_not_stop_it(self, pages):
        hold, _ = await self.start(pages)
        await hold.signal("extend", "forever")
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert [item.message for item in report.rejected] == ["extend"]

    async def test_a_hold_of_a_run_that_scaled_nothing_out_is_refused(self, pages, outside):
        hold, _ = await self.start(pages, run=run_named("invented"), start_signal="note")
        report = await asyncio.wait_for(hold.result(), PATIENCE)
        assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "input")
        assert "remediation/prod/shop (invented) did not scale this target out" in report.summary
        assert outside.taken_back == []
