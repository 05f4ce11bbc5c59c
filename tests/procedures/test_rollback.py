"""The rollback procedure: every ending, with time skipping."""

from __future__ import annotations

from workflows.messages import Outcome


async def test_a_bad_release_is_put_back_verified_and_both_are_marked(runbook, outside):
    report = await runbook.run(reason="errors")
    assert report.outcome is Outcome.RECOVERED
    assert outside.calls.count("deploy_release") == 1
    assert outside.service.task_definition.endswith("shop:1")
    assert outside.marks == [("shop:1", "good"), ("shop:2", "bad")]
