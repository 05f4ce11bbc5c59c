"""An abort works at every moment: before, during and after the change; it keeps or undoes, as asked."""

from __future__ import annotations

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.errors import AccessDeniedError
from runbook_model.measured.readings import Quality
from runbook_model.releases.rollout import Phase
from runbook_model.reports import Outcome
from tests.procedures.stage.messages import answer, refused
from tests.procedures.stage.outside import judged, release
from workflows.rollback import Rollback

STOP = {"by": "bob", "reason": "wrong service"}


async def stopped(runbook, run, **more):
    """Order an abort and return the report."""
    given = await run.execute_update(Rollback.abort_run, STOP | more)
    assert given.detail == "stopping safely"
    return await runbook.end(run)


def fates(report):
    return [(change.action, change.fate) for change in report.changes]


async def verifying(runbook, outside, **fields):
    """A run whose change was made and that stands at the verification gate."""
    outside.quality = Quality.BAD
    run = await runbook.start(**fields)
    await runbook.at_checkpoint(run)
    return run


@pytest.mark.ending("aborted")
@pytest.mark.parametrize("step", ["resolve_target", "read_history", "measure"])
async def test_before_the_change_it_only_ends_the_run(runbook, outside, step):
    outside.holds(step)
    run = await runbook.start()
    await runbook.calls(outside, step)
    report = await stopped(runbook, run)
    assert report.outcome is Outcome.ABORTED
    assert report.summary == "Aborted by bob (wrong service). Nothing was changed."
    assert (report.changes, outside.changes) == ((), [])


@pytest.mark.ending("aborted-at-checkpoint")
async def test_at_the_checkpoint_it_closes_the_gate(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    await runbook.at_checkpoint(run)
    report = await stopped(runbook, run)
    assert (report.outcome, report.checkpoint, outside.changes) == (Outcome.ABORTED, None, [])
    assert [step.state for step in report.steps if step.step.startswith("Watch")] == ["cancelled"]


@pytest.mark.ending("aborted-during-change")
async def test_during_the_change_its_answer_is_waited_for_and_it_is_kept(runbook, outside):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    await run.signal(Rollback.abort, STOP)
    await runbook.until(run, lambda now: now.decisions)
    assert (await run.query(Rollback.status)).outcome is None
    changing.set()
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, ["deploy shop:1"])
    assert fates(report) == [("UpdateService", "kept")]
    assert "await_steady_state" not in outside.calls


@pytest.mark.ending("aborted-during-change-undone")
async def test_during_the_change_it_can_be_undone_at_once(runbook, outside):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    await run.signal(Rollback.abort, STOP | {"keep": False})
    await runbook.until(run, lambda now: now.decisions)
    changing.set()
    report = await runbook.end(run)
    assert outside.changes == ["deploy shop:1", "deploy shop:2"]
    assert fates(report) == [("UpdateService", "undone")]


@pytest.mark.parametrize("step", ["await_steady_state", "observe"])
async def test_after_the_change_a_wait_is_left_and_the_change_kept(runbook, outside, step):
    outside.holds(step)
    run = await runbook.start()
    await runbook.calls(outside, step)
    report = await stopped(runbook, run)
    assert (report.outcome, fates(report)) == (Outcome.ABORTED, [("UpdateService", "kept")])
    assert outside.current.revision == "shop:1"


@pytest.mark.ending("aborted-undone")
async def test_an_undo_puts_back_what_ran_and_waits_until_it_runs(runbook, outside):
    run = await verifying(runbook, outside)
    report = await stopped(runbook, run, keep=False)
    assert fates(report) == [("UpdateService", "undone")]
    assert outside.current.revision == "shop:2"
    assert outside.calls.count("await_steady_state") == 2
    assert "Undo what was changed" in {step.heading for step in report.steps}
    assert outside.marks == []


async def test_undoing_two_changes_goes_in_reverse(runbook, outside):
    outside.deployed(release(3))
    run = await verifying(runbook, outside)
    first = await runbook.at_checkpoint(run)
    await answer(run, "bob", first, option="roll-back-further")
    await runbook.at_checkpoint(run, other_than=first.plan_hash)
    report = await stopped(runbook, run, keep=False)
    assert outside.changes == ["deploy shop:2", "deploy shop:1", "deploy shop:2", "deploy shop:3"]
    assert fates(report) == [("UpdateService", "undone")] * 2


