"""Restart for real: the simulated ECS, whose tags can be moved, its tasks as processes, a worker."""

import asyncio

import pytest

from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Report
from starter.client.starting import begin
from tests.patience import PATIENCE


@pytest.mark.rare
async def test_fresh_tasks_of_a_tag_that_was_moved_are_announced_in_the_plan_and_at_the_end(stage):
    stage.world.move_tag("latest", "1.0.0")
    shop = stage.open_shop("gated", "latest")
    before = shop.digest(shop.runs())
    stage.world.move_tag("latest", "1.1.0")
    request = ProcedureRequest(service=shop.name, environment=shop.environment, requested_by="alice")
    run_id = await begin(stage.client, "service-down", request)
    handle = stage.client.get_workflow_handle(shop.id, run_id=run_id, result_type=Report)

    chosen = await shop.approve(handle, option="restart")
    gate = await shop.asked(handle, unlike=chosen.plan_hash)
    assert gate.plan.not_restored[-1] == (
        f"New tasks run what ai-processor:latest points to at that time, which may be other code than {before} that runs now."
    )
    await shop.approve(handle)
    async with asyncio.timeout(PATIENCE):
        report = await handle.result()

    after = shop.digest(shop.runs())
    assert after != before
    assert report.outcome == "recovered", report.summary
    assert report.summary.endswith(
        f"The tag was moved: fresh tasks of ai-processor:latest run {after}, before it was {before}."
    )
    assert shop.changes() == ["UpdateService"]
