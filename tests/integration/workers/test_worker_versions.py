"""What doctor says of the worker's builds, on a real Temporal server: who asks for work, and where new runs go."""

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from shlex import split

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.checks import DoctorRequest
from runbook_model.messages import Approval, RollbackRequest
from runbook_model.names import ids
from starter.doctor.checkup import check_all
from starter.doctor.server_checks import who_asks
from starter.doctor.version_checks import _build_of, judge_versions, read_builds
from tests.integration.workers.builds import build, current_build, make_current, temporal_server
from tests.patience import PATIENCE
from tests.procedures.stage.outside import Outside
from workflows.rollback import Rollback

pytestmark = pytest.mark.xdist_group("worker-versions")


@pytest.fixture(scope="module")
async def temporal():
    async with temporal_server() as client:
        yield client


class Site:
    """An environment whose workers come and go; each test has one of its own."""

    def __init__(self, client, environment):
        self.client = client
        self.environment = environment
        self.outside = Outside(approvals=Approvals(needed=1))

    @asynccontextmanager
    async def build(self, build_id):
        """Workers of a build that ask every queue for work, as Temporal has noted."""
        async with build(self.client, self.environment, build_id, self.outside.activities):
            async with asyncio.timeout(PATIENCE):
                while not all(build_id in found for found in await self.builds_by_queue()):
                    await asyncio.sleep(0.1)
            yield

    async def builds_by_queue(self):
        asked = await who_asks(self.client, self.environment)
        return [{_build_of(poller) for poller in pollers} for _, pollers in asked]

    async def check(self):
        """What is said of the builds."""
        asked = await who_asks(self.client, self.environment)
        builds = await read_builds(self.client, self.environment)
        return judge_versions(self.environment, self.client.namespace, asked, builds).check

    async def until(self, words, *, ok):
        """Wait until it is said: Temporal notes a moment later that a build is there, is current, or drains."""
        async with asyncio.timeout(PATIENCE):
            while (found := await self.check()).ok is not ok or words not in found.detail:
                await asyncio.sleep(0.1)
        return found

    async def doctor(self):
        """Names of what the whole of doctor finds red, and of what it does not say."""
        checks = await check_all(self.client, [DoctorRequest(environment=self.environment)], fix=False)
        return [[check.name for check in checks if check.ok is wanted] for wanted in (False, None)]

    def do(self, command):
        """Type a command into a shell of somebody who has Temporal's command line."""
        program, *words = split(command)
        address = self.client.service_client.config.target_host
        subprocess.run(
            [Path(sys.executable).with_name(program), *words, "--yes", "--address", address],
            check=True,
            capture_output=True,
            env=os.environ | {"HOME": "/nonexistent"},
        )

    async def start(self):
        """A run that waits for a person, on the build that new runs go to."""
        request = RollbackRequest(service="shop", environment=self.environment, requested_by="alice")
        return await self.client.start_workflow(
            Rollback.run, request, id=f"remediation/{self.environment}/shop",
            task_queue=ids.task_queue(self.environment), task_timeout=timedelta(seconds=3),
        )  # fmt: skip


@pytest.fixture
def site(temporal, request):
    return Site(temporal, request.node.name.partition("_")[2][:40].replace("_", "-"))


async def test_workers_without_a_build_are_not_distinguished(site):
    async with site.build(None):
        text = await site.until("RUNBOOK_BUILD_ID", ok=None)
    assert text.fix is None


async def test_a_build_that_is_not_current_takes_no_new_runs_until_the_fix_was_typed(site):
    async with site.build("2026-11-02"):
        text = await site.until("there are workers of 2026-11-02, and none is current", ok=False)
        red, unknown = await site.doctor()
        assert red == ["worker-versions"]
        assert {"worker-catalog", "cluster", "service"} <= set(unknown)
        await asyncio.to_thread(site.do, text.fix)
        assert await current_build(site.client, site.environment) == "2026-11-02"
        assert (await site.until("is current", ok=True)).detail == "2026-11-02 is current"


async def test_a_current_build_without_workers_is_red_and_leads_to_both_ways_out(site):
    async with site.build("one"):
        await make_current(site.client, site.environment, "gone", allow_no_pollers=True)
        text = await site.until("new runs go to gone, and no worker of it asks", ok=False)
        assert (await site.doctor())[0] == ["worker-versions"]
        start, command = text.fix.split(", or: ")
        assert (
            start == f"start a worker: RUNBOOK_BUILD_ID=gone runbook worker --environment {site.environment}"
        )
        await asyncio.to_thread(site.do, command)
        await site.until("one is current; gone still drains (0 open runs)", ok=True)


async def test_workers_of_a_current_build_that_are_all_gone_are_started_with_that_build(site):
    await make_current(site.client, site.environment, "gone", allow_no_pollers=True)
    checks = await check_all(site.client, [DoctorRequest(environment=site.environment)], fix=False)
    text = {check.name: check for check in checks}
    assert (text["worker"].ok, text["worker-versions"].ok) == (False, None)
    assert "RUNBOOK_BUILD_ID=gone" in text["worker"].fix


async def test_a_build_that_runs_are_open_on_is_named_while_it_drains(site):
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(site.build("one"))
        await make_current(site.client, site.environment, "one")
        run = await site.start()
        async with asyncio.timeout(PATIENCE):
            while (await run.query(Rollback.status)).checkpoint is None:
                await asyncio.sleep(0.1)
        await stack.enter_async_context(site.build("two"))
        await make_current(site.client, site.environment, "two")
        text = await site.until("drains", ok=True)
        assert text.detail == "two is current; one still drains (1 open run)"
        gate = (await run.query(Rollback.status)).checkpoint
        await run.execute_update(Rollback.decide, Approval(by="bob", plan_hash=gate.plan_hash))
        await run.result()


async def test_workers_with_and_without_a_build_are_not_to_be_mixed(site):
    async with site.build("one"), site.build(None):
        text = await site.until("workers without a build poll next to one: they take all new runs", ok=False)
        command, _, end = text.fix.partition(", then ")
        assert end == "end the workers that have no RUNBOOK_BUILD_ID"
        await asyncio.to_thread(site.do, command)
        text = await site.until("new runs go to one", ok=False)
        assert text.fix == end


async def test_alerts_that_belong_nowhere_need_a_current_build_too(temporal):
    nowhere, here = Site(temporal, ids.UNROUTED[1]), Site(temporal, "somewhere")
    async with nowhere.build("one"), here.build("one"):
        await nowhere.until("none is current", ok=False)
        await here.until("none is current", ok=False)
        checks = await check_all(temporal, [DoctorRequest(environment="somewhere")], fix=False)
        text = {check.environment: check for check in checks if check.name == "worker-versions"}
        assert list(text) == ["somewhere", "unknown"]
        assert text["unknown"].detail.startswith("alerts that belong nowhere: there are workers of one")
