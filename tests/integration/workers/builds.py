"""Workers of several builds on a real Temporal server, and which of them is current."""

import asyncio
from contextlib import asynccontextmanager

from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.runtime.converter import data_converter
from runbook_model.names import ids
from tests.patience import PATIENCE
from tests.temporal_server import temporal_server as server_of_its_own
from worker import deployment_version, workflows_of
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner


@asynccontextmanager
async def temporal_server():
    """A real Temporal server of a test's own: the time-skipping one knows no worker versions."""
    async with server_of_its_own(data_converter=data_converter) as environment:
        yield environment.client


@asynccontextmanager
async def build(client, environment, build_id, activities):
    """Workers of one build; None: of none, as they are without RUNBOOK_BUILD_ID."""
    version = deployment_version(environment, build_id)
    short = Worker(
        client, task_queue=ids.task_queue(environment), workflows=workflows_of(version), workflow_runner=sandbox_runner(), activities=activities,
        interceptors=[TrimArguments()], deployment_config=version,
    )  # fmt: skip
    long = Worker(
        client, task_queue=ids.watch_queue(environment), activities=activities, deployment_config=version
    )
    async with short, long:
        yield


async def make_current(client, environment, build_id, **more):
    """Send new runs to a build, once Temporal has seen a worker of it."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace,
        deployment_name=ids.task_queue(environment),
        build_id=build_id,
        identity="test",
        **more,
    )
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.workflow_service.set_worker_deployment_current_version(request)
                break
            except RPCError:
                await asyncio.sleep(0.1)
        while await current_build(client, environment) != build_id:
            await asyncio.sleep(0.1)


async def current_build(client, environment):
    """The build that new runs go to."""
    asked = DescribeWorkerDeploymentRequest(
        namespace=client.namespace, deployment_name=ids.task_queue(environment)
    )
    found = await client.workflow_service.describe_worker_deployment(asked)
    return found.worker_deployment_info.routing_config.current_deployment_version.build_id
