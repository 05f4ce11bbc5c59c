"""What somebody tries who reaches Temporal's frontend, and what comes of it.

The intruder starts runs of any type and id, with a worker of their own on any queue, and schedules activities of the product's
workers. Here nothing is signed: what holds is that changes trust nothing but names.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.autoscaling.activities import CapacityRestored
from activities.runtime.change_guard import GuardChanges
from activities.runtime.interceptors import TranslateErrors
from activities.temporal.holds import HoldRequest, ScaleOutHistory, ScaleOutRuns
from activities.temporal.predecessor import CHANGES
from runbook_model.catalog.catalog import load_catalog
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.catalog.target import Target
from runbook_model.names import ids
from runbook_model.releases.capacity import Capacity
from runbook_model.reports import Outcome, Report
from runbook_model.sizes import RestoreCapacity, ScaledOut, ScaleOut, ScaleOutRun
from tests.patience import PATIENCE
from tests.procedures.stage.sick import Sick
from worker import served_queues
from workflows.hold import Hold
from workflows.page.sandbox import sandbox_runner


@dataclass
class Guarded(Sick):
    """A service that scales, behind what stands before the changes of a real worker."""

    def behind(self, client, environment, folder):
        """Put the guard in place; the catalog names the service in this test's environment."""
        self.catalog = folder / "catalog.toml"
        self.catalog.write_text(
            f'[environments.{environment}]\ncluster = "prod"\napprovals = {{ needed = 0 }}\n'
            f'[services.shop.{environment}]\necs_service = "shop"\n'
        )
        self.histories = ScaleOutHistory(client)
        served = served_queues([environment])
        fill_in = {"restore_capacity": self.histories.fill_in}
        self.between = [TranslateErrors(), GuardChanges(served, self.catalog, CHANGES, fill_in=fill_in)]

    @property
    def own_target(self) -> Target:
        """The target as the workers' catalog has it."""
        (environment,) = load_catalog(self.catalog).environments
        return load_catalog(self.catalog).target("shop", environment)

    @activity.defn
    async def resolve_target(self, names: TargetNames) -> Target:
        return load_catalog(self.catalog).target(names.service, names.environment)

    @activity.defn
    async def read_scaled_out(self, of: ScaleOutRuns) -> ScaledOut | None:
        return await self.histories.read_scaled_out(of)

    @activity.defn
    async def restore_capacity(self, change: RestoreCapacity) -> CapacityRestored:
        if change.found is None:
            return CapacityRestored(done=False, detail="not changed: no history says what was before")
        self.desired = change.found.was.desired
        return CapacityRestored(done=True, detail=f"{self.desired} tasks are wanted again")


@workflow.defn(name="Anything")
class Anything:
    """A workflow of the intruder's own, which has one activity run wherever they like."""

    @workflow.run
    async def run(self, call: dict) -> object:
        return await workflow.execute_activity(
            call["activity"],
            call["given"],
            task_queue=call["queue"],
            start_to_close_timeout=timedelta(seconds=20),
        )


class Intruder:
    """Has Temporal's frontend, a queue and a worker of their own, and knows every name."""

    def __init__(self, client, environment):
        self.client = client
        self.environment = environment
        self.queue = f"mallory-{uuid.uuid4().hex[:8]}"
        self.lock = ids.remediation_id(environment, "shop")

    async def makes(self, name, given, *, as_run, queue):
        """Have an activity run by a workflow of their own; what came of it, or why it was refused."""
        call = {"activity": name, "given": given.model_dump(mode="json"), "queue": queue}
        run = await self.client.start_workflow("Anything", call, id=as_run, task_queue=self.queue)
        try:
            await asyncio.wait_for(run.result(), PATIENCE)
        except WorkflowFailureError as error:
            cause = error
            while not isinstance(cause, ApplicationError):
                cause = cause.__cause__
            return run, f"{cause.type}: {cause.message}"
        return run, "done"

    async def holds(self, run, **invented):
        """Start a hold with a request of their own."""
        asked = HoldRequest(
            service="shop", environment=self.environment, requested_by="mallory", run=run, hold="1s"
        )
        hold = await self.client.start_workflow(
            "Hold",
            asked.model_dump(mode="json") | invented,
            id=ids.hold_id(self.environment, "shop"),
            task_queue=ids.task_queue(self.environment),
            result_type=Report,
        )
        return await asyncio.wait_for(hold.result(), PATIENCE)


