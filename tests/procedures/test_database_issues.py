"""The procedure database-issues: every ending, with time skipping."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager

import pytest
from pydantic import ValidationError
from temporalio.worker import Worker

from runbook_model.catalog.policies import Approvals
from runbook_model.errors import AccessDeniedError, UnreachableError
from runbook_model.measured.readings import Quality
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from runbook_model.reports import Outcome, Verdict
from tests.procedures.conftest import Runbook
from tests.procedures.stage.messages import answer
from tests.procedures.stage.outside_database import OutsideDatabase
from workflows.database_issues import DatabaseIssues
from workflows.lock import Lock
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner

GATED = Approvals(needed=1)
HEADINGS = [
    "Check the database",
    "Find who holds the connections",
    "Ask before changing anything",
    "Free connections",
    "Verify by connecting and by the service's health",
]


class DatabaseRunbook(Runbook):
    async def start(self, *, id: str | None = None, **fields: object):  # noqa: A002 - Temporal's word
        request = ProcedureRequest(
            service="shop", environment=self.environment, **{"requested_by": "alice", **fields}
        )
        run = await self.client.start_workflow(
            DatabaseIssues.run,
            request,
            id=id or f"remediation/{self.environment}/shop",
            task_queue=ids.task_queue(self.environment),
        )
        self.runs.append(run)
        return run


@asynccontextmanager
async def working(client, environment: str, outside: OutsideDatabase):
    short = Worker(
        client,
        task_queue=ids.task_queue(environment),
        workflows=[DatabaseIssues, Lock],
        workflow_runner=sandbox_runner(),
        activities=outside.activities,
        interceptors=[TrimArguments()],
        workflow_failure_exception_types=[ValidationError],
    )
    long = Worker(client, task_queue=ids.watch_queue(environment), activities=outside.activities)
    async with short, long:
        yield


@pytest.fixture
def outside():
    """A database of ten connections, of which a release forgot eight."""
    return OutsideDatabase()


@pytest.fixture
async def runbook(temporal, outside):
    runbook = DatabaseRunbook(temporal.client, f"e{uuid.uuid4().hex[:12]}")
    async with working(temporal.client, runbook.environment, outside):
        yield runbook
        await runbook.leave_nothing_behind(outside)


def headings(report) -> list[str]:
    return list(dict.fromkeys(step.heading for step in report.steps))


async def test_forgotten_sessions_are_ended_once_and_it_is_verified(runbook, outside):
    report = await runbook.run(reason="too many connections")
    assert report.outcome is Outcome.RECOVERED
    assert outside.changes == [f"ended {pid}" for pid in range(1, 9)]
    assert outside.calls.count("terminate_sessions") == 1
    assert headings(report) == HEADINGS
    assert report.heading == "Record what was learnt"
    assert [change.action for change in report.changes] == ["pg_terminate_backend"]


async def test_what_was_learnt_about_a_leak_is_recorded(runbook):
    report = await runbook.run()
    assert report.findings[0].startswith("leak: shop:2 holds 8 connections")
    assert "shop:2, the release that runs, left 8 sessions" in report.findings[1]
    task = report.tasks[0]
    assert (task.kind, task.state) == ("long-term", "open")
    assert "Fix shop:2" in task.what
    assert len(task.look_at) == 5
    assert "idle in transaction" in task.look_at[0]


async def test_the_connections_are_part_of_what_is_measured(runbook, outside):
    await runbook.run()
    assert "connections" in outside.observations[-1].looks


async def test_a_person_approves_exactly_the_list(runbook, outside):
    outside.approvals = GATED
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert len(gate.plan.calls[0].parameters["sessions"]) == 8
    assert outside.changes == []
    await answer(run, "bob", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED
    assert len(outside.changes) == 8


async def test_when_a_listed_session_ended_meanwhile_the_yes_is_void_and_asked_again(runbook, outside):
    outside.approvals = GATED
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    outside.forgotten.remove(3)
    await answer(run, "bob", gate)
    again = await runbook.at_checkpoint(run, other_than=gate.plan_hash)
    assert outside.changes == []
    await answer(run, "bob", again)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED
    assert outside.changes == [f"ended {pid}" for pid in (1, 2, 4, 5, 6, 7, 8)]


async def test_a_session_forgotten_meanwhile_is_neither_ended_nor_in_the_way(runbook, outside):
    outside.approvals = GATED
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    outside.forgotten.append(9)
    await answer(run, "bob", gate)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED
    assert outside.forgotten == [9]


async def test_when_all_are_gone_before_the_yes_nothing_is_changed(runbook, outside):
    outside.approvals = GATED
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    outside.forgotten.clear()
    await answer(run, "bob", gate)
    report = await runbook.end(run)
    assert (report.outcome, report.changes) == (Outcome.INCONCLUSIVE, ())
    assert "are gone" in report.summary


async def test_sessions_of_others_need_a_yes_even_where_nobody_need_be_asked(runbook, outside):
    outside.application = "psql"
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert "psql is not shop" in gate.question
    assert outside.changes == []


async def test_nobodys_answer_changes_nothing(runbook, outside):
    outside.approvals = GATED
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.NOT_APPROVED, [])


async def test_a_plan_is_only_a_plan(runbook, outside):
    report = await runbook.run(plan_only=True)
    assert report.outcome is Outcome.PLANNED
    assert report.plan.headline.startswith("End 8 forgotten sessions of shop:2")
    assert outside.changes == []


async def test_a_plan_of_nothing_says_so(runbook, outside):
    outside.forgotten.clear()
    report = await runbook.run(plan_only=True)
    assert (report.outcome, report.plan) == (Outcome.PLANNED, None)
    assert "healthy" in report.summary


async def test_a_leak_that_comes_back_is_not_recovered(runbook, outside):
    outside.leaks_again = 8
    report = await runbook.run()
    assert (report.outcome, report.verdict) == (Outcome.NOT_RECOVERED, Verdict.NOT_RECOVERED)
    assert "9 of 10 connections are used" in report.summary
    assert "`runbook start rollback`" in report.tasks[0].what


async def test_room_without_a_service_that_works_is_not_recovered(runbook, outside):
    outside.quality = Quality.BAD
    assert (await runbook.run()).outcome is Outcome.NOT_RECOVERED


async def test_a_healthy_database_is_handed_over_and_not_called_recovered(runbook, outside):
    outside.forgotten.clear()
    report = await runbook.run()
    assert (report.outcome, report.changes) == (Outcome.INCONCLUSIVE, ())
    assert report.summary.startswith(
        "Nothing that was read of the database is wrong, and nothing was changed: "
    )
    assert "1 of 10 connections" in report.summary


@pytest.mark.parametrize("standing", ["denied", "silent"])
async def test_what_cannot_be_seen_is_handed_over(runbook, outside, standing):
    outside.standing = standing
    report = await runbook.run()
    assert (report.outcome, report.changes) == (Outcome.INCONCLUSIVE, ())
    assert "unknown" in report.summary


@pytest.mark.parametrize("standing", ["down", "full"])
async def test_a_database_that_is_down_is_a_persons_task_and_then_verified(runbook, outside, standing):
    outside.standing = standing
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert gate.question.startswith("Bring the database back: restart it")
    outside.standing = "serves"
    outside.forgotten.clear()
    await answer(run, "bob", gate, option="done")
    report = await runbook.end(run)
    assert (report.outcome, report.changes) == (Outcome.RECOVERED, ())
    assert [(task.kind, task.state, task.by) for task in report.tasks] == [("immediate", "done", "bob")]


async def test_said_to_be_done_but_still_down_is_not_recovered(runbook, outside):
    outside.standing = "down"
    run = await runbook.start()
    await answer(run, "bob", await runbook.at_checkpoint(run), option="done")
    report = await runbook.end(run)
    assert report.outcome is Outcome.NOT_RECOVERED
    assert "no connection" in report.summary


async def test_a_task_that_is_skipped_is_handed_over_with_the_comment(runbook, outside):
    outside.standing = "down"
    run = await runbook.start()
    await answer(run, "bob", await runbook.at_checkpoint(run), option="skip", comment="the DBA has it")
    report = await runbook.end(run)
    assert (report.outcome, report.verdict) == (Outcome.INCONCLUSIVE, None)
    assert "skipped by bob: the DBA has it" in report.summary
    assert [(task.state, task.comment) for task in report.tasks] == [("skipped", "the DBA has it")]


async def test_a_task_that_nobody_answers_stays_open_and_nothing_is_said_to_be_verified(runbook, outside):
    outside.standing = "down"
    report = await runbook.run()
    assert (report.outcome, report.verdict) == (Outcome.NOT_APPROVED, None)
    assert "nothing was verified; nothing was changed" in report.summary
    assert [task.state for task in report.tasks] == ["open"]


async def test_load_is_a_persons_task(runbook, outside):
    outside.forgotten.clear()
    outside.at_work = 9
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert "max_connections" in gate.question
    outside.at_work = 5
    await answer(run, "bob", gate, option="done")
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


async def test_a_target_without_a_database_is_refused(runbook, outside):
    outside.database = None
    report = await runbook.run()
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "input")
    assert "dsn_env" in report.error.fix


async def test_an_abort_before_the_change_ends_it(runbook, outside):
    outside.approvals = GATED
    run = await runbook.start()
    await runbook.at_checkpoint(run)
    await run.signal(DatabaseIssues.abort, {"by": "bob", "reason": "wrong service"})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, [])


async def test_an_abort_after_the_change_says_that_it_cannot_be_undone(runbook, outside):
    outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    await run.signal(DatabaseIssues.abort, {"by": "bob", "reason": "stop", "keep": False})
    report = await runbook.end(run)
    assert report.outcome is Outcome.ABORTED
    assert "cannot be brought back" in report.changes[0].undone


async def test_a_change_that_is_tried_again_ends_each_session_once(runbook, outside):
    outside.fails["terminate_sessions"] = [UnreachableError("no answer")]
    report = await runbook.run()
    assert report.outcome is Outcome.RECOVERED
    assert outside.calls.count("terminate_sessions") == 2
    assert len(outside.changes) == 8


async def test_a_missing_permission_is_named_and_nothing_is_said_to_be_changed(runbook, outside):
    denied = AccessDeniedError("must be a superuser to terminate superuser process")
    denied.certainly_not_made = True
    outside.fails["terminate_sessions"] = [denied]
    report = await runbook.run()
    assert (report.outcome, report.changes) == (Outcome.FAILED, ())
    assert "must be a superuser" in report.summary
