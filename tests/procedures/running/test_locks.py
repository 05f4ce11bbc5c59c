"""A run holds its ECS service under whatever name, and Terraform's state while it applies; both end with the run."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus as Status
from temporalio.service import RPCError

from runbook_model.catalog.policies import Approvals
from runbook_model.locks import LockRequest, ecs_lock
from runbook_model.reports import Outcome
from tests.patience import PATIENCE
from tests.procedures.conftest import Runbook, working
from tests.procedures.stage.messages import answer
from tests.procedures.stage.outside import ARN, Outside
from tests.procedures.stage.terraform_outside import TerraformOutside
from workflows.rollback import Rollback

STOP = {"by": "bob", "reason": "enough"}


class Names:
    """One ECS service under the names of two catalogs, each with a worker; people are asked."""

    def __init__(self, client) -> None:
        self.client = client
        self.service = f"shop-{uuid.uuid4().hex[:8]}"
        self.lock = f"lock/ecs/123456789012/us-east-1/prod/{self.service}"

    @asynccontextmanager
    async def served(self, name: str, **patience: timedelta):
        arn = f"{ARN}:service/prod/{self.service}"
        outside = Outside(approvals=Approvals(), more={"arn": arn})
        runbook = Runbook(self.client, f"{name}-{self.service}")
        async with working(self.client, runbook.environment, outside, **patience):
            yield runbook, outside

    @asynccontextmanager
    async def named(self, name: str, **patience: timedelta):
        async with self.served(name, **patience) as (runbook, outside):
            yield runbook
            await runbook.leave_nothing_behind(outside)

    @property
    def handle(self):
        return self.client.get_workflow_handle(self.lock)

    async def is_held(self) -> bool:
        try:
            return (await self.handle.describe()).status is Status.RUNNING
        except RPCError:
            return False

    async def is_free(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.is_held():
                await asyncio.sleep(0.01)


@pytest.fixture
def names(server) -> Names:
    return Names(server.client)


@pytest.fixture
async def holder(names):
    async with names.named("one") as runbook:
        yield runbook


@pytest.fixture
async def other(names):
    async with names.named("other") as runbook:
        yield runbook


async def test_a_second_name_of_an_ecs_service_is_refused_and_the_holder_is_named(holder, other):
    first = await holder.start()
    await holder.at_checkpoint(first)
    report = await other.run()
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "policy")
    assert f"ECS service prod/shop is held by {first.id} (Rollback) since " in report.error.message
    assert f"`runbook abort {first.id} --reason WHY`" in report.error.fix
    assert (await holder.until(first, bool)).admitted
    assert not report.admitted


async def test_a_plan_takes_no_lock_and_is_held_up_by_none(names, holder, other):
    run = await holder.start()
    await holder.at_checkpoint(run)
    plan = f"plan/{other.environment}/shop/rollback"
    assert (await other.run(id=f"{plan}/1", plan_only=True)).outcome is Outcome.PLANNED
    await run.terminate()
    await names.is_free()
    await other.run(id=f"{plan}/2", plan_only=True)
    assert not await names.is_held()


async def ended_by_abort(run) -> None:
    await run.execute_update(Rollback.abort_run, STOP)


async def ended_by_yes(run) -> None:
    await answer(run, "bob", (await run.query(Rollback.status)).checkpoint)


@pytest.mark.parametrize(
    "end",
    [ended_by_yes, ended_by_abort, lambda run: run.terminate(), lambda run: run.cancel()],
    ids=["completed", "aborted", "terminated", "cancelled"],
)
async def test_a_lock_ends_with_its_run_however_that_ends(names, holder, other, end):
    run = await holder.start()
    await holder.at_checkpoint(run)
    assert await names.is_held()
    await end(run)
    await names.is_free()
    assert (await other.at_checkpoint(await other.start())).plan_hash


async def test_replace_aborts_the_run_that_holds_the_service_under_another_name(holder, other):
    first = await holder.start()
    await holder.at_checkpoint(first)
    second = await other.start(replace=True, reason="a better idea")
    await other.at_checkpoint(second)
    report = await holder.end(first)
    assert report.outcome is Outcome.ABORTED
    assert "Aborted by alice (replaced: a better idea)" in report.summary


async def test_a_holder_whose_worker_is_gone_is_ended_where_it_is_to_be_replaced_and_else_named(names):
    async with names.served("one") as (holder, _):
        first = await holder.start()
        await holder.at_checkpoint(first)
    async with names.named("other", polls_within=timedelta(seconds=1)) as other:
        assert f"held by {first.id} (Rollback)" in (await other.run()).error.message
        await other.at_checkpoint(await other.start(replace=True))
    ended = (await first.fetch_history()).events[-1].workflow_execution_terminated_event_attributes
    assert ended.reason == "replaced by alice: no worker serves it"


async def test_a_lock_that_somebody_started_by_hand_goes_when_asked_to(names, holder):
    by_hand = LockRequest(what="nothing", environment="one", service="shop", requested_by="mallory")
    squatter = await holder.client.start_workflow("Lock", by_hand, id=names.lock, task_queue="nowhere")
    report = await holder.run()
    assert f"held by {names.lock} (started by hand, no run's)" in report.error.message
    assert report.error.fix == "start with --replace, which ends it"
    await holder.at_checkpoint(await holder.start(replace=True))
    was = names.client.get_workflow_handle(names.lock, run_id=squatter.result_run_id)
    assert (await was.describe()).status is Status.TERMINATED


async def heard_of_its_locks_end(run):
    """Wait until the history of a run says that a child of its was terminated."""
    async with asyncio.timeout(PATIENCE):
        while not any(
            event.HasField("child_workflow_execution_terminated_event_attributes")
            for event in (await run.fetch_history()).events
        ):
            await asyncio.sleep(0.01)


async def test_a_run_whose_lock_was_ended_by_hand_takes_it_again_before_its_change(names, holder):
    run = await holder.start()
    gate = await holder.at_checkpoint(run)
    await names.handle.terminate()
    await heard_of_its_locks_end(run)
    await answer(run, "bob", gate)
    assert (await holder.end(run)).outcome is Outcome.RECOVERED
    events = (await run.fetch_history()).events
    started = [
        event for event in events if event.HasField("child_workflow_execution_started_event_attributes")
    ]
    assert len(started) == 2


async def test_a_run_whose_lock_another_has_now_changes_nothing(names, holder, other):
    first = await holder.start()
    gate = await holder.at_checkpoint(first)
    await names.handle.terminate()
    await other.at_checkpoint(await other.start())
    await answer(first, "bob", gate)
    report = await holder.end(first)
    assert (report.outcome, report.changes) == (Outcome.REFUSED, ())
    assert f"held by remediation/{other.environment}/shop" in report.error.message


async def reset(runbook, run):
    """Reset a run to the newest task of its that a worker finished, as the Temporal UI does."""
    events = (await run.fetch_history()).events
    done = [
        event.event_id for event in events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    came = await runbook.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.result_run_id),
            reason="tried",
            workflow_task_finish_event_id=done[-1],
            request_id=uuid.uuid4().hex,
        )
    )
    again = runbook.client.get_workflow_handle_for(Rollback.run, run.id, run_id=came.run_id)
    runbook.runs[runbook.runs.index(run)] = again
    return again


async def test_a_run_that_was_reset_takes_its_lock_again_before_its_change(names, holder):
    first = await holder.start()
    await holder.at_checkpoint(first)
    run = await reset(holder, first)
    gate = await holder.at_checkpoint(run)
    assert (await names.handle.describe()).parent_run_id == first.result_run_id
    await answer(run, "bob", gate)
    assert (await holder.end(run)).outcome is Outcome.RECOVERED
    assert (await names.handle.describe()).parent_run_id == run.run_id


async def test_a_run_that_was_reset_still_holds_what_it_locked(names, holder, other):
    first = await holder.start()
    await holder.at_checkpoint(first)
    await holder.at_checkpoint(await reset(holder, first))
    report = await other.run()
    assert f"ECS service prod/shop is held by {first.id} (Rollback)" in report.error.message


async def test_a_run_that_was_reset_and_whose_lock_another_has_now_changes_nothing(names, holder, other):
    first = await holder.start()
    await holder.at_checkpoint(first)
    run = await reset(holder, first)
    gate = await holder.at_checkpoint(run)
    await names.handle.terminate()
    await other.at_checkpoint(await other.start())
    await answer(run, "bob", gate)
    report = await holder.end(run)
    assert (report.outcome, report.changes) == (Outcome.REFUSED, ())
    assert f"held by remediation/{other.environment}/shop" in report.error.message


class Modules(Names):
    """Two services whose modules have one state."""

    @asynccontextmanager
    async def named(self, name: str, **more: object):
        outside = TerraformOutside(
            state=self.service, more={"arn": f"{ARN}:service/prod/{name}-{self.service}"}, **more
        )
        runbook = Runbook(self.client, f"{name}-{self.service}")
        async with working(self.client, runbook.environment, outside):
            yield runbook, outside
            await runbook.leave_nothing_behind(outside)

    @property
    def handle(self):
        return self.client.get_workflow_handle(f"lock/terraform/{self.service}")


async def test_a_state_of_terraforms_is_held_until_the_end_of_the_apply_and_no_other_run_applies_meanwhile(
    server,
):
    modules = Modules(server.client)
    async with modules.named("one") as (holder, outside), modules.named("other") as (other, theirs):
        applying = outside.holds("apply_terraform")
        run = await holder.start()
        await holder.calls(outside, "apply_terraform")
        assert await modules.is_held()
        report = await other.run()
        assert (report.outcome, theirs.changes, theirs.marks) == (Outcome.REFUSED, [], [])
        assert f"the Terraform state of /infra/shop is held by {run.id} (Rollback)" in report.error.message
        observing = outside.holds("observe")
        applying.set()
        await holder.calls(outside, "observe")
        assert not await modules.is_held()
        observing.set()
        assert (await holder.end(run)).outcome is Outcome.RECOVERED
        assert (await other.run()).outcome is Outcome.RECOVERED


async def test_a_question_to_people_holds_no_state_of_terraforms(server):
    modules = Modules(server.client)
    async with modules.named("one", approvals=Approvals()) as (holder, _):
        run = await holder.start()
        gate = await holder.at_checkpoint(run)
        assert not await modules.is_held()
        await answer(run, "bob", gate)
        assert (await holder.end(run)).outcome is Outcome.RECOVERED


def test_a_lock_is_named_by_what_ecs_says_it_is():
    target, lock = Outside().target, "lock/ecs/123456789012/us-east-1/prod/shop"
    assert ecs_lock(target, f"{ARN}:service/prod/shop") == lock
    assert ecs_lock(target, f"{ARN}:service/shop") == lock
