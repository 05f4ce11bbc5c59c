"""Runs that leave a worker's memory while they wait, as all but the newest do on a worker with many, come back whole."""

from __future__ import annotations

import gc
import logging
import uuid

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.measured.readings import Quality
from runbook_model.reports import Outcome
from tests.procedures.conftest import Runbook, working
from tests.procedures.stage.messages import answer
from tests.procedures.stage.outside import ARN


@pytest.fixture
async def forgetful(temporal, outside):
    """As ``runbook``, on a worker that remembers one run."""
    runbook = Runbook(temporal.client, f"e{uuid.uuid4().hex[:12]}")
    async with working(temporal.client, runbook.environment, outside, cached=1):
        yield runbook
        await runbook.leave_nothing_behind(outside)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
async def test_runs_at_checkpoints_are_forgotten_silently_and_continue(forgetful, outside, caplog):
    caplog.set_level(logging.WARNING)
    outside.approvals = Approvals()
    runs, gates = [], []
    for name in ("shop", "cart", "search"):
        outside.more = {"arn": f"{ARN}:service/prod/{name}"}  # each run holds another service
        runs.append(await forgetful.start(id=f"remediation/{forgetful.environment}/{name}"))
        gates.append(await forgetful.at_checkpoint(runs[-1]))
    gc.collect()
    await answer(runs[0], "bob", gates[0])
    for run in runs[1:]:
        await run.signal("abort", {"by": "bob", "reason": "one is enough"})
    assert (await forgetful.end(runs[0])).outcome is Outcome.RECOVERED
    for run in runs[1:]:
        assert (await forgetful.end(run)).outcome is Outcome.ABORTED
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
async def test_a_worker_that_ends_leaves_a_run_at_its_checkpoint_silently(temporal, outside):
    outside.approvals = Approvals()
    runbook = Runbook(temporal.client, f"e{uuid.uuid4().hex[:12]}")
    async with working(temporal.client, runbook.environment, outside):
        run = await runbook.start()
        await runbook.at_checkpoint(run)
    gc.collect()
    await run.terminate()


@pytest.mark.parametrize("step", ["resolve_target", "deploy_release", "await_steady_state"])
async def test_a_run_that_is_forgotten_in_the_middle_of_a_step_continues(forgetful, outside, step, caplog):
    caplog.set_level(logging.WARNING)
    held = outside.holds(step)
    run = await forgetful.start()
    await forgetful.calls(outside, step)
    other = await forgetful.start(id=f"{run.id}/other", plan_only=True)
    held.set()
    assert (await forgetful.end(run)).outcome is Outcome.RECOVERED
    await forgetful.end(other)
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []


async def test_a_run_that_is_forgotten_at_the_verification_gate_continues(forgetful, outside):
    outside.quality = Quality.BAD
    run = await forgetful.start()
    gate = await forgetful.at_checkpoint(run)
    other = await forgetful.start(id=f"{run.id}/other", plan_only=True)
    await forgetful.end(other)
    await answer(run, "bob", gate, option="hand-over")
    assert (await forgetful.end(run)).outcome is Outcome.NOT_RECOVERED
