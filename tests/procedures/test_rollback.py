"""The rollback procedure: every ending that no person's message brings about."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runbook_model.authority.shown import plan_hash
from runbook_model.errors import (
    AccessDeniedError,
    RejectedError,
    ThrottledError,
    UnknownReplyError,
    UnknownTargetError,
    UnreachableError,
)
from runbook_model.measured.readings import Quality
from runbook_model.releases.rollout import Phase
from runbook_model.reports import Outcome, State, Verdict
from tests.procedures.stage.outside import Outside, judged, release


def fates(report):
    return [(change.action, change.fate) for change in report.changes]


@pytest.mark.ending("recovered")
async def test_a_bad_release_is_put_back_verified_and_both_are_marked(runbook, outside):
    report = await runbook.run(reason="errors")
    assert (report.outcome, report.verdict, report.state) == (
        Outcome.RECOVERED,
        Verdict.RECOVERED,
        State.DONE,
    )
    assert outside.changes == ["deploy shop:1"]
    assert fates(report) == [("UpdateService", "made")]
    assert outside.service.task_definition.endswith("shop:1")
    assert outside.marks == [("shop:1", "good"), ("shop:2", "bad")]


@pytest.mark.ending("planned")
async def test_a_plan_changes_nothing_asks_nobody_and_looks_for_no_earlier_run(runbook, outside):
    report = await runbook.run(plan_only=True, id=f"plan/{runbook.environment}/shop/rollback/1")
    assert report.outcome is Outcome.PLANNED
    assert [call.action for call in report.plan.calls] == ["UpdateService"]
    assert report.plan_hash == plan_hash(report.plan)
    assert set(outside.calls) == {"resolve_target", "read_history", "measure"}
    assert report.changes == ()


async def test_the_page_says_where_its_trace_is_seen_by_the_workers_catalog(runbook, outside):
    outside.links = {"traces": "https://tempo.test/{trace_id}"}
    assert (await runbook.run(trace_id="4bf9")).trace == "https://tempo.test/4bf9"
    assert (await runbook.run()).trace is None


# --- nothing to do ------------------------------------------------------------------------------------------------


@pytest.mark.ending("not-needed")
async def test_a_release_that_runs_already_is_not_put_back(runbook, outside):
    report = await runbook.run(to="1.2.0")
    assert (report.outcome, report.summary) == (Outcome.NOT_NEEDED, "shop:2 (1.2.0) runs already.")
    assert outside.changes == []


@pytest.mark.ending("not-needed-by-breaker")
async def test_a_deployment_that_ecs_rolled_back_by_itself_needs_nothing(runbook, outside):
    outside.rolled_back_by_ecs()
    report = await runbook.run()
    assert report.outcome is Outcome.NOT_NEEDED
    assert "ECS rolled shop:2 (1.2.0) back by itself; shop:1 (1.1.0) runs already" in report.summary
    assert outside.changes == []


async def test_a_rollback_that_ecs_is_making_may_finish(runbook, outside):
    outside.deployed(release(3), status="ROLLBACK_IN_PROGRESS")
    report = await runbook.run()
    assert report.outcome is Outcome.NOT_NEEDED
    assert "Let ECS finish its own rollback" in [step.step for step in report.steps]
    assert outside.changes == []


@pytest.mark.ending("not-recovered-ecs-still-rolls-back")
@pytest.mark.parametrize(
    ("phase", "outcome"),
    [(Phase.STUCK, Outcome.NOT_RECOVERED), (Phase.SUPERSEDED, Outcome.SUPERSEDED)],
)
async def test_a_rollback_of_ecs_that_does_not_end_or_is_deployed_over_is_not_fought(
    runbook, outside, phase, outcome
):
    outside.deployed(release(3), status="ROLLBACK_IN_PROGRESS")
    outside.phase = phase
    report = await runbook.run()
    assert (report.outcome, report.changes, outside.changes) == (outcome, (), [])


# --- refused ------------------------------------------------------------------------------------------------------


def only_one_release(outside: Outside):
    del outside.history[1:]


def older_one_is_bad(outside: Outside):
    outside.history[1] = outside.history[1].model_copy(update={"release": judged(1)})


@pytest.mark.parametrize(
    ("turn", "to", "kind", "words"),
    [
        pytest.param({"desired": 0}, None, "policy", "its desired count is 0", id="nothing is desired"),
        pytest.param(
            {"more": {"controller": "CODE_DEPLOY"}}, None, "policy", "controller is CODE_DEPLOY", id="CodeDeploy"
        ),
        pytest.param(
            {"more": {"controller": "EXTERNAL"}}, None, "policy", "controller is EXTERNAL", id="external"
        ),
        pytest.param(
            {"more": {"strategy": "SPIRAL"}}, None, "policy", "strategy is SPIRAL", id="a strategy of tomorrow"
        ),
        pytest.param({"more": {"scheduling": "DAEMON"}}, None, "policy", "scheduling is DAEMON", id="daemon"),
        pytest.param(
            {"more": {"status": "DRAINING"}}, None, "policy", "the service is DRAINING", id="draining"
        ),
        pytest.param({}, "9.9.9", "input", 'no release "9.9.9" of prod/shop; there are: shop:2', id="no such release"),
        pytest.param(older_one_is_bad, "1.1.0", "policy", "is marked bad by remediation/old", id="named a bad one"),
        pytest.param(older_one_is_bad, None, "policy", "there is no release before shop:2", id="all marked bad"),
        pytest.param(only_one_release, None, "policy", "there is no release before shop:2", id="the first one"),
    ],
)  # fmt: skip
async def test_what_cannot_or_may_not_be_rolled_back_is_refused(runbook, outside, turn, to, kind, words):
    if callable(turn):
        turn(outside)
    else:
        vars(outside).update(turn)
    report = await runbook.run(to=to)
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, kind)
    assert words in report.summary
    assert (report.changes, outside.changes) == ((), [])


@pytest.mark.ending("refused")
async def test_a_release_that_nobody_knows_is_looked_for_before_it_is_refused(runbook, outside):
    report = await runbook.run(to="9.9.9")
    assert report.outcome is Outcome.REFUSED
    assert {"find_release", "list_revisions"} <= set(outside.calls)


async def test_a_target_that_the_workers_catalog_does_not_know_is_bad_input(runbook, outside):
    outside.fails["resolve_target"] = [UnknownTargetError('no service "shop"')]
    report = await runbook.run()
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "input")
    assert 'no service "shop"' in report.error.message


# --- other ways ---------------------------------------------------------------------------------------------------


async def test_a_deployment_under_way_is_stopped(runbook, outside):
    outside.deployed(release(3), status="IN_PROGRESS")
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["stop"])
    assert fates(report) == [("StopServiceDeployment", "made")]
    assert outside.marks == [("shop:2", "good"), ("shop:3", "bad")]


async def test_a_deployment_under_way_whose_predecessor_is_bad_is_gone_around(runbook, outside):
    outside.history[0] = outside.history[0].model_copy(update={"release": judged(2)})
    outside.deployed(release(3), status="IN_PROGRESS")
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])


async def test_a_deregistered_release_is_registered_again_and_its_copy_is_what_is_verified_and_marked(
    runbook, outside
):
    outside.history[1] = outside.history[1].model_copy(update={"release": release(1, active=False)})
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["register shop:1", "deploy shop:99"])
    assert [change.action for change in report.changes] == ["RegisterTaskDefinition", "UpdateService"]
    assert outside.observations[0].release.revision == "shop:99"
    assert outside.marks == [("shop:99", "good"), ("shop:2", "bad")]


async def test_a_forced_deployment_says_nothing_of_the_release(runbook, outside):
    outside.strategy = "force-new-deployment"
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["force"])
    assert outside.observations[0].same_release_before
    assert ("shop:2", "bad") not in outside.marks


async def test_a_forced_deployment_of_a_tag_that_was_moved_says_so_and_marks_what_runs(runbook, outside):
    outside.strategy = "force-new-deployment"
    moved = release(2).images[0].model_copy(update={"digest": f"sha256:{5:064x}"})
    outside.fresh = release(2).model_copy(update={"images": (moved,)})
    report = await runbook.run()
    assert report.outcome is Outcome.RECOVERED
    assert report.summary.endswith(
        f"fresh tasks of shop:1.2.0 run {moved.digest}, before it was sha256:{2:064x}."
    )
    assert outside.marked[-1].fingerprint == moved.digest


async def test_a_named_release_is_put_back_by_name(runbook, outside):
    outside.deployed(release(3))
    report = await runbook.run(to="shop:1")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])


# --- not recovered ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        pytest.param(Phase.FAILED, Outcome.NOT_RECOVERED, marks=pytest.mark.ending("not-recovered-rollout-failed")),
        (Phase.STUCK, Outcome.NOT_RECOVERED),
        pytest.param(Phase.SUPERSEDED, Outcome.SUPERSEDED, marks=pytest.mark.ending("superseded-while-waiting")),
    ],
)  # fmt: skip
async def test_a_rollout_that_does_not_arrive_is_handed_over_with_its_causes(
    runbook, outside, phase, outcome
):
    outside.phase = phase
    report = await runbook.run()
    assert report.outcome is outcome
    assert "Essential container in task exited" in report.summary
    assert "A person must check now" in report.summary
    assert fates(report) == [("UpdateService", "made")]
    assert outside.marks == []


@pytest.mark.ending("superseded-while-verifying")
async def test_a_release_deployed_over_what_is_being_verified_is_left_alone(runbook, outside):
    verifying = outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    outside.deployed(release(3))
    verifying.set()
    report = await runbook.end(run)
    assert report.outcome is Outcome.SUPERSEDED
    assert "shop:3 (1.3.0) was deployed over it meanwhile" in report.summary
    assert (outside.changes, outside.marks) == (["deploy shop:1"], [])


@pytest.mark.ending("not-recovered-tag-moved")
async def test_a_tag_that_was_moved_is_not_the_release_that_was_good(runbook, outside):
    verifying = outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    other = release(1).images[0].model_copy(update={"digest": f"sha256:{7:064x}"})
    moved = release(1).model_copy(update={"images": (other,)})
    outside.history[0] = outside.history[0].model_copy(update={"release": moved})
    verifying.set()
    report = await runbook.end(run)
    assert (report.outcome, report.verdict) == (Outcome.NOT_RECOVERED, Verdict.NOT_RECOVERED)
    assert "its tag was moved" in report.summary
    assert outside.marks == []


# --- AWS answers badly --------------------------------------------------------------------------------------------


@pytest.mark.ending("failed")
@pytest.mark.parametrize("step", ["read_history", "measure", "deploy_release"])
async def test_a_permission_that_is_missing_before_anything_was_changed_fails_the_run(runbook, outside, step):
    error = AccessDeniedError("not allowed: ecs:UpdateService")
    error.certainly_not_made = True
    outside.fails[step] = [error]
    report = await runbook.run()
    assert (report.outcome, report.error.kind) == (Outcome.FAILED, "AccessDeniedError")
    assert "Failed before anything was changed: not allowed: ecs:UpdateService" in report.summary
    assert report.changes == ()


@pytest.mark.ending("inconclusive-cut-short")
@pytest.mark.parametrize("step", ["await_steady_state", "observe"])
async def test_a_permission_that_is_missing_after_the_change_leaves_it_to_a_person(runbook, outside, step):
    outside.fails[step] = [AccessDeniedError("not allowed: ecs:DescribeServices")]
    report = await runbook.run()
    assert (report.outcome, report.error.kind) == (Outcome.INCONCLUSIVE, "AccessDeniedError")
    assert "UpdateService shop:2 (1.2.0) → shop:1 (1.1.0): made" in report.summary
    assert "A person must check now" in report.summary


@pytest.mark.ending("inconclusive-unknown-reply")
async def test_a_change_that_nobody_can_tell_was_made_is_reported_as_such(runbook, outside):
    outside.fails["deploy_release"] = [UnknownReplyError("no answer came")]
    report = await runbook.run()
    assert (report.outcome, report.error.kind) == (Outcome.INCONCLUSIVE, "UnknownReplyError")
    assert fates(report) == [("UpdateService", "may have been made")]


async def test_a_change_that_ecs_refuses_is_not_listed(runbook, outside):
    error = RejectedError("the task definition is inactive")
    error.certainly_not_made = True
    outside.fails["deploy_release"] = [error]
    report = await runbook.run()
    assert (report.outcome, report.changes) == (Outcome.FAILED, ())


@pytest.mark.parametrize("step", ["read_history", "deploy_release", "await_steady_state", "observe"])
async def test_throttling_delays_and_changes_nothing_twice(runbook, outside, step):
    outside.fails[step] = [ThrottledError("slow down")] * 3
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])
    assert fates(report) == [("UpdateService", "made")]
    assert outside.calls.count(step) >= 4


async def test_a_lost_reply_is_asked_after_and_the_change_is_not_made_twice(runbook, outside):
    outside.loses_reply = {"deploy_release"}
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])
    assert outside.calls.count("deploy_release") == 2


async def test_somebody_who_is_faster_than_a_repeat_is_left_alone_and_the_change_stays_listed(
    runbook, outside
):
    outside.fails["deploy_release"] = [UnreachableError("no answer")]
    changing = outside.holds("deploy_release")
    run = await runbook.start()
    await runbook.calls(outside, "deploy_release")
    outside.deployed(release(3))
    changing.set()
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.SUPERSEDED, [])
    assert fates(report) == [("UpdateService", "may have been made")]


async def test_a_read_that_never_answers_fails_the_run_after_half_an_hour(runbook, outside):
    outside.fails["read_history"] = [UnreachableError("no answer in time")] * 5000
    report = await runbook.run()
    assert report.outcome is Outcome.FAILED
    read = report.steps[-1]
    assert (read.step, read.state) == ("Read what runs and what ran before", "failed")
    assert timedelta(minutes=29) < read.ended - read.started < timedelta(minutes=31)


async def test_a_ledger_that_cannot_be_written_fails_nothing(runbook, outside):
    outside.fails["mark_release"] = [AccessDeniedError("not allowed: ecs:TagResource")] * 2
    report = await runbook.run()
    assert (report.outcome, outside.marks) == (Outcome.RECOVERED, [])
    assert [step.state for step in report.steps if step.step.startswith("Mark")] == ["failed", "failed"]


async def test_what_was_measured_before_the_change_is_shown_and_never_posted(runbook, outside):
    outside.quality = Quality.BAD
    report = await runbook.run(plan_only=True)
    assert [reading.quality for reading in report.readings] == [Quality.BAD]
