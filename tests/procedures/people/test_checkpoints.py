"""People are asked: who may answer, for how long, and what happens when the service changes meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runbook_model.authority.shown import plan_hash
from runbook_model.catalog.policies import Approvals
from runbook_model.errors import AccessDeniedError
from runbook_model.reports import Outcome, State
from tests.procedures.stage.messages import answer, rejected, said
from tests.procedures.stage.outside import LOOKS, judged, release
from workflows.rollback import Rollback


@pytest.fixture
def outside(outside):
    """Where one approval by anybody but the requester is needed."""
    outside.approvals = Approvals()
    return outside


def kinds(report):
    return [decision.kind for decision in report.decisions]


async def test_the_gate_shows_the_question_the_plan_and_what_abort_would_do(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert gate.question == "Put the release back?"
    assert (gate.plan.before.revision, gate.plan.after.revision) == ("shop:2", "shop:1")
    assert gate.plan_hash == plan_hash(gate.plan)
    assert gate.closes - gate.opened == timedelta(minutes=30)
    assert gate.abort_means == "ends the run; nothing was changed"
    report = await run.query(Rollback.status)
    assert (report.state, outside.changes) == (State.AWAITING_APPROVAL, [])


@pytest.mark.ending("recovered-approved")
async def test_a_yes_lets_the_change_continue(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    given = await answer(run, "bob", gate, comment="go")
    assert (given.detail, given.already) == ("approved, 1 of 1", False)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])
    assert ("approve", "bob", "approved, 1 of 1 go") in [(d.kind, d.by, d.detail) for d in report.decisions]


async def test_a_yes_that_names_no_plan_is_not_used(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.signal(Rollback.approve, {"by": "bob"})
    shown = await runbook.until(run, lambda now: now.rejected)
    assert "an approval that names no plan is not used" in shown.rejected[0].why
    assert (shown.checkpoint, outside.changes) == (gate, [])
    await answer(run, "bob", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


# --- silence ------------------------------------------------------------------------------------------------------


@pytest.mark.ending("not-approved")
async def test_silence_ends_it_after_reminders_and_one_escalation(runbook, outside):
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.NOT_APPROVED, [])
    assert report.summary == "Not enough people agreed within 30m; nothing was changed."
    asked = next(step.started for step in report.steps if step.step.startswith("Watch that nothing"))
    wording = [
        (round((decision.at - asked).total_seconds() / 60), decision.kind)
        for decision in report.decisions
        if decision.kind in {"remind", "escalate"}
    ]
    assert wording == [(5, "remind"), (10, "escalate"), (15, "remind"), (20, "remind"), (25, "remind")]
    assert [notice.urgent for notice in outside.notices] == [False, True, False, False, False]
    assert outside.notices[1].text.startswith("Escalate: no decision for 10m. Put the release back?")
    words = await runbook.summaries(runbook.runs[0])
    assert {"Until the timeout", "Until somebody is reminded", "Escalate: no decision for 10m"} <= words


@pytest.mark.ending("aborted-by-silence")
async def test_silence_is_an_abort_where_the_policy_says_so(runbook, outside):
    outside.approvals = Approvals(on_timeout="abort")
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, [])
    assert "Aborted by the runbook (not enough people agreed within 30m)" in report.summary


async def test_people_who_cannot_be_notified_hold_nothing_up(runbook, outside):
    outside.fails["notify"] = [AccessDeniedError("no token")] * 10
    report = await runbook.run()
    assert report.outcome is Outcome.NOT_APPROVED
    assert kinds(report).count("escalate") == 1


async def test_too_few_is_not_enough(runbook, outside):
    outside.approvals = Approvals(needed=2)
    run = await runbook.start()
    await answer(run, "bob", await runbook.at_checkpoint(run))
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.NOT_APPROVED, [])


# --- who may ------------------------------------------------------------------------------------------------------


async def test_n_of_m_takes_n_different_people(runbook, outside):
    outside.approvals = Approvals(needed=2)
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert (await answer(run, "bob", gate)).detail == "approved, 1 of 2"
    assert (await answer(run, " BOB ", gate)).already
    assert (await answer(run, "carol", gate)).detail == "approved, 2 of 2"
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


@pytest.mark.parametrize("name", ["alice", " Alice "])
async def test_who_asked_may_not_approve(runbook, outside, name):
    run = await runbook.start(requested_by="alice")
    why = await rejected(run, name, await runbook.at_checkpoint(run))
    assert "asked for this and may not approve it; somebody else must" in why


async def test_who_asked_may_approve_where_the_policy_lets_them(runbook, outside):
    outside.approvals = Approvals(requester_may=True)
    run = await runbook.start(requested_by="alice")
    await answer(run, "alice", await runbook.at_checkpoint(run))
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_only_the_people_on_the_list_may(runbook, outside):
    outside.approvals = Approvals(people=("bob", "carol"))
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert await rejected(run, "mallory", gate) == "mallory may not approve here; bob, carol may"
    await answer(run, "Carol", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        ({"named": True}, "never completed a deployment of this service"),
        ({"family": (release(1),)}, "it is not known to be good"),
        ({"verified": True}, "was itself verified good"),
    ],
    ids=["named one that never ran", "unproven revision", "what runs is good"],
)
async def test_a_doubtful_plan_asks_even_where_the_policy_asks_nobody(runbook, outside, turn, words):
    outside.approvals = Approvals(needed=0)
    fields = {}
    if "named" in turn:
        outside.family, fields = (release(5),), {"to": "shop:5"}
    elif "family" in turn:
        outside.family = turn["family"]
        del outside.history[1:]
    else:
        outside.history[0] = outside.history[0].model_copy(update={"release": judged(2, "good")})
    run = await runbook.start(**fields)
    gate = await runbook.at_checkpoint(run)
    assert words in gate.question
    assert outside.changes == []
    await answer(run, "alice", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


# --- answers that come too late, twice or to another plan ---------------------------------------------------------


async def test_a_yes_to_another_plan_does_not_count(runbook, outside):
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    other = gate.model_copy(update={"plan_hash": "0123456789abcdef"})
    why = await rejected(run, "bob", other)
    assert f"it is {gate.plan_hash} now, not 0123456789abcdef; look at it again" in why
    await run.signal(Rollback.approve, said("bob", other))
    report = await runbook.until(run, lambda now: now.rejected)
    assert (report.rejected[0].message, report.rejected[0].why) == ("approve", why)
    assert outside.changes == []


async def test_the_same_answer_again_is_recorded_already(runbook, outside):
    outside.approvals = Approvals(needed=2)
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await answer(run, "bob", gate)
    again = await answer(run, "bob", gate)
    assert (again.detail, again.already) == ("already recorded", True)


@pytest.mark.parametrize("first", ["update", "signal"])
async def test_one_decision_sent_as_update_and_as_signal_counts_once(runbook, outside, first):
    outside.approvals = Approvals(needed=2)
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    decision = said("bob", gate, decision_id="bob/1")
    if first == "update":
        await run.execute_update(Rollback.decide, decision)
        await run.signal(Rollback.approve, decision)
    else:
        await run.signal(Rollback.approve, decision)
        assert (await run.execute_update(Rollback.decide, decision)).already
    await answer(run, "carol", gate)
    report = await runbook.end(run)
    assert (report.outcome, report.rejected) == (Outcome.RECOVERED, ())
    assert kinds(report).count("approve") == 2


async def test_an_answer_after_the_gate_closed_is_turned_away_unless_it_was_given_before(runbook, outside):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await answer(run, "bob", gate, decision_id="bob/1")
    await runbook.calls(outside, "deploy_release")
    assert (await answer(run, "bob", gate, decision_id="bob/1")).already
    assert (await answer(run, "Bob", gate)).detail == "already recorded"
    await run.signal(Rollback.approve, said("bob", gate))
    late = await rejected(run, "carol", gate)
    assert late == "the checkpoint is closed (answered by bob): this approval is not used"
    assert (await run.query(Rollback.status)).rejected == ()
    changing.set()
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_an_answer_before_anything_is_asked_is_turned_away(runbook, outside):
    reading = outside.holds("read_history")
    run = await runbook.start()
    await runbook.calls(outside, "read_history")
    assert await rejected(run, "bob") == "nothing waits for an approval: this approval is not used"
    reading.set()
    await runbook.at_checkpoint(run)


# --- the service changes meanwhile --------------------------------------------------------------------------------


async def test_a_deployment_before_the_yes_voids_approvals_and_asks_again(runbook, outside, temporal):
    outside.approvals = Approvals(needed=2)
    run = await runbook.start()
    old = await runbook.at_checkpoint(run)
    await answer(run, "bob", old)
    outside.deployed(release(3))
    await temporal.sleep(LOOKS * 2)
    new = await runbook.at_checkpoint(run, other_than=old.plan_hash)
    assert (new.approvals, new.plan.before.revision, new.plan.after.revision) == ((), "shop:3", "shop:2")
    assert "look at it again" in await rejected(run, "bob", old)
    await answer(run, "bob", new)
    await answer(run, "carol", new)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2"])
    assert "void" in kinds(report)


@pytest.mark.ending("recovered-still-agreed")
async def test_a_service_that_only_seemed_to_change_asks_nobody_twice(runbook, outside, temporal):
    outside.approvals = Approvals(needed=2)
    run = await runbook.start()
    old = await runbook.at_checkpoint(run)
    await answer(run, "bob", old)
    reading = outside.holds("read_history")
    outside.more = {"service_deployment": "as an old answer has it"}
    async with temporal.time_skipping_unlocked():
        await runbook.until(run, lambda now: now.checkpoint is None)
    outside.more = {}
    reading.set()
    new = await runbook.at_checkpoint(run)
    assert (new.plan_hash, [approval.by for approval in new.approvals]) == (old.plan_hash, ["bob"])
    assert new.opened > old.opened
    await answer(run, "carol", new)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])


async def test_a_deployment_that_ends_before_the_yes_voids_the_plan_to_stop_it(runbook, outside, temporal):
    outside.deployed(release(3), status="IN_PROGRESS")
    run = await runbook.start()
    old = await runbook.at_checkpoint(run)
    assert old.plan.calls[0].action == "StopServiceDeployment"
    outside.history[0] = outside.history[0].model_copy(update={"status": "SUCCESSFUL"})
    await temporal.sleep(LOOKS * 2)
    new = await runbook.at_checkpoint(run, other_than=old.plan_hash)
    assert new.plan.calls[0].action == "UpdateService"
    await answer(run, "bob", new)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2"])


async def test_a_deployment_that_nobody_saw_before_the_yes_is_found_after_it_and_asked_about(
    runbook, outside
):
    outside.fails["await_drift"] = [AccessDeniedError("not allowed: ecs:DescribeServices")]
    run = await runbook.start()
    old = await runbook.at_checkpoint(run)
    # The server of the tests refuses a task that cancels what has failed meanwhile.
    await runbook.until(run, lambda now: "failed" in {step.state for step in now.steps})
    outside.deployed(release(3))
    await answer(run, "bob", old)
    new = await runbook.at_checkpoint(run, other_than=old.plan_hash)
    assert (new.plan.before.revision, outside.changes) == ("shop:3", [])


@pytest.mark.ending("not-needed-while-asking")
async def test_ecs_rolling_back_by_itself_before_the_yes_needs_no_answer_any_more(runbook, outside):
    run = await runbook.start()
    await runbook.at_checkpoint(run)
    outside.rolled_back_by_ecs()
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.NOT_NEEDED, [])


@pytest.mark.ending("superseded")
async def test_a_deployment_after_the_yes_is_left_alone(runbook, outside):
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await answer(run, "bob", await runbook.at_checkpoint(run))
    await runbook.calls(outside, "deploy_release")
    outside.deployed(release(3))
    changing.set()
    report = await runbook.end(run)
    assert (report.outcome, report.error.kind) == (Outcome.SUPERSEDED, "DriftedError")
    assert (report.changes, outside.changes) == ((), [])
    assert outside.current.revision == "shop:3"


async def test_the_gate_that_opens_again_has_all_its_time(runbook, outside, temporal):
    run = await runbook.start()
    old = await runbook.at_checkpoint(run)
    await temporal.sleep(timedelta(minutes=20))
    outside.deployed(release(3))
    await temporal.sleep(LOOKS * 2)
    new = await runbook.at_checkpoint(run, other_than=old.plan_hash)
    assert new.closes - new.opened == timedelta(minutes=30)
    assert new.opened - old.opened >= timedelta(minutes=20)
