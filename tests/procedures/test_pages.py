"""Service down, high error rate, high latency, resource issues: every way that a diagnosis may lead, and who decides."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from temporalio.service import RPCError
from temporalio.worker import Interceptor, WorkflowInboundInterceptor, WorkflowOutboundInterceptor

from activities.temporal.predecessor import RunName
from runbook_model.catalog.policies import Approvals
from runbook_model.errors import AccessDeniedError
from runbook_model.measured.readings import Quality
from runbook_model.reports import Outcome, Report, State
from tests.patience import PATIENCE
from tests.procedures.stage.outside import MOVED, MOVED_TAG, judged, release
from tests.procedures.stage.sick import Sick
from tests.symptoms import (
    an_onset,
    errors_read,
    latency_read,
    load_read,
    logs_read,
    resources_read,
    revisions_read,
    utilization_read,
)


@pytest.fixture
def outside() -> Sick:
    return Sick()


BEGAN_WITH_2 = an_onset(before="shop:1").model_copy(update={"release": "shop:2"})
BAD_SINCE_RELEASE = errors_read(0.0, 0.4, 0.4)
SURGE = load_read(rate=300.0, usual=25.0, cpu=0.95, usual_cpu=0.2)
BUSY = resources_read(cpu=0.97)


@pytest.mark.ending("recovered-by-child")
async def test_errors_that_started_with_a_release_are_rolled_back_by_a_child(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    report = await pages.run("high-error-rate")
    assert report.outcome is Outcome.RECOVERED
    assert outside.calls.count("deploy_release") == 1
    assert outside.marks == [("shop:1", "good"), ("shop:2", "bad")]
    assert [change.action for change in report.changes] == ["UpdateService"]
    assert "bad-release" in report.findings[0]
    read = next(step for step in report.steps if step.step == "Read which requests fail, and since when")
    assert [(item.what, item.said) for item in read.cited[:4]] == [
        ("onset", "ai-processor-prod:3 since 2026-03-01 02:55:00 UTC, ai-processor-prod:2 before"),
        ("share before", "0"),
        ("share first", "0.4"),
        ("share now", "0.4"),
    ]
    assert all(item.query and item.at for item in read.cited)


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SUCCESSFUL"])
async def test_what_was_deployed_since_the_diagnosis_is_not_taken_back_without_a_yes(pages, outside, status):
    outside.errors = errors_read(0.0, 0.4, 0.4, onset=BEGAN_WITH_2)
    loading = outside.holds("read_load")
    run = await pages.start("high-error-rate")
    await pages.calls(outside, "read_load")
    outside.deployed(release(3), status=status)
    loading.set()
    gate = (await pages.asked(run)).checkpoint
    assert gate.question.endswith(
        "shop:2 was found to be bad, and shop:3 (1.3.0) was deployed since: it may be the fix."
    )
    await run.signal("abort", {"by": "bob", "reason": "it is the cure"})
    await asyncio.wait_for(run.result(), PATIENCE)
    assert outside.changes == []


async def test_a_child_asks_after_the_run_that_held_its_parents_lock_before(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    run = await pages.start("high-error-rate")
    await asyncio.wait_for(run.result(), PATIENCE)
    child = await pages.client.get_workflow_handle(f"{run.id}/rollback").describe()
    above = RunName(workflow_id=run.id, run_id=run.first_execution_run_id)
    assert outside.asked_after == [RunName(workflow_id=child.id, run_id=child.run_id, under=above)]


@pytest.mark.ending("recovered-as-child")
async def test_the_childs_question_is_shown_by_the_parent_and_answered_through_it(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    outside.approvals = Approvals()
    run = await pages.start("high-error-rate")
    seen = await pages.asked(run)
    assert seen.checkpoint.plan.headline.startswith("Put shop in")
    report = await pages.answer(run)
    assert report.outcome is Outcome.RECOVERED
    pages.runs.append(
        pages.client.get_workflow_handle(f"{run.id}/rollback")
    )  # its history is the one to keep


@pytest.mark.ending("recovered-reported-by-child")
async def test_what_a_child_changed_is_on_its_parents_page_before_it_ends_and_once_at_the_end(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    waiting = outside.holds("await_steady_state")
    run = await pages.start("high-error-rate")
    async with asyncio.timeout(PATIENCE):
        while not (now := await run.query("status", result_type=Report)).changes:
            await asyncio.sleep(0.01)
    assert [(change.action, change.certain) for change in now.changes] == [("UpdateService", True)]
    assert now.outcome is None
    late = {"run_id": "of an earlier child", "changes": [{"action": "X", "before": "y", "after": "z"}]}
    await run.signal("child_changes", late)
    await run.signal("child_changes", {"run_id": "x", "changes": [{}] * 2000})
    waiting.set()
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert [change.action for change in report.changes] == ["UpdateService"]
    assert [rejected.message for rejected in report.rejected] == ["child_changes"]
    assert len(report.rejected[0].why) <= 500
    pages.runs.append(pages.client.get_workflow_handle(f"{run.id}/rollback"))


async def test_an_abort_whose_undo_the_child_would_refuse_stops_it_all_the_same(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    outside.history[0] = outside.history[0].model_copy(update={"release": judged(2)})
    outside.holds("observe")
    run = await pages.start("high-error-rate")
    await pages.calls(outside, "observe")
    await run.signal("abort", {"by": "bob", "reason": "no", "keep": False})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, ["deploy shop:1"])
    assert [change.undone for change in report.changes] == ["kept"]
    child = await pages.client.get_workflow_handle(f"{run.id}/rollback", result_type=Report).result()
    assert (child.outcome, child.rejected) == (Outcome.ABORTED, ())
    assert "shop:2 (1.2.0) is marked bad, and nobody confirmed that it shall come back" in child.summary


class SlowStart(Interceptor):
    """Takes its time to start a child, so that what is sent meanwhile comes before it is known to have started."""

    def __init__(self) -> None:
        self.started = started = threading.Event()

        class Outbound(WorkflowOutboundInterceptor):
            async def start_child_workflow(self, input):  # noqa: A002 - the SDK's name
                if input.workflow != "Lock":
                    started.set()
                    time.sleep(0.5)  # noqa: ASYNC251 - of the workflow's own thread
                return await super().start_child_workflow(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound):
                super().init(Outbound(outbound))

        self.inbound = Inbound

    def workflow_interceptor_class(self, input):  # noqa: A002, ARG002 - the SDK's signature
        return self.inbound


async def _is_paused(run) -> bool:
    try:
        return (await run.query("status", result_type=Report)).state is State.PAUSED
    except RPCError:
        return False  # it is not there yet


class TestPausedWhileAChildStarts:
    @pytest.fixture
    def outside(self) -> Sick:
        return Sick(between=[SlowStart()])

    @pytest.mark.ending("recovered-paused-with-child")
    async def test_the_child_is_paused_too(self, pages, outside):
        outside.errors = BAD_SINCE_RELEASE
        run = await pages.start("high-error-rate")
        assert await asyncio.to_thread(outside.between[0].started.wait, PATIENCE)
        await run.signal("pause", {"by": "bob", "reason": "let me look"})
        child = pages.client.get_workflow_handle(f"{run.id}/rollback", result_type=Report)
        async with asyncio.timeout(PATIENCE):
            while not await _is_paused(child):
                await asyncio.sleep(0.01)
        assert outside.changes == []
        await run.signal("resume", {"by": "bob"})
        report = await asyncio.wait_for(run.result(), PATIENCE)
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])


@pytest.mark.ending("aborted-with-child")
async def test_an_abort_reaches_the_child_first_and_its_changes_are_reported(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    outside.approvals = Approvals()
    run = await pages.start("high-error-rate")
    await pages.asked(run)
    await run.execute_update("abort_run", {"by": "carol", "reason": "wrong alarm"})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert report.outcome is Outcome.ABORTED
    assert "deploy_release" not in outside.calls
    child = pages.client.get_workflow_handle(f"{run.id}/rollback", result_type=Report)
    assert (await child.result()).outcome is Outcome.ABORTED


async def test_a_second_abort_stops_the_undo_of_the_child(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    outside.holds("await_steady_state")
    run = await pages.start("high-error-rate")
    async with asyncio.timeout(PATIENCE):
        while "await_steady_state" not in outside.calls:
            await asyncio.sleep(0.01)
    await run.execute_update("abort_run", {"by": "carol", "reason": "wrong alarm", "keep": False})
    async with asyncio.timeout(PATIENCE):
        while outside.calls.count("await_steady_state") < 2:
            await asyncio.sleep(0.01)
    given = await run.execute_update("abort_run", {"by": "dan", "reason": "it does not start"})
    assert not given["already"]
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert report.outcome is Outcome.ABORTED
    why = "could not undo: stopped before it ran again: Essential container in task exited"
    assert [change.undone for change in report.changes] == [why]


@pytest.mark.ending("recovered-scaled-out")
async def test_load_is_answered_by_more_tasks_and_a_hold_that_takes_them_back(pages, outside):
    outside.errors, outside.load = errors_read(0.3, 0.3, 0.3), SURGE
    report = await pages.run("high-error-rate")
    assert report.outcome is Outcome.RECOVERED
    assert outside.desired == 5
    assert [hold.run.run_id for hold in outside.holds_started] == list(outside.scaled_out)
    assert [(change.was.desired, change.to) for change in outside.scaled_out.values()] == [(2, 5)]


async def test_more_tasks_without_a_hold_are_a_task_for_people(pages, outside):
    outside.errors, outside.load = errors_read(0.3, 0.3, 0.3), SURGE
    outside.fails["start_hold"] = [AccessDeniedError("Temporal does not let it in")]
    report = await pages.run("high-error-rate")
    assert (report.outcome, outside.holds_started) == (Outcome.RECOVERED, [])
    assert [(task.what, task.kind, task.state) for task in report.tasks] == [
        ("Take the temporary capacity back by hand: 2 of 2 tasks run before", "immediate", "open")
    ]


async def test_where_autoscaling_rules_its_bounds_are_raised(pages, outside):
    outside.errors, outside.load, outside.bounds = errors_read(0.3, 0.3, 0.3), SURGE, (2, 4)
    report = await pages.run("high-error-rate")
    assert report.plan.calls[0].action == "RegisterScalableTarget"
    assert outside.bounds == (5, 5)


@pytest.mark.ending("aborted-taken-back")
async def test_an_abort_after_scaling_out_takes_the_capacity_back(pages, outside):
    outside.errors, outside.load = errors_read(0.3, 0.3, 0.3), SURGE
    outside.quality = Quality.BAD
    run = await pages.start("high-error-rate")
    await pages.asked(run)
    await run.execute_update("abort_run", {"by": "carol", "reason": "enough"})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert report.outcome is Outcome.ABORTED
    assert [change.undone for change in report.changes] == ["undone"]
    assert outside.desired == 2


@pytest.mark.parametrize(
    ("procedure", "symptoms"),
    [
        ("high-error-rate", {"errors": errors_read(0.3, 0.3, 0.3), "logs": logs_read(away=True)}),
        ("high-error-rate", {}),
        ("high-latency", {"latency": latency_read(now=None)}),
        ("high-latency", {}),
        ("resource-issues", {"resources": resources_read(cpu=None, memory=None)}),
        ("resource-issues", {}),
        ("service-down", {}),
    ],
)
async def test_what_is_ambiguous_or_fine_is_a_persons_choice_and_nothing_is_changed(
    pages, outside, procedure, symptoms
):
    for name, value in symptoms.items():
        setattr(outside, name, value)
    run = await pages.start(procedure)
    seen = await pages.asked(run)
    assert seen.checkpoint.options[-2:] == ("done", "skip")
    assert seen.checkpoint.task.look_at
    report = await pages.answer(run, option="skip")
    assert report.outcome is Outcome.INCONCLUSIVE
    assert report.tasks[-1].state == "skipped"
    assert report.changes == ()
    assert not {"deploy_release", "force_deployment", "scale_out"} & set(outside.calls)


@pytest.mark.ending("recovered-as-chosen")
async def test_a_person_may_choose_what_the_evidence_does_not_settle(pages, outside):
    run = await pages.start("service-down")
    report = await pages.answer(run, option="restart")
    assert report.outcome is Outcome.RECOVERED
    assert outside.calls.count("force_deployment") == 1
    assert [(task.state, task.chosen, task.by) for task in report.tasks] == [("done", "restart", "bob")]


async def test_fresh_tasks_that_run_another_image_are_reported_at_the_end(pages, outside):
    outside.fresh = MOVED
    run = await pages.start("service-down")
    report = await pages.answer(run, option="restart")
    assert report.outcome is Outcome.RECOVERED
    assert report.summary.endswith(MOVED_TAG)


async def test_fresh_tasks_that_run_another_image_are_reported_although_they_are_bad(pages, outside):
    outside.fresh, outside.quality = MOVED, Quality.BAD
    run = await pages.start("service-down")
    gate = (await pages.asked(run)).checkpoint
    await run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash, "option": "restart"})
    report = await pages.answer(run, option="hand-over")
    assert report.outcome is Outcome.NOT_RECOVERED
    assert report.summary.endswith(MOVED_TAG)


@pytest.mark.ending("superseded-restarted")
async def test_what_somebody_deployed_over_fresh_tasks_while_they_were_verified_is_not_said_to_be_restarted(
    pages, outside
):
    watching = outside.holds("observe")
    run = await pages.start("service-down")
    await pages.asked(run)
    answered = asyncio.ensure_future(pages.answer(run, option="restart"))
    async with asyncio.timeout(PATIENCE):
        while "observe" not in outside.calls:
            await asyncio.sleep(0.01)
    outside.deployed(release(3))
    watching.set()
    report = await asyncio.wait_for(answered, PATIENCE)
    assert report.outcome is Outcome.SUPERSEDED
    assert "shop:3 was deployed over it meanwhile" in report.summary
    assert [change.action for change in report.changes] == ["UpdateService"]


@pytest.mark.parametrize(
    ("procedure", "symptoms"),
    [
        ("service-down", {}),
        ("high-error-rate", {"errors": BAD_SINCE_RELEASE}),
        ("high-error-rate", {"errors": errors_read(0.3, 0.3, 0.3), "load": SURGE}),
        ("high-latency", {}),
        ("resource-issues", {"resources": BUSY}),
    ],
)
async def test_a_run_that_only_plans_changes_nothing(pages, outside, procedure, symptoms):
    for name, value in symptoms.items():
        setattr(outside, name, value)
    report = await pages.run(procedure, plan_only=True)
    assert report.outcome is Outcome.PLANNED
    changes = {
        "deploy_release",
        "force_deployment",
        "scale_out",
        "mark_release",
        "start_hold",
        "restore_capacity",
    }
    assert not changes & set(outside.calls)


@pytest.mark.ending("recovered-slow-under-load")
async def test_slow_answers_under_load_get_more_tasks(pages, outside):
    outside.latency, outside.load = latency_read(2.0, 2.0, 2.0), SURGE
    outside.resources = BUSY
    report = await pages.run("high-latency")
    assert report.outcome is Outcome.RECOVERED
    assert outside.desired == 4


@pytest.mark.ending("recovered-slow-release")
async def test_a_release_that_alone_is_slow_is_rolled_back_and_latency_is_verified(pages, outside):
    revisions = revisions_read(of_coming={"p95": 2.0}, names=("shop:2", "shop:1"))
    outside.latency = latency_read(0.1, 0.1, 0.3).model_copy(update={"revisions": revisions})
    report = await pages.run("high-latency")
    assert report.outcome is Outcome.RECOVERED
    assert "bad-release: shop:2 (tag), which is coming, is the bad one" in report.findings[0]
    assert outside.marks == [("shop:1", "good"), ("shop:2", "bad")]
    steps = [step.step for step in report.steps]
    assert steps.index("Roll the release back") < steps.index("Read what runs now")


@pytest.mark.ending("recovered-busy")
async def test_cpu_that_runs_out_gets_more_tasks_and_work_for_people(pages, outside):
    outside.resources, outside.load = BUSY, load_read(cpu=0.97)
    outside.utilization = utilization_read(cpu=0.97)
    report = await pages.run("resource-issues")
    assert report.outcome is Outcome.RECOVERED
    assert outside.desired == 5
    assert [(task.kind, task.state) for task in report.tasks] == [("long-term", "open")]
    assert any("CPU 97 %" in line for line in report.tasks[0].look_at)


@pytest.mark.ending("not-recovered-too-few-tasks")
async def test_tasks_that_do_not_come_up_are_not_recovery(pages, outside):
    outside.errors, outside.load = errors_read(0.3, 0.3, 0.3), SURGE
    outside.holds("await_tasks")
    run = await pages.start("high-error-rate")
    async with asyncio.timeout(PATIENCE):
        while "await_tasks" not in outside.calls:
            await asyncio.sleep(0.01)
    outside.desired = 3
    outside.holds("await_tasks").set()
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert report.outcome is Outcome.NOT_RECOVERED
    assert "Only 3 of 5 tasks run" in report.summary
