"""Floods end nothing: whatever arrives, and however much of it, an incident and a procedure go on, and hear an abort."""

from __future__ import annotations

import asyncio

import pytest

from runbook_model.bounds import REPORT_BYTES, size_of
from runbook_model.catalog.policies import Approvals
from runbook_model.errors import UnreachableError
from runbook_model.reports import Outcome
from tests.patience import PATIENCE
from tests.procedures.stage.messages import answer, refused
from workflows.incident import LARGE
from workflows.page.deciding.inbox import MOST, MOST_OF_ONE
from workflows.rollback import Rollback

EVENTS = 51_200
"""Beyond them Temporal ends a run."""


async def flood(times, send, at_once=10):
    """Send something so many times, some of it at the same time; it is called with its number.

    Not more at once: one process plays the senders and the workers.
    """
    few = asyncio.Semaphore(at_once)

    async def send_number(number):
        async with few:
            await send(number)

    await asyncio.gather(*map(send_number, range(times)))


async def flood_until_it_continues(handle, send, at_once=10):
    """Send something until the run continues as another."""
    first = (await handle.describe()).run_id
    async with asyncio.timeout(PATIENCE):
        while (await handle.describe()).run_id == first:
            await flood(5 * at_once, send, at_once)
            await handle.query("status")  # what came is worked on before more comes


class TestIncident:
    @pytest.mark.rare
    async def test_repeats_that_change_nothing_make_it_continue_as_a_new_run_too(self, stage):
        handle = await stage.fires("HighErrorRate", fingerprint="the first")
        await stage.running("high-error-rate")
        again = stage.alert("HighErrorRate", fingerprint="the first")
        await flood_until_it_continues(handle, lambda _: stage.report(again))
        seen = await stage.until(lambda now: now.procedures)
        assert (seen.firing, [item.procedure for item in seen.procedures]) == (1, ["high-error-rate"])

    async def test_so_does_what_is_large_and_little(self, stage):
        handle = await stage.fires("HighErrorRate", fingerprint="the first")
        waste = "x" * 200_000
        first = (await handle.describe()).run_id
        # No more, and not for longer: who sends such things without a pause ends any run.
        await flood(LARGE // len(waste) + 5, lambda _: handle.signal("note", {"by": waste}), at_once=2)
        async with asyncio.timeout(PATIENCE):
            while (await handle.describe()).run_id == first:
                await asyncio.sleep(0.05)
        assert (await stage.until(lambda now: now.firing)).firing == 1

    @pytest.mark.rare
    async def test_so_it_does_while_the_catalog_cannot_be_read(self, stage, world):
        world.fails += [UnreachableError("the disk is away")] * 10_000
        handle = await stage.fires("HighErrorRate", fingerprint="the first")
        again = stage.alert("HighErrorRate", fingerprint="the first")
        await flood_until_it_continues(handle, lambda _: stage.report(again))
        world.fails.clear()
        await stage.running("high-error-rate")


class TestProcedure:
    @pytest.fixture
    async def run(self, runbook, outside):
        outside.approvals = Approvals()
        run = await runbook.start()
        self.gate = await runbook.at_checkpoint(run)
        return run

    async def test_one_person_is_taken_so_often_and_others_are_still_heard(self, runbook, run):
        await flood(
            MOST_OF_ONE + 50,
            lambda number: run.signal("note", {"by": "mallory", "observation": f"{number}"}),
        )
        why = await refused(run, Rollback.note, {"by": "mallory", "observation": "one more"})
        assert why == f"{MOST_OF_ONE} of mallory's messages were taken already: this one is not used"
        await answer(run, "bob", self.gate)
        report = await runbook.end(run)
        assert report.outcome is Outcome.RECOVERED
        assert "bob" in {decision.by for decision in report.decisions}

    @pytest.mark.rare
    async def test_thousands_of_pauses_of_as_many_names_leave_room_in_its_history_and_it_is_aborted(
        self, runbook, run
    ):
        async def pause(number):
            await run.signal("pause" if number % 2 else "resume", {"by": f"person {number}"})

        await flood(4 * MOST, pause)
        await run.signal("abort", {"by": "bob", "reason": "enough"})
        report = await runbook.end(run)
        assert report.outcome is Outcome.ABORTED
        assert size_of(report) <= REPORT_BYTES
        assert (await run.describe()).history_length < EVENTS / 2

    async def test_whoever_uses_up_all_messages_cannot_use_up_the_abort(self, runbook, run):
        await flood(
            MOST_OF_ONE + 1,
            lambda number: run.signal("note", {"by": "bob", "observation": f"{number}"}),
        )
        await run.signal("abort", {"by": "bob", "reason": "enough"})
        assert (await runbook.end(run)).outcome is Outcome.ABORTED

    async def test_large_notes_make_no_report_that_is_too_large(self, runbook, run):
        await flood(
            400, lambda number: run.signal("note", {"by": f"person {number}", "observation": "ü" * 2000})
        )
        report = await run.query(Rollback.status)
        assert size_of(report) <= REPORT_BYTES
        await answer(run, "bob", self.gate)
        assert (await runbook.end(run)).outcome is Outcome.RECOVERED

    async def test_a_gate_of_nobodys_that_would_not_fit_into_the_memo_is_not_used(self, runbook, run):
        gate = self.gate.model_dump(mode="json") | {"question": "x" * 1_000_000}
        await run.signal("child_checkpoint", gate)
        report = await run.query(Rollback.status)
        assert [(item.message, item.why) for item in report.rejected] == [
            ("child_checkpoint", "is larger than 256 KiB")
        ]
        await answer(run, "bob", self.gate)
        assert (await runbook.end(run)).outcome is Outcome.RECOVERED
