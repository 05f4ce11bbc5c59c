"""Tasks for people: those that a run waits for, and those that it leaves for the review."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.service_policies import Database
from runbook_model.measured.readings import Quality
from runbook_model.reports import Outcome, Report, Task, Verdict
from tests.patience import PATIENCE
from tests.procedures.stage.outside_database import OutsideDatabase
from tests.procedures.stage.sick import Sick
from tests.symptoms import a_service, errors_read, latency_read, logs_read, tasks_read

NOWHERE = "(service shop) was unable to place a task because no container instance met its requirements."
NO_ROOM = tasks_read(service=a_service(running=0, desired=2, events=(NOWHERE,)))


@dataclass
class SickDatabase(Sick, OutsideDatabase):
    """A service with symptoms and a database."""

    @property
    def activities(self) -> list[object]:
        return list(dict.fromkeys(super().activities))


@pytest.fixture
def outside() -> SickDatabase:
    """A cluster that has no room for the service's tasks."""
    return SickDatabase(tasks=NO_ROOM, quality=Quality.BAD, database=None)


async def ended(run) -> Report:
    return await asyncio.wait_for(run.result(), PATIENCE)


async def say(run, gate, **answer: object) -> None:
    await run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash, **answer})


@pytest.mark.ending("task-done")
async def test_a_task_that_is_done_is_verified(pages, outside):
    run = await pages.start("service-down")
    asked = (await pages.asked(run)).checkpoint
    assert asked.options == ("done", "skip")
    assert asked.task.what.startswith("Give cluster")
    assert any("0 of 2 tasks run" in line for line in asked.task.look_at)
    outside.quality = Quality.GOOD
    report = await pages.answer(run, option="done", comment="two more instances")
    assert (report.outcome, report.verdict, report.changes) == (Outcome.RECOVERED, Verdict.RECOVERED, ())
    assert [task.summary for task in report.tasks] == ["done by bob: two more instances"]
    step = next(step for step in report.steps if step.step.startswith("Give cluster"))
    assert (step.state, step.detail) == ("done", "done by bob: two more instances")


async def test_what_is_said_to_be_done_but_is_still_bad_is_not_recovered(pages, outside):
    run = await pages.start("service-down")
    await say(run, (await pages.asked(run)).checkpoint, option="done")
    report = await ended(run)
    assert (report.outcome, report.verdict) == (Outcome.NOT_RECOVERED, Verdict.NOT_RECOVERED)
    assert "A person says that it is done" in report.summary


@pytest.mark.ending("task-skipped")
async def test_a_task_that_is_skipped_is_handed_over_with_what_is_known(pages, outside):
    run = await pages.start("service-down")
    report = await pages.answer(run, option="skip", comment="the cloud team has it")
    assert (report.outcome, report.verdict) == (Outcome.INCONCLUSIVE, None)
    assert "skipped by bob: the cloud team has it" in report.summary
    assert "capacity" in report.summary
    assert [task.state for task in report.tasks] == ["skipped"]


@pytest.mark.ending("task-unanswered")
async def test_a_task_that_nobody_answers_stays_open_and_nothing_is_said_to_be_verified(pages, outside):
    report = await pages.run("service-down")
    assert (report.outcome, report.verdict) == (Outcome.NOT_APPROVED, None)
    assert "nothing was verified; nothing was changed" in report.summary
    assert [(task.state, task.by) for task in report.tasks] == [("open", None)]
    assert any(decision.kind == "remind" for decision in report.decisions)


async def test_a_task_that_nobody_answers_is_an_abort_where_the_policy_says_so(pages, outside):
    outside.approvals = Approvals(on_timeout="abort")
    report = await pages.run("service-down")
    assert report.outcome is Outcome.ABORTED
    assert [task.state for task in report.tasks] == ["open"]


async def test_an_abort_leaves_the_task_open(pages, outside):
    run = await pages.start("service-down")
    await pages.asked(run)
    await run.execute_update("abort_run", {"by": "carol", "reason": "wrong alarm"})
    report = await ended(run)
    assert report.outcome is Outcome.ABORTED
    assert [task.state for task in report.tasks] == ["open"]
    assert not [step for step in report.steps if step.state == "running"]


async def test_anybody_may_answer_a_task_and_once_is_enough(pages, outside):
    outside.approvals = Approvals(needed=2, people=("carol", "dave"))
    run = await pages.start("service-down")
    gate = (await pages.asked(run)).checkpoint
    assert gate.approvals_needed == 1
    await say(run, gate, by="alice", option="skip")
    assert (await ended(run)).outcome is Outcome.INCONCLUSIVE


async def test_a_task_is_answered_by_signal_and_what_fits_no_option_is_shown(pages, outside):
    run = await pages.start("service-down")
    gate = (await pages.asked(run)).checkpoint
    await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash, "option": "approve"})
    await run.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash, "option": "skip"})
    report = await ended(run)
    assert report.outcome is Outcome.INCONCLUSIVE
    assert [item.why for item in report.rejected] == [
        'there is no option "approve"; choose one of done, skip'
    ]


async def test_what_people_have_to_do_is_readable_without_a_worker(pages, outside):
    run = await pages.start("service-down")
    await pages.asked(run)
    tasks = await (await run.describe()).memo_value("tasks", type_hint=list[Task])
    assert [(task.kind, task.state) for task in tasks] == [("immediate", "open")]
    await say(run, (await pages.asked(run)).checkpoint, option="skip")
    await ended(run)
    tasks = await (await run.describe()).memo_value("tasks", type_hint=list[Task])
    assert [(task.state, task.by) for task in tasks] == [("skipped", "bob")]


async def test_a_childs_task_is_answered_through_the_parent_and_becomes_its_own(pages, outside):
    outside.tasks, outside.database, outside.standing = tasks_read(), Database(dsn_env="SHOP_DSN"), "down"
    outside.logs = logs_read(count=9, about=9, database=9)
    run = await pages.start("service-down")
    asked = await pages.asked(run)
    assert asked.checkpoint.task.what.startswith("Bring the database back")
    report = await pages.answer(run, option="skip", comment="the DBA has it")
    assert report.outcome is Outcome.INCONCLUSIVE
    assert "Bring the database back" in report.tasks[-1].what
    assert report.tasks[-1].summary == "skipped by bob: the DBA has it"


async def test_slow_code_is_left_for_the_review_with_the_slowest_endpoints_and_holds_up_nothing(
    pages, outside
):
    outside.latency = latency_read(2.0, 2.0, 2.0, endpoints={"/slow": 2.5, "/quick": 0.1})
    report = await pages.run("high-latency")
    assert report.outcome is Outcome.INCONCLUSIVE
    assert [(task.kind, task.state) for task in report.tasks] == [("long-term", "open")]
    assert "/slow: p95 2.50s, mean not known" in report.tasks[0].look_at
    assert report.decisions == ()


async def test_what_could_not_be_read_is_left_to_those_who_watch_over_it(pages, outside):
    outside.errors, outside.logs = errors_read(0.3, 0.3, 0.3), logs_read(away=True)
    run = await pages.start("high-error-rate")
    report = await pages.answer(run, option="skip")
    assert [(task.kind, task.state) for task in report.tasks] == [
        ("monitoring", "open"),
        ("immediate", "skipped"),
    ]
    assert "logs not known" in report.tasks[0].why
