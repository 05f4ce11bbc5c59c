"""Rollback of services whose deployments shift traffic: strategy by moment, on the sandbox's state machine without processes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runbook_model.errors import AccessDeniedError, PolicyError
from runbook_model.measured.readings import Quality
from runbook_model.reports import Outcome, Verdict
from tests.procedures.stage.outside import judged, release
from tests.procedures.stage.shifting_outside import PAUSE, STRATEGIES, in_flight, shifting

MOMENTS = ["pending", "scaling-up", "test-traffic", "shifting", "paused", "baking"]
BAD = "shop:3"
"""What a diagnosis found to be bad: the release under way."""
ALARMS = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}


@pytest.fixture
def outside(request):
    strategy, *more = getattr(request, "param", ("BLUE_GREEN",))
    hooks = [PAUSE] if "paused" in more else []
    return shifting(strategy, *hooks, **(ALARMS if "alarms" in more else {}))


every_strategy = pytest.mark.parametrize(
    "outside", [(name,) for name in STRATEGIES], indirect=True, ids=STRATEGIES
)
with_alarms = pytest.mark.parametrize(
    "outside", [(name, "alarms") for name in STRATEGIES], indirect=True, ids=STRATEGIES
)
every_moment = pytest.mark.parametrize(
    ("outside", "moment"),
    [((name, moment), moment) for name in STRATEGIES for moment in MOMENTS],
    indirect=["outside"],
    ids=[f"{name}-{moment}" for name in STRATEGIES for moment in MOMENTS],
)


def fates(report):
    return [(change.action, change.fate) for change in report.changes]


# --- in flight: one stop --------------------------------------------------------------------------------------------


@pytest.mark.ending("recovered-shifting-stopped")
@every_moment
async def test_what_is_under_way_is_stopped_once_and_never_deployed_over(runbook, outside, moment):
    in_flight(outside, moment)
    run = await runbook.start(suspect=BAD)
    if moment not in {"shifting", "baking"}:
        gate = await runbook.at_checkpoint(run)
        assert "shop:3 (1.3.0) has no production traffic yet" in gate.plan.needs_yes
        await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["stop"]), report.summary
    assert fates(report) == [("StopServiceDeployment", "made")]
    assert outside.history[0].status == "ROLLBACK_SUCCESSFUL"
    assert outside.marks == [("shop:2", "good"), ("shop:3", "bad")]
    assert outside.calls.count("await_steady_state") == 2
    assert any(outside.configuration["strategy"] in line for line in report.plan.because)


@pytest.mark.ending("not-recovered-shifting-stopped")
@every_strategy
async def test_a_stop_that_did_not_help_is_a_persons_choice_and_marks_nothing(runbook, outside):
    in_flight(outside, "shifting")
    outside.quality = Quality.BAD
    run = await runbook.start(suspect=BAD)
    gate = await runbook.at_checkpoint(run)
    assert gate.question == "Recovery is not verified: how to continue?"
    await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash, "option": "hand-over"})
    report = await runbook.end(run)
    assert (report.outcome, report.verdict) == (Outcome.NOT_RECOVERED, Verdict.NOT_RECOVERED)
    assert (outside.changes, outside.marks) == (["stop"], [])


@every_strategy
async def test_an_abort_keeps_a_stop_and_with_undo_deploys_again_once_ecs_is_back(runbook, outside):
    in_flight(outside, "shifting")
    outside.holds("observe")
    run = await runbook.start(suspect=BAD)
    await runbook.calls(outside, "observe")
    await run.signal("abort", {"by": "alice", "reason": "it was not the release", "keep": False})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, ["stop", "deploy shop:3"]), report.summary
    assert fates(report) == [("StopServiceDeployment", "undone")]


@pytest.mark.ending("recovered-shifting-asked")
async def test_where_nobody_found_out_which_release_is_bad_a_person_is_asked(runbook, outside):
    in_flight(outside, "shifting")
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert "which of them is the bad one is not known" in gate.plan.needs_yes
    assert outside.changes == []
    outside.at("baking")  # weights and stages move on, and the yes counts
    await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["stop"])


# --- the figures of both releases -----------------------------------------------------------------------------------


@pytest.mark.ending("recovered-shifting-measured")
@every_strategy
async def test_a_release_that_alone_fails_is_stopped_without_asking_which_is_bad(runbook, outside):
    in_flight(outside, "shifting")
    outside.shares = (0.3, 0.0)
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["stop"]), report.summary
    assert "By target group: shop:3 (tag), which is coming, is the bad one." in report.plan.because
    figures = (report.plan.revisions.coming, report.plan.revisions.old)
    assert [(item.revision.release, item.share, item.requests) for item in figures] == [
        ("shop:3", 0.3, 1000),
        ("shop:2", 0.0, 1000),
    ]


@every_strategy
async def test_where_the_old_release_fails_nothing_is_stopped_and_a_person_is_asked(runbook, outside):
    in_flight(outside, "shifting")
    outside.shares = (0.0, 0.3)
    run = await runbook.start(suspect=BAD)  # whatever a diagnosis found before
    gate = await runbook.at_checkpoint(run)
    assert gate.plan.needs_yes.startswith(
        "shop:2 (tag), which ran before, is the bad one, and a stop would send all traffic to it: "
    )
    assert outside.changes == []


async def test_a_yes_from_before_the_old_release_was_measured_to_be_bad_does_not_count(runbook, outside):
    in_flight(outside, "shifting")
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    outside.shares = (0.0, 0.3)
    await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash})
    again = await runbook.at_checkpoint(run, other_than=gate.plan_hash)
    assert "is the bad one" in again.plan.needs_yes
    assert outside.changes == []


@pytest.mark.parametrize("shares", [(0.3, 0.3), (0.0, 0.0), (0.3, None), (None, 0.0)])
async def test_figures_that_name_neither_release_leave_it_to_a_person(runbook, outside, shares):
    in_flight(outside, "shifting")
    outside.shares = shares
    gate = await runbook.at_checkpoint(await runbook.start())
    assert "which of them is the bad one is not known" in gate.plan.needs_yes
    assert outside.changes == []


async def test_a_release_that_fails_with_test_traffic_alone_is_a_persons_decision(runbook, outside):
    in_flight(outside, "test-traffic")
    outside.shares = (0.3, 0.0)
    gate = await runbook.at_checkpoint(await runbook.start())
    assert "shop:3 (1.3.0) has no production traffic yet" in gate.plan.needs_yes
    assert outside.changes == []


async def test_figures_that_cannot_be_read_are_not_the_end_of_a_run(runbook, outside):
    in_flight(outside, "shifting")
    outside.fails["read_revisions"] = [AccessDeniedError("not allowed") for _ in range(9)]
    gate = await runbook.at_checkpoint(await runbook.start())
    assert "which of them is the bad one is not known" in gate.plan.needs_yes
    assert gate.plan.revisions is None


# --- past the point of a stop ---------------------------------------------------------------------------------------


@pytest.mark.ending("recovered-shifting-past-stop")
@pytest.mark.parametrize("moment", ["cleaning-up", "finished"])
@every_strategy
async def test_a_stop_that_comes_too_late_never_becomes_an_update_without_another_yes(
    runbook, outside, moment
):
    in_flight(outside, "baking")
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert [call.action for call in gate.plan.calls] == ["StopServiceDeployment"]
    outside.moves_on = moment
    await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash})
    again = await runbook.until(
        run, lambda now: "stop_deployment" in outside.calls and (now.checkpoint or now.outcome)
    )
    if again.checkpoint is None:
        pytest.fail(f"no gate opened: {again.summary}")
    assert [call.action for call in again.checkpoint.plan.calls] == ["UpdateService"]
    assert (again.checkpoint.plan_hash != gate.plan_hash, outside.changes) == (True, [])
    await run.signal("approve", {"by": "bob", "plan_hash": again.checkpoint.plan_hash})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2"])


async def test_a_gate_that_is_open_when_the_old_tasks_end_opens_again(runbook, outside, monkeypatch):
    monkeypatch.setattr("tests.procedures.stage.outside.LOOKS", timedelta(seconds=0.1))
    in_flight(outside, "baking")
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    outside.at("cleaning-up")
    again = await runbook.at_checkpoint(run, other_than=gate.plan_hash)
    assert [call.action for call in again.plan.calls] == ["UpdateService"]
    assert "it is too late for that now" in again.plan.needs_yes
    assert outside.changes == []


@pytest.mark.ending("recovered-shifting-cleaning-up")
@every_strategy
async def test_what_ends_its_old_tasks_is_waited_for_and_then_updated(runbook, outside):
    in_flight(outside, "cleaning-up")
    report = await runbook.run(suspect=BAD)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2"]), report.summary
    assert "Let ECS end the old tasks" in [step.step for step in report.steps]


@pytest.mark.ending("not-needed-shifting-rolled-back")
@every_strategy
async def test_what_ecs_rolls_back_by_itself_may_finish(runbook, outside):
    in_flight(outside, "shifting")
    outside.machine.stop()
    outside.at("rolling-back")
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.NOT_NEEDED, [])
    assert "ECS rolled shop:3 (1.3.0) back by itself" in report.summary


async def test_a_plan_of_what_cannot_be_stopped_any_more_waits_for_nothing(runbook, outside):
    in_flight(outside, "cleaning-up")
    report = await runbook.run(plan_only=True, id=f"plan/{runbook.environment}/shop/rollback/1")
    assert (report.outcome, outside.calls.count("await_steady_state")) == (Outcome.PLANNED, 0)
    assert "a rollback would wait for the end and look again" in report.summary


# --- finished: one update -------------------------------------------------------------------------------------------


@pytest.mark.ending("recovered-shifting-updated")
@every_strategy
async def test_what_has_finished_is_updated_once_and_verified_from_the_bake_time_on(runbook, outside):
    in_flight(outside, "finished")
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2"]), report.summary
    assert fates(report) == [("UpdateService", "made")]
    assert outside.history[0].status == "SUCCESSFUL"
    assert outside.marks == [("shop:2", "good"), ("shop:3", "bad")]
    words = " ".join(report.plan.because)
    assert outside.configuration["strategy"] in words
    assert "At the longest it takes" in words


@every_strategy
async def test_the_undo_of_an_update_is_a_stop_while_it_bakes(runbook, outside):
    in_flight(outside, "finished")
    outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    assert outside.history[0].shift.moment(outside.history[0].status) == "baking"
    await run.signal("abort", {"by": "alice", "reason": "it was not the release", "keep": False})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, ["deploy shop:2", "stop"]), report.summary
    assert fates(report) == [("UpdateService", "undone")]


@pytest.mark.ending("not-recovered-shifting-alarm")
@with_alarms
async def test_an_alarm_in_the_bake_time_takes_the_recovery_back(runbook, outside):
    in_flight(outside, "finished")
    outside.alarm_in_the_bake = True
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["deploy shop:2"])
    assert "the deployment was rolled back" in report.summary
    assert outside.marks == []


async def test_a_bake_time_of_a_day_is_not_waited_for(runbook, outside):
    outside.configuration = {**outside.configuration, "bakeTimeInMinutes": 1440}
    in_flight(outside, "finished")
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2"])
    assert (
        "The deployment had not ended yet (its bake time is 1d): ECS may still take it back."
        in report.summary
    )


@pytest.mark.ending("not-recovered-shifting-updated")
@every_strategy
async def test_going_back_further_never_deploys_over_the_bake_time(runbook, outside):
    in_flight(outside, "finished")
    outside.quality = Quality.BAD
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash, "option": "roll-back-further"})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["deploy shop:2"])
    assert "this run has put it there" in report.summary


async def test_a_deployment_over_what_is_verified_is_left_alone(runbook, outside):
    in_flight(outside, "finished")
    verifying = outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    outside.machine = None
    outside.deploys(release(4))
    verifying.set()
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.SUPERSEDED, ["deploy shop:2"])
    assert "shop:4 (1.4.0) was deployed over it meanwhile" in report.summary


async def test_a_lost_reply_of_a_stop_stops_nothing_twice(runbook, outside):
    in_flight(outside, "baking")
    outside.loses_reply = {"stop_deployment"}
    report = await runbook.run(suspect=BAD)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["stop"])
    assert outside.calls.count("stop_deployment") == 2


# --- pauses of our own rollback ---------------------------------------------------------------------------------------


def pausing(outside):
    """From now on deployments of the service wait at a pause hook before each shift of traffic."""
    in_flight(outside, "finished")
    outside.configuration = {**outside.configuration, "lifecycleHooks": [PAUSE]}


@pytest.mark.ending("recovered-shifting-paused")
@every_strategy
async def test_people_hear_of_each_pause_of_the_rollback_once_and_how_to_answer_it(runbook, outside):
    pausing(outside)
    outside.answer = "CONTINUE"
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2"]), report.summary
    hooks = [hook.id for hook in outside.machine.hooks]
    assert len(hooks) == outside.history[0].shift.settings.steps
    assert len(outside.notices) == len(hooks)
    for notice, hook in zip(outside.notices, hooks, strict=True):
        assert f"waits at the pause hook {hook} of PRODUCTION_TRAFFIC_SHIFT" in notice.text
        assert f"aws ecs continue-service-deployment --region us-east-1 --service-deployment-arn {outside.history[0].arn} --hook-id {hook} --action CONTINUE" in notice.text  # fmt: skip
        assert notice.urgent


async def test_a_pause_that_a_person_answers_with_rollback_is_no_recovery(runbook, outside):
    pausing(outside)
    outside.answer = "ROLLBACK"
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["deploy shop:2"])
    assert "ContinueServiceDeployment was called with ROLLBACK" in report.summary


async def test_a_pause_that_nobody_answers_ends_as_the_hook_says(runbook, outside):
    pausing(outside)
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["deploy shop:2"])
    assert len(outside.notices) == 1


# --- what a person chooses -------------------------------------------------------------------------------------------


def finished(outside, **configuration):
    """Release 3 has finished; from now on the service is configured so."""
    in_flight(outside, "finished")
    outside.configuration = {**outside.configuration, **configuration}
    return outside.configuration


async def chosen(runbook, **choices):
    """Alice starts with a choice, and bob agrees; the run, and the plan that he saw."""
    run = await runbook.start(**choices)
    gate = await runbook.at_checkpoint(run)
    await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash})
    return run, gate.plan


@pytest.mark.ending("recovered-shifting-fast")
@every_strategy
async def test_a_fast_update_has_no_waits_and_the_configuration_is_put_back(runbook, outside):
    before = finished(outside)
    run, plan = await chosen(runbook, shift="fast")
    assert "shift fast is a person's choice" in plan.needs_yes
    [update] = plan.calls
    assert update.parameters["deploymentConfiguration"]["bakeTimeInMinutes"] == 0
    [back] = [follow for follow in plan.follows if follow.kind == "settings"]
    assert back.calls[0].parameters["deploymentConfiguration"]["bakeTimeInMinutes"] == 15
    assert "At the longest it takes the time that tasks need to start." in " ".join(plan.because)
    report = await runbook.end(run)
    assert (report.outcome, outside.configuration) == (Outcome.RECOVERED, before), report.summary
    assert outside.changes == ["deploy shop:2", "settings"]
    assert fates(report) == [("UpdateService", "made"), ("UpdateService", "made")]
    assert outside.history[0].shift.settings.waits == timedelta(0)


@pytest.mark.parametrize("lost", ["deploy_release", "put_settings_back"])
@every_strategy
async def test_a_lost_reply_changes_no_configuration_twice(runbook, outside, lost):
    before = finished(outside)
    outside.loses_reply = {lost}
    run, _ = await chosen(runbook, shift="fast")
    report = await runbook.end(run)
    assert (report.outcome, outside.configuration) == (Outcome.RECOVERED, before), report.summary
    assert outside.changes == ["deploy shop:2", "settings"]
    assert outside.calls.count(lost) == 2


@pytest.mark.ending("aborted-shifting-fast")
@pytest.mark.parametrize("moment", ["await_steady_state", "observe"])
@pytest.mark.parametrize("keep", [True, False], ids=["keeps", "undoes"])
async def test_an_abort_leaves_the_configuration_as_it_was(runbook, outside, moment, keep):
    before = finished(outside)
    waiting = outside.holds(moment)
    run, _ = await chosen(runbook, shift="fast")
    await runbook.calls(outside, moment)
    await run.signal("abort", {"by": "alice", "reason": "it was not the release", "keep": keep})
    await runbook.until(run, lambda now: any(decision.kind == "abort" for decision in now.decisions))
    waiting.set()
    report = await runbook.end(run)
    assert (report.outcome, outside.configuration) == (Outcome.ABORTED, before), report.summary
    assert outside.changes.count("settings") == 1
    assert outside.changes[0] == "deploy shop:2"


@pytest.mark.ending("recovered-shifting-fast-drifted")
@every_strategy
async def test_a_configuration_that_somebody_changed_meanwhile_is_left_as_it_is(runbook, outside):
    finished(outside)
    waiting = outside.holds("await_steady_state")
    run, _ = await chosen(runbook, shift="fast")
    await runbook.calls(outside, "await_steady_state")
    theirs = outside.configuration = {**outside.configuration, "bakeTimeInMinutes": 7}
    waiting.set()
    report = await runbook.end(run)
    assert (report.outcome, outside.configuration) == (Outcome.RECOVERED, theirs), report.summary
    assert outside.changes == ["deploy shop:2"]
    assert "The deployment configuration was not put back (somebody else changed" in report.summary
    assert "bakeTimeInMinutes 15" in report.summary
    assert [task.what for task in report.tasks] == ["Put the deployment configuration back"]


async def test_a_configuration_that_changed_before_the_update_ends_the_run_without_a_change(runbook, outside):
    finished(outside)
    waiting = outside.holds("deploy_release")
    run, _ = await chosen(runbook, shift="fast")
    await runbook.calls(outside, "deploy_release")
    outside.configuration = {**outside.configuration, "bakeTimeInMinutes": 7}
    waiting.set()
    report = await runbook.end(run)
    assert (report.outcome, outside.changes, report.changes) == (Outcome.SUPERSEDED, [], ()), report.summary
    assert "put_settings_back" not in outside.calls


@pytest.mark.parametrize("outside", [("BLUE_GREEN", "alarms")], indirect=True)
async def test_a_fast_update_that_is_not_verified_has_its_configuration_back_before_people_are_asked(
    runbook, outside
):
    before = finished(outside)
    outside.quality = Quality.BAD
    run, plan = await chosen(runbook, shift="fast")
    gate = await runbook.until(run, lambda now: now.checkpoint and "not verified" in now.checkpoint.question)
    assert outside.configuration == before
    answer = {"by": "bob", "plan_hash": gate.checkpoint.plan_hash, "option": "hand-over"}
    await run.signal("approve", answer)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["deploy shop:2", "settings"])
    assert "Terraform and CloudFormation see drift" in " ".join(plan.because)


@pytest.mark.ending("recovered-shifting-continued")
@every_strategy
async def test_pauses_of_the_own_rollback_are_answered_by_its_yes_once_each(runbook, outside):
    finished(outside, lifecycleHooks=[PAUSE])
    run, plan = await chosen(runbook, continue_own_hooks=True)
    assert "continue-own-hooks is a person's choice" in plan.needs_yes
    assert "this run continues it each time, by the same yes" in " ".join(plan.because)
    assert "of hooks" not in " ".join(plan.because)
    report = await runbook.end(run)
    steps = outside.history[0].shift.settings.steps
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2", *["continue"] * steps])
    assert fates(report)[1:] == [("ContinueServiceDeployment", "made")] * steps
    assert {hook.status for hook in outside.machine.hooks} == {"SUCCEEDED"}
    assert outside.notices == []


async def test_a_lost_reply_to_a_pause_answers_it_once(runbook, outside):
    finished(outside, lifecycleHooks=[PAUSE])
    outside.loses_reply = {"continue_deployment"}
    run, _ = await chosen(runbook, continue_own_hooks=True)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2", "continue"])
    assert outside.calls.count("continue_deployment") == 2


@every_strategy
async def test_both_choices_go_together(runbook, outside):
    before = finished(outside, lifecycleHooks=[PAUSE])
    run, plan = await chosen(runbook, shift="fast", continue_own_hooks=True)
    assert "shift fast with continue-own-hooks is a person's choice" in plan.needs_yes
    report = await runbook.end(run)
    assert (report.outcome, outside.configuration) == (Outcome.RECOVERED, before), report.summary
    made = ["continue"] * outside.history[0].shift.settings.steps
    assert outside.changes == ["deploy shop:2", *made, "settings"]


async def test_a_pause_that_the_run_may_not_answer_is_a_persons(runbook, outside):
    finished(outside, lifecycleHooks=[PAUSE])
    outside.fails = {"continue_deployment": [PolicyError("not allowed")]}
    outside.answer = "CONTINUE"
    run, _ = await chosen(runbook, continue_own_hooks=True)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:2"])
    assert "The run could not continue it: not allowed" in outside.notices[0].text


@pytest.mark.parametrize("choice", [{"shift": "fast"}, {"continue_own_hooks": True}], ids=["fast", "hooks"])
async def test_a_choice_is_refused_for_what_is_under_way(runbook, outside, choice):
    in_flight(outside, "baking")
    report = await runbook.run(suspect=BAD, **choice)
    assert (report.outcome, report.error.kind, outside.changes) == (Outcome.REFUSED, "input", [])
    assert "is for a deployment that has finished, and shop:3 (1.3.0) is being deployed" in report.summary


async def test_nobody_but_a_person_chooses(runbook, outside):
    finished(outside)
    report = await runbook.run(shift="fast", automatic=True)
    assert (report.outcome, report.error.kind, outside.changes) == (Outcome.REFUSED, "policy", [])


async def test_a_way_that_does_not_exist_is_refused(runbook, outside):
    finished(outside)
    report = await runbook.run(shift="at once")
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "input")
    assert '"at once" is no way to shift traffic' in report.summary


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.ending("refused-shifting")
async def test_nothing_is_deployed_over_a_release_that_would_go_back_to_a_bad_one(runbook, outside):
    outside.history[0] = outside.history[0].model_copy(update={"release": judged(2)})
    in_flight(outside, "baking")
    report = await runbook.run(suspect=BAD)
    assert (report.outcome, report.error.kind, outside.changes) == (Outcome.REFUSED, "policy", [])
    assert "shop:2 (1.2.0), which ran before, is marked bad" in report.summary


async def test_another_release_than_the_one_before_is_not_deployed_over_what_is_under_way(runbook, outside):
    in_flight(outside, "baking")
    report = await runbook.run(to="shop:1")
    assert (report.outcome, outside.changes) == (Outcome.REFUSED, [])
    assert "stopping that puts shop:2 (1.2.0) back, not shop:1" in report.summary


@pytest.mark.parametrize("strategy", ["force-new-deployment"])
async def test_fresh_tasks_are_not_offered(runbook, outside, strategy):
    outside.strategy = strategy
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.REFUSED, [])
    assert 'the catalog\'s rollback strategy "force-new-deployment" is not supported' in report.summary


async def test_revisions_that_a_stopped_deployment_left_are_a_persons(runbook, outside):
    in_flight(outside, "shifting")
    outside.machine.stop(abort=True)
    outside.at("ended")
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.REFUSED, [])
    assert "left 2 revisions: which of them has the traffic is not known" in report.summary