@pytest.mark.parametrize(
    ("phase", "why"),
    [
        (Phase.FAILED, "could not undo: failed: Essential container in task exited"),
        (Phase.STUCK, "could not undo: stuck: Essential container in task exited"),
    ],
)
async def test_an_undo_that_does_not_arrive_says_what_stands_in_its_way(runbook, outside, phase, why):
    run = await verifying(runbook, outside)
    outside.phase = phase
    report = await stopped(runbook, run, keep=False)
    assert (report.outcome, fates(report)) == (Outcome.ABORTED, [("UpdateService", why)])


async def undo_that_hangs(runbook, outside):
    """A run whose undo waits for a release that does not start."""
    run = await verifying(runbook, outside)
    outside.holds("await_steady_state")
    await run.signal(Rollback.abort, STOP | {"keep": False})
    await runbook.until(run, lambda now: now.steps[-1].step == "Wait until it runs again")
    return run


@pytest.mark.parametrize("more", [{}, {"keep": True}])
async def test_an_undo_that_hangs_is_stopped_by_a_second_abort_which_keeps_what_is_there(
    runbook, outside, more
):
    run = await undo_that_hangs(runbook, outside)
    given = await run.execute_update(
        Rollback.abort_run, {"by": "carol", "reason": "it does not start"} | more
    )
    assert given.detail == "stopping safely: nothing more is undone, what is there is kept"
    report = await runbook.end(run)
    assert report.outcome is Outcome.ABORTED
    why = "could not undo: stopped before it ran again: Essential container in task exited"
    assert fates(report) == [("UpdateService", why)]
    assert report.summary.endswith(
        "carol stopped the undo (it does not start): what is there is kept. A person must check now."
    )


async def test_an_undo_that_hangs_is_not_asked_for_twice(runbook, outside):
    run = await undo_that_hangs(runbook, outside)
    again = await run.execute_update(Rollback.abort_run, STOP | {"by": "carol", "keep": False})
    assert (again.detail, again.already) == ("already stopping, as bob ordered", True)
    await run.execute_update(Rollback.abort_run, STOP | {"by": "carol"})
    await runbook.end(run)


async def test_a_second_abort_during_the_undos_call_waits_for_its_answer_and_for_nothing_after_it(
    runbook, outside
):
    run = await verifying(runbook, outside)
    changing = outside.holds("deploy_release")
    await run.signal(Rollback.abort, STOP | {"keep": False})
    await runbook.until(run, lambda now: now.steps[-1].step.startswith("Put "))
    await run.signal(Rollback.abort, {"by": "carol", "reason": "leave it"})
    await runbook.until(run, lambda now: len(now.decisions) == 2)
    changing.set()
    report = await runbook.end(run)
    assert fates(report) == [
        ("UpdateService", "could not undo: the undo was stopped at: Put shop:2 (1.2.0) back")
    ]
    assert outside.changes == ["deploy shop:1", "deploy shop:2"]


async def test_of_two_changes_the_one_that_a_stopped_undo_did_not_come_to_is_kept(runbook, outside):
    outside.deployed(release(3))
    run = await verifying(runbook, outside)
    first = await runbook.at_checkpoint(run)
    await answer(run, "bob", first, option="roll-back-further")
    await runbook.at_checkpoint(run, other_than=first.plan_hash)
    outside.holds("await_steady_state")
    await run.signal(Rollback.abort, STOP | {"keep": False})
    await runbook.until(run, lambda now: now.steps[-1].step == "Wait until it runs again")
    await run.signal(Rollback.abort, {"by": "carol", "reason": "leave it"})
    report = await runbook.end(run)
    assert fates(report)[0] == ("UpdateService", "kept")
    assert outside.current.revision == "shop:2"


async def test_an_order_to_keep_that_comes_before_the_undo_starts_lets_nothing_be_undone(runbook, outside):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    await run.execute_update(Rollback.abort_run, STOP | {"keep": False})
    await run.execute_update(Rollback.abort_run, {"by": "carol", "reason": "leave it", "keep": True})
    changing.set()
    assert fates(await runbook.end(run)) == [("UpdateService", "kept")]
    assert outside.changes == ["deploy shop:1"]


