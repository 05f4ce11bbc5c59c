"""Upgrading with runs in flight: a run stays on the build that it began on, new runs take the current one."""

import asyncio
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.brakes import BrakeRequest
from activities.policies import Approvals
from tests.procedures.outside import Outside
from worker import deployment_version, workflows_of
from workflows import ids
from workflows.brake import Brake
from workflows.converter import data_converter
from workflows.interceptor import TrimArguments
from workflows.messages import Approval, Outcome, RollbackRequest, State
from workflows.rollback import Rollback

ENVIRONMENT = "versioned"
QUEUE = ids.task_queue(ENVIRONMENT)


@pytest.fixture
async def temporal():
    """A real Temporal server of this test's own: the time-skipping one knows no worker versions."""
    binary = Path(sys.executable).parent / "temporal"
    assert binary.exists(), "temporal is not installed: run make set-up"
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary),
        data_converter=data_converter,
        search_attributes=list(ids.SEARCH_ATTRIBUTES),
    ) as environment:
        yield environment.client


@asynccontextmanager
async def build(client, build_id, outside):
    """Workers of one build."""
    version = deployment_version(ENVIRONMENT, build_id)
    activities = outside.activities
    short = Worker(
        client, task_queue=QUEUE, workflows=workflows_of(version), activities=activities,
        interceptors=[TrimArguments()], deployment_config=version,
    )  # fmt: skip
    long = Worker(
        client, task_queue=ids.watch_queue(ENVIRONMENT), activities=activities, deployment_config=version
    )
    async with short, long:
        yield


async def make_current(client, build_id):
    """Send new runs to a build, once Temporal has seen a worker of it."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=QUEUE, build_id=build_id, identity="test"
    )
    async with asyncio.timeout(30):
        while True:
            try:
                await client.workflow_service.set_worker_deployment_current_version(request)
                break
            except RPCError:
                await asyncio.sleep(0.1)
        while await current_build(client) != build_id:
            await asyncio.sleep(0.1)


async def current_build(client):
    asked = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=QUEUE)
    found = await client.workflow_service.describe_worker_deployment(asked)
    return found.worker_deployment_info.routing_config.current_deployment_version.build_id


async def start(client, name):
    request = RollbackRequest(service="shop", environment=ENVIRONMENT, requested_by="alice")
    return await client.start_workflow(
        Rollback.run, request, id=name, task_queue=QUEUE, task_timeout=timedelta(seconds=3)
    )


async def builds_of(handle):
    """The builds that worked on a run."""
    history = await handle.fetch_history()
    done = [event.workflow_task_completed_event_attributes for event in history.events]
    return {one.deployment_version.build_id for one in done if one.deployment_version.build_id}


async def until_awaiting(handle):
    async with asyncio.timeout(30):
        while (await handle.query(Rollback.status)).state is not State.AWAITING_APPROVAL:
            await asyncio.sleep(0.05)


async def test_a_run_ends_on_the_build_it_began_on_and_the_next_takes_the_new_one(temporal):
    asking, not_asking = Outside(approvals=Approvals(needed=1)), Outside()
    async with build(temporal, "one", asking):
        await make_current(temporal, "one")
        waiting = await start(temporal, "remediation/versioned/first")
        await until_awaiting(waiting)
        async with build(temporal, "two", not_asking):
            await make_current(temporal, "two")
            fresh = await start(temporal, "remediation/versioned/second")
            assert (await fresh.result()).outcome is Outcome.RECOVERED
            await waiting.execute_update(Rollback.decide, Approval(by="bob"))
            assert (await waiting.result()).outcome is Outcome.RECOVERED
    assert await builds_of(waiting) == {"one"}
    assert await builds_of(fresh) == {"two"}


async def test_a_brake_follows_every_build_and_holds_no_old_one_back(temporal):
    outside = Outside()
    async with build(temporal, "one", outside):
        await make_current(temporal, "one")
        brake = await temporal.start_workflow(
            Brake.run, BrakeRequest(environment=ENVIRONMENT), id=f"brake/{ENVIRONMENT}", task_queue=QUEUE
        )
        await brake.execute_update(Brake.switch, {"by": "alice", "on": True, "reason": "migration"})
    async with build(temporal, "two", outside):
        await make_current(temporal, "two")
        let_go = await brake.execute_update(Brake.switch, {"by": "bob", "on": False, "reason": "done"})
        assert let_go.detail.endswith("is off")
    assert await builds_of(brake) == {"one", "two"}
