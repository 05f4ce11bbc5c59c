"""What a run leaves where people look: search attributes, the memo, the timeline, the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.measured.readings import Quality
from runbook_model.names import ids
from runbook_model.reports import Change, Checkpoint
from tests.procedures.stage.messages import answer

PAGE = Path(__file__).parents[3] / "docs" / "runbooks" / "rollback.md"


async def attributes(run):
    found = (await run.describe()).typed_search_attributes
    return {key.name: found.get(key) for key in ids.SEARCH_ATTRIBUTES if found.get(key)}


async def test_at_a_checkpoint_everything_needed_for_an_answer_is_there_without_a_worker(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert await attributes(run) == {
        "RunbookService": "shop",
        "RunbookEnvironment": runbook.environment,
        "RunbookProcedure": "rollback",
        "RunbookState": "awaiting-approval",
    }
    memo = await (await run.describe()).memo()
    assert Checkpoint.model_validate(memo["checkpoint"]) == gate


async def test_at_a_checkpoint_the_memo_counts_the_answers_so_far(runbook, outside):
    outside.approvals = Approvals(needed=2)
    run = await runbook.start()
    await answer(run, "bob", await runbook.at_checkpoint(run))
    memo = await (await run.describe()).memo()
    assert [given["by"] for given in memo["checkpoint"]["approvals"]] == ["bob"]


async def test_at_the_end_the_outcome_and_the_changes_are_there_and_no_gate(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    await answer(run, "bob", await runbook.at_checkpoint(run))
    report = await runbook.end(run)
    found = await attributes(run)
    assert (found["RunbookState"], found["RunbookOutcome"]) == ("done", "recovered")
    memo = await (await run.describe()).memo()
    assert memo.get("checkpoint") is None
    assert tuple(Change.model_validate(change) for change in memo["changes"]) == report.changes


async def test_a_change_is_in_the_memo_before_its_first_attempt_ends(runbook, outside):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    memo = await (await run.describe()).memo()
    assert [(change["action"], change["certain"]) for change in memo["changes"]] == [("UpdateService", False)]
    changing.set()
    await runbook.end(run)


async def test_while_it_verifies_its_state_says_so(runbook, outside):
    watching = outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    assert (await attributes(run))["RunbookState"] == "verifying"
    watching.set()
    await runbook.end(run)


@pytest.mark.parametrize("quality", [Quality.GOOD, Quality.BAD])
async def test_every_activity_and_timer_has_a_summary_for_the_timeline(runbook, outside, quality):
    outside.approvals = Approvals()
    outside.quality = quality
    run = await runbook.start()
    await answer(run, "bob", await runbook.at_checkpoint(run))
    await runbook.end(run)
    assert "" not in await runbook.summaries(run)


async def test_the_headings_are_those_of_its_page(runbook, outside):
    report = await runbook.run()
    said = list(dict.fromkeys(step.heading for step in report.steps))
    assert said == re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)


async def test_the_steps_are_reported_with_what_came_of_them(runbook, outside):
    report = await runbook.run()
    assert {step.state for step in report.steps} == {"done"}
    assert all(step.ended for step in report.steps)
    text = {step.step: step.detail for step in report.steps}
    assert text["Wait until only shop:1 (1.1.0) runs"] == "steady"


async def test_the_current_details_hold_the_plan_at_a_checkpoint_and_the_changes_at_the_end(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    shown = await details(run)
    for words in (
        "### Waiting for a person: Put the release back?",
        gate.plan_hash,
        "abort: ends the run; nothing was changed",
        "call: `ecs UpdateService",
        "after: shop:1 (1.1.0)",
    ):
        assert words in shown
    await answer(run, "bob", gate)
    await runbook.end(run)
    assert "UpdateService: shop:2 (1.2.0) → shop:1 (1.1.0) (made)" in await details(run)


async def details(run) -> str:
    metadata = await run.query("__temporal_workflow_metadata")
    return metadata.current_details