@pytest.mark.ending("aborted-not-undone")
async def test_an_undo_that_is_not_allowed_is_reported_with_the_reason(runbook, outside):
    run = await verifying(runbook, outside)
    outside.fails["deploy_release"] = [AccessDeniedError("not allowed: ecs:UpdateService")]
    report = await stopped(runbook, run, keep=False)
    assert report.outcome is Outcome.ABORTED
    assert "could not undo: " in fates(report)[0][1]
    assert "not allowed: ecs:UpdateService" in report.summary


async def test_an_undo_leaves_what_somebody_deployed_meanwhile_alone(runbook, outside):
    run = await verifying(runbook, outside)
    outside.deployed(release(3))
    report = await stopped(runbook, run, keep=False)
    assert fates(report) == [("UpdateService", "could not undo: shop:3 was deployed meanwhile")]
    assert (outside.current.revision, outside.changes) == ("shop:3", ["deploy shop:1"])


async def test_an_undo_of_a_change_that_was_not_made_changes_nothing(runbook, outside):
    outside.fails["deploy_release"] = [AccessDeniedError("not allowed")]
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    await run.signal(Rollback.abort, STOP | {"keep": False})
    await runbook.until(run, lambda now: now.decisions)
    changing.set()
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, [])
    assert fates(report) == [("UpdateService", "nothing to undo: the change was not made")]


async def test_an_undo_onto_a_bad_release_needs_a_confirmation(runbook, outside):
    outside.history[0] = outside.history[0].model_copy(update={"release": judged(2)})
    run = await verifying(runbook, outside)
    why = await refused(run, Rollback.abort_run, STOP | {"keep": False})
    assert (
        why
        == "undoing would bring back shop:2 (1.2.0), which is marked bad; confirm with --yes, or use --keep"
    )
    report = await stopped(runbook, run, keep=False, confirmed=True)
    assert fates(report) == [("UpdateService", "undone")]


async def test_the_second_order_changes_nothing(runbook, outside):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    await run.execute_update(Rollback.abort_run, STOP)
    again = await run.execute_update(Rollback.abort_run, {"by": "carol", "reason": "I too", "keep": False})
    assert (again.detail, again.already) == ("already stopping, as bob ordered", True)
    changing.set()
    assert fates(await runbook.end(run)) == [("UpdateService", "kept")]


async def test_a_paused_run_is_aborted_at_once(runbook, outside):
    measuring = outside.holds("measure")
    run = await runbook.start()
    await runbook.calls(outside, "measure")
    await run.execute_update(Rollback.pause, {"by": "bob"})
    measuring.set()
    await runbook.until(run, lambda now: now.state == "paused")
    report = await stopped(runbook, run)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, [])


@pytest.mark.ending("aborted-cancelled")
async def test_a_cancellation_by_temporal_is_an_abort_that_keeps(runbook, outside):
    run = await verifying(runbook, outside)
    await run.cancel()
    report = await runbook.end(run)
    assert (report.outcome, fates(report)) == (Outcome.ABORTED, [("UpdateService", "kept")])
    assert "Aborted by Temporal (the workflow was cancelled)" in report.summary


async def test_a_cancellation_before_the_change_only_ends_the_run(runbook, outside):
    outside.approvals = Approvals()
    run = await runbook.start()
    await runbook.at_checkpoint(run)
    await run.cancel()
    report = await runbook.end(run)
    assert (report.outcome, report.changes) == (Outcome.ABORTED, ())


async def test_a_cancellation_during_the_change_waits_for_its_answer(runbook, outside):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    await run.cancel()
    await runbook.until(run, lambda now: now.decisions)
    changing.set()
    report = await runbook.end(run)
    assert fates(report) == [("UpdateService", "kept")]


async def test_a_cancellation_while_undoing_does_not_stop_the_undo(runbook, outside):
    run = await verifying(runbook, outside)
    waiting = outside.holds("await_steady_state")
    await run.signal(Rollback.abort, STOP | {"keep": False})
    await runbook.until(run, lambda now: now.steps[-1].step == "Wait until it runs again")
    await run.cancel()
    waiting.set()
    assert fates(await runbook.end(run)) == [("UpdateService", "undone")]


async def test_an_order_without_a_reason_is_turned_away_and_one_with_a_reason_is_taken(runbook, outside):
    run = await verifying(runbook, outside)
    assert "reason" in await refused(run, Rollback.abort_run, {"by": "bob"}, kind="InvalidMessage")
    assert (await stopped(runbook, run)).outcome is Outcome.ABORTED
