"""A run that was cut off in the middle of a change is found by the next, which asks before it continues."""

from __future__ import annotations

import pytest

from activities.temporal.predecessor import Predecessor
from runbook_model.errors import AccessDeniedError
from runbook_model.reports import Outcome
from tests.procedures.stage.messages import answer

CUT_OFF = Predecessor(
    run_id="0123", how="terminated", changes=("UpdateService at 2026-01-01 00:00:00 UTC (may not have been made)",)
)  # fmt: skip


@pytest.mark.ending("recovered-after-predecessor")
async def test_what_an_earlier_run_left_behind_is_asked_about_where_the_policy_asks_nobody(runbook, outside):
    outside.predecessor = CUT_OFF
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert gate.question.endswith(CUT_OFF.summary)
    assert outside.changes == []
    await answer(run, "alice", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_not_knowing_whether_one_was_cut_off_is_asked_about_too(runbook, outside):
    outside.fails["read_predecessor"] = [AccessDeniedError("no visibility")]
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert "whether an earlier run was cut off in the middle of a change is not known" in gate.question


async def test_an_earlier_run_that_ended_properly_is_nobodys_concern(runbook, outside):
    report = await runbook.run()
    assert report.outcome is Outcome.RECOVERED
    detail = {step.step: step.detail for step in report.steps}
    assert detail["Check whether an earlier run was cut off"] == "none left anything behind"


async def test_silence_about_it_changes_nothing(runbook, outside):
    outside.predecessor = CUT_OFF
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.NOT_APPROVED, [])
