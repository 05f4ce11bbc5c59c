"""Upgrading with runs in flight: a run stays on the build that it started on, new runs take the current one."""

import asyncio
from datetime import timedelta

import pytest

from runbook_model.brakes import BrakeRequest
from runbook_model.catalog.policies import Approvals
from runbook_model.messages import Approval, RollbackRequest
from runbook_model.names import ids
from runbook_model.reports import Outcome, State
from tests.integration.workers.builds import build, make_current, temporal_server
from tests.patience import PATIENCE
from tests.procedures.stage.outside import ARN, Outside
from workflows.brake import Brake
from workflows.rollback import Rollback

ENVIRONMENT = "versioned"
QUEUE = ids.task_queue(ENVIRONMENT)


@pytest.fixture
async def temporal():
    async with temporal_server() as client:
        yield client


async def start(client, name):
    request = RollbackRequest(service="shop", environment=ENVIRONMENT, requested_by="alice")
    return await client.start_workflow(
        Rollback.run, request, id=name, task_queue=QUEUE, task_timeout=timedelta(seconds=3)
    )


async def builds_of(handle):
    """The builds that worked on a run."""
    history = await handle.fetch_history()
    done = [event.workflow_task_completed_event_attributes for event in history.events]
    return {item.deployment_version.build_id for item in done if item.deployment_version.build_id}


async def until_awaiting(handle):
    """The checkpoint that is open, once it is."""
    async with asyncio.timeout(PATIENCE):
        while (report := await handle.query(Rollback.status)).state is not State.AWAITING_APPROVAL:
            await asyncio.sleep(0.05)
        return report.checkpoint


@pytest.mark.rare
async def test_a_run_ends_on_the_build_it_started_on_and_the_next_takes_the_new_one(temporal):
    asking = Outside(approvals=Approvals(needed=1))
    not_asking = Outside(more={"arn": f"{ARN}:service/prod/another"})
    async with build(temporal, ENVIRONMENT, "one", asking.activities):
        await make_current(temporal, ENVIRONMENT, "one")
        waiting = await start(temporal, "remediation/versioned/first")
        gate = await until_awaiting(waiting)
        async with build(temporal, ENVIRONMENT, "two", not_asking.activities):
            await make_current(temporal, ENVIRONMENT, "two")
            fresh = await start(temporal, "remediation/versioned/second")
            assert (await fresh.result()).outcome is Outcome.RECOVERED
            await waiting.execute_update(Rollback.decide, Approval(by="bob", plan_hash=gate.plan_hash))
            assert (await waiting.result()).outcome is Outcome.RECOVERED
    assert await builds_of(waiting) == {"one"}
    assert await builds_of(fresh) == {"two"}


async def test_a_brake_follows_every_build_and_holds_no_old_one_back(temporal):
    outside = Outside()
    async with build(temporal, ENVIRONMENT, "one", outside.activities):
        await make_current(temporal, ENVIRONMENT, "one")
        brake = await temporal.start_workflow(
            Brake.run, BrakeRequest(environment=ENVIRONMENT), id=f"brake/{ENVIRONMENT}", task_queue=QUEUE
        )
        await brake.execute_update(Brake.switch, {"by": "alice", "on": True, "reason": "migration"})
    async with build(temporal, ENVIRONMENT, "two", outside.activities):
        await make_current(temporal, ENVIRONMENT, "two")
        let_go = await brake.execute_update(Brake.switch, {"by": "bob", "on": False, "reason": "done"})
        assert let_go.detail.endswith("is off")
    assert await builds_of(brake) == {"one", "two"}