@pytest.fixture
def environment():
    return f"e{uuid.uuid4().hex[:12]}"


@pytest.fixture
def outside(temporal, environment, tmp_path):
    guarded = Guarded()
    guarded.behind(temporal.client, environment, tmp_path)
    return guarded


@pytest.fixture
async def intruder(temporal, outside, environment):
    """The intruder, next to the environment's own workers."""
    intruder = Intruder(temporal.client, environment)

    @activity.defn(name="scale_out")
    async def never_made(given: ScaleOut) -> Capacity:
        return given.was

    own = Worker(
        temporal.client, task_queue=ids.task_queue(environment), workflows=[Hold],
        workflow_runner=sandbox_runner(), activities=outside.activities, interceptors=outside.between,
    )  # fmt: skip
    theirs = Worker(
        temporal.client, task_queue=intruder.queue, workflows=[Anything],
        workflow_runner=UnsandboxedWorkflowRunner(), activities=[never_made],
    )  # fmt: skip
    async with own, theirs:
        yield intruder


ZERO = {"was": {"desired": 0, "running": 0}, "ours": {"desired": 2, "running": 2}}


def scale_out(outside, was, to):
    return ScaleOut(target=outside.own_target, was=Capacity(desired=was, running=was), to=to)


async def test_a_hold_with_an_invented_request_changes_nothing(intruder, outside):
    invented = ScaleOutRun(workflow_id=intruder.lock, run_id=str(uuid.uuid4()))
    report = await intruder.holds(invented, **ZERO)
    assert (report.outcome, outside.desired) == (Outcome.REFUSED, 2)
    assert "did not scale this target out" in report.summary


async def test_a_hold_that_names_a_history_of_the_intruders_own_changes_nothing(intruder, outside):
    run, _ = await intruder.makes(
        "scale_out", scale_out(outside, 0, 2), as_run=intruder.lock, queue=intruder.queue
    )
    report = await intruder.holds(ScaleOutRun(workflow_id=run.id, run_id=run.result_run_id))
    assert (report.outcome, outside.desired) == (Outcome.REFUSED, 2)


async def test_a_hold_puts_back_what_the_scale_outs_history_says_whatever_its_request_says(intruder, outside):
    run, came = await intruder.makes(
        "scale_out",
        scale_out(outside, 2, 5),
        as_run=intruder.lock,
        queue=ids.task_queue(intruder.environment),
    )
    assert (came, outside.desired) == ("done", 5)
    report = await intruder.holds(ScaleOutRun(workflow_id=run.id, run_id=run.result_run_id), **ZERO)
    assert (report.outcome, outside.desired) == (Outcome.RECOVERED, 2), report.summary


@pytest.mark.parametrize(
    "run", ["mallory", "plan/{}/shop/x/y", "hold/{}/shop", "incident/{}/shop", "remediation/{}/other"]
)
async def test_a_run_of_another_id_changes_nothing(intruder, outside, run):
    environment = intruder.environment
    _, came = await intruder.makes(
        "scale_out",
        scale_out(outside, 2, 5),
        as_run=run.format(environment),
        queue=ids.task_queue(environment),
    )
    assert came.startswith(
        f"PolicyError: the run {run.format(environment)} may not change {environment}/shop"
    )
    assert (outside.desired, outside.calls) == (2, [])


async def test_a_target_of_the_intruders_own_is_not_believed(intruder, outside):
    theirs = outside.own_target.model_copy(update={"cluster": "somebody-elses"})
    given = scale_out(outside, 2, 5).model_copy(update={"target": theirs})
    _, came = await intruder.makes(
        "scale_out", given, as_run=intruder.lock, queue=ids.task_queue(intruder.environment)
    )
    assert "this is for another cluster" in came
    assert (outside.desired, outside.calls) == (2, [])
