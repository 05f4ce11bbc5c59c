"""A paused run starts no new step; what it waits for continues, and so does the clock of an approval."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.reports import Outcome, State
from tests.procedures.stage.messages import answer, refused
from tests.procedures.stage.outside import release
from workflows.rollback import Rollback

BOB = {"by": "bob", "reason": "let me look"}


async def paused_before_the_change(runbook, outside):
    measuring = outside.holds("measure")
    run = await runbook.start()
    await runbook.calls(outside, "measure")
    given = await run.execute_update(Rollback.pause, BOB)
    assert given.detail == "paused: no new step starts; a wait that is under way continues"
    measuring.set()
    await runbook.until(run, lambda now: now.state is State.PAUSED)
    return run


@pytest.mark.ending("recovered-after-pause")
async def test_a_run_paused_before_the_change_makes_it_once_it_continues(runbook, outside):
    run = await paused_before_the_change(runbook, outside)
    assert outside.changes == []
    assert (await run.execute_update(Rollback.resume, {"by": "carol"})).detail == "continuing"
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])
    assert [(d.kind, d.by) for d in report.decisions] == [("pause", "bob"), ("resume", "carol")]


async def test_time_alone_does_not_end_a_pause(runbook, outside, temporal):
    run = await paused_before_the_change(runbook, outside)
    await temporal.sleep(timedelta(days=3))
    assert (await run.query(Rollback.status)).state is State.PAUSED
    assert outside.changes == []


async def test_what_was_deployed_during_a_pause_is_left_alone(runbook, outside):
    run = await paused_before_the_change(runbook, outside)
    outside.deployed(release(3))
    await run.execute_update(Rollback.resume, BOB)
    report = await runbook.end(run)
    assert (report.outcome, report.changes, outside.changes) == (Outcome.SUPERSEDED, (), [])


async def test_a_change_under_way_ends_before_the_pause_starts_and_what_follows_is_only_watched(
    runbook, outside
):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    await run.execute_update(Rollback.pause, BOB)
    changing.set()
    report = await runbook.until(run, lambda now: now.state is State.PAUSED)
    assert report.changes[0].certain
    assert {"await_steady_state", "observe"} <= set(outside.calls)
    assert outside.marks == []
    await run.execute_update(Rollback.resume, BOB)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_at_a_checkpoint_the_gate_stays_open_and_the_yes_waits_for_the_end_of_the_pause(
    runbook, outside
):
    outside.approvals = Approvals()
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.execute_update(Rollback.pause, BOB)
    assert (await run.query(Rollback.status)).state is State.AWAITING_APPROVAL
    await answer(run, "carol", gate)
    await runbook.until(run, lambda now: now.state is State.PAUSED)
    assert outside.changes == []
    await run.execute_update(Rollback.resume, BOB)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_the_clock_of_an_approval_continues_while_it_is_paused(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    await runbook.at_checkpoint(run)
    await run.execute_update(Rollback.pause, BOB)
    report = await runbook.end(run)
    assert report.outcome is Outcome.NOT_APPROVED
    assert "escalate" in [decision.kind for decision in report.decisions]


async def test_pausing_twice_changes_nothing(runbook, outside):
    run = await paused_before_the_change(runbook, outside)
    again = await run.execute_update(Rollback.pause, {"by": "carol"})
    assert (again.detail, again.already) == ("already paused by bob", True)


async def test_a_run_that_is_not_paused_says_so(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    await runbook.at_checkpoint(run)
    given = await run.execute_update(Rollback.resume, BOB)
    assert (given.detail, given.already) == ("not paused", True)


async def test_a_pause_says_by_whom(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    await runbook.at_checkpoint(run)
    assert "by: Field required" in await refused(run, Rollback.pause, {}, kind="InvalidMessage")


async def test_a_pause_and_a_resume_by_signal_hold_and_continue(runbook, outside):
    measuring = outside.holds("measure")
    run = await runbook.start()
    await runbook.calls(outside, "measure")
    await run.signal("pause", BOB)
    measuring.set()
    await runbook.until(run, lambda now: now.state is State.PAUSED)
    assert outside.changes == []
    await run.signal("resume", BOB)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_a_pause_that_comes_late_as_an_update_too_does_not_pause_again(runbook, outside):
    run = await paused_before_the_change(runbook, outside)
    await run.execute_update(Rollback.resume, {"by": "carol", "decision_id": "carol/1"})
    outside.holds("observe")
    await runbook.calls(outside, "observe")
    await run.signal("pause", BOB | {"decision_id": "bob/1"})
    await run.signal("resume", BOB | {"decision_id": "bob/2"})
    late = await run.execute_update(Rollback.pause, BOB | {"decision_id": "bob/1"})
    assert (late.detail, late.already) == ("already recorded", True)
    outside.holds("observe").set()
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_a_pause_by_signal_that_cannot_be_used_is_shown(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.signal("pause", {"reason": "nobody says so"})
    report = await runbook.until(run, lambda now: now.rejected)
    assert (report.rejected[0].message, report.rejected[0].why) == ("pause", "by: Field required")
    await answer(run, "bob", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED
