"""A service with symptoms, and how procedures are started on it by name."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

import pytest
from temporalio import activity
from temporalio.worker import Interceptor, Worker

from activities.autoscaling.activities import CapacityRestored
from activities.ecs.waits import AwaitedTasks
from activities.temporal.holds import HoldRequest, ScaleOutRuns
from runbook_model.catalog.target import Target
from runbook_model.measured.symptoms import (
    ErrorsRead,
    LatencyRead,
    LoadRead,
    LogsRead,
    ResourcesRead,
    TasksRead,
    UtilizationRead,
)
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from runbook_model.names.procedures import workflow_type
from runbook_model.releases.capacity import Capacity
from runbook_model.releases.release import ServiceState
from runbook_model.reports import Report, State
from runbook_model.sizes import RestoreCapacity, ScaledOut, ScaleOut, ScaleOutRun
from tests.checker import wrong_of
from tests.patience import PATIENCE
from tests.procedures.stage.outside import Outside
from tests.symptoms import (
    errors_read,
    latency_read,
    load_read,
    logs_read,
    resources_read,
    tasks_read,
    utilization_read,
)
from worker import WORKFLOWS
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner


@dataclass
class Sick(Outside):
    """A service with symptoms, and with capacity that can be scaled."""

    errors: ErrorsRead = field(default_factory=errors_read)
    load: LoadRead = field(default_factory=load_read)
    latency: LatencyRead = field(default_factory=latency_read)
    resources: ResourcesRead = field(default_factory=resources_read)
    utilization: UtilizationRead = field(default_factory=utilization_read)
    tasks: TasksRead = field(default_factory=tasks_read)
    logs: LogsRead = field(default_factory=logs_read)
    bounds: tuple[int, int] | None = None
    holds_started: list[HoldRequest] = field(default_factory=list)
    scaled_out: dict[str, ScaleOut] = field(default_factory=dict)
    """What each run scaled out, by its run id."""
    taken_back: list[Capacity] = field(default_factory=list)
    between: list[Interceptor] = field(default_factory=list)
    """What else is between the workers and Temporal."""

    @activity.defn
    async def read_errors(self, _target: Target) -> ErrorsRead:
        return self.errors

    @activity.defn
    async def read_load(self, _target: Target) -> LoadRead:
        await self._called("read_load")
        return self.load

    @activity.defn
    async def read_latency(self, _target: Target) -> LatencyRead:
        return self.latency

    @activity.defn
    async def read_resources(self, _target: Target) -> ResourcesRead:
        return self.resources

    @activity.defn
    async def read_utilization(self, _target: Target) -> UtilizationRead:
        return self.utilization

    @activity.defn
    async def read_tasks(self, _target: Target) -> TasksRead:
        return self.tasks

    @activity.defn
    async def read_recent_logs(self, _target: Target) -> LogsRead:
        return self.logs

    @property
    def capacity(self) -> Capacity:
        low, high = self.bounds or (None, None)
        return Capacity(desired=self.desired, running=self.desired, minimum=low, maximum=high)

    @activity.defn
    async def read_capacity(self, _target: Target) -> Capacity:
        await self._called("read_capacity")
        return self.capacity

    @activity.defn
    async def scale_out(self, change: ScaleOut) -> Capacity:
        await self._called("scale_out")
        info = activity.info()
        self.scaled_out[info.workflow_run_id] = change
        self.desired = change.to
        if self.bounds:
            self.bounds = change.to, max(change.to, self.bounds[1])
        return self.capacity

    @activity.defn
    async def restore_capacity(self, change: RestoreCapacity) -> CapacityRestored:
        await self._called("restore_capacity")
        was = self._scaled_out(change.runs).was
        self.taken_back.append(was)
        self.desired = was.desired
        return CapacityRestored(done=True, detail=f"{was.desired} tasks are wanted again")

    @activity.defn
    async def read_scaled_out(self, of: ScaleOutRuns) -> ScaledOut | None:
        await self._called("read_scaled_out")
        return self._scaled_out(of.runs)

    def _scaled_out(self, runs: tuple[ScaleOutRun, ...]) -> ScaledOut | None:
        return ScaledOut.by(self.scaled_out[run.run_id] for run in runs if run.run_id in self.scaled_out)

    @activity.defn
    async def start_hold(self, request: HoldRequest) -> None:
        await self._called("start_hold")
        self.holds_started.append(request)

    @activity.defn
    async def await_tasks(self, _awaited: AwaitedTasks) -> ServiceState:
        await self._called("await_tasks")
        return self.service

    @property
    def activities(self) -> list[object]:
        own = [name for name, thing in vars(Sick).items() if hasattr(thing, "__temporal_activity_definition")]
        return [*super().activities, *(getattr(self, name) for name in own)]


class Pages:
    """Starts procedures by name, against the outside of this test."""

    def __init__(self, client, environment: str) -> None:
        self.client = client
        self.environment = environment
        self.runs = []

    async def start(self, procedure: str, **fields: object):
        request = ProcedureRequest(
            service="shop", environment=self.environment, requested_by="alice", **fields
        )
        run = await self.client.start_workflow(
            workflow_type(procedure),
            request,
            id=f"remediation/{self.environment}/shop",
            task_queue=ids.task_queue(self.environment),
            result_type=Report,
        )
        self.runs.append(run)
        return run

    async def run(self, procedure: str, **fields: object) -> Report:
        return await asyncio.wait_for((await self.start(procedure, **fields)).result(), PATIENCE)

    async def calls(self, outside: Outside, name: str) -> None:
        """Return once an activity runs."""
        async with asyncio.timeout(PATIENCE):
            while name not in outside.calls:
                await asyncio.sleep(0.01)

    async def asked(self, run) -> Report:
        """The report once somebody is asked."""
        async with asyncio.timeout(PATIENCE):
            while True:
                report = await run.query("status", result_type=Report)
                if report.state is State.AWAITING_APPROVAL and report.checkpoint:
                    return report
                await asyncio.sleep(0.01)

    async def answer(self, run, **answer: object) -> Report:
        """Answer what is asked as bob does, and wait for the end."""
        gate = (await self.asked(run)).checkpoint
        await run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash, **answer})
        return await asyncio.wait_for(run.result(), PATIENCE)


@pytest.fixture
async def pages(temporal, outside, request):
    environment = f"e{uuid.uuid4().hex[:12]}"
    short = Worker(
        temporal.client, task_queue=ids.task_queue(environment), workflows=WORKFLOWS, workflow_runner=sandbox_runner(),
        activities=outside.activities, interceptors=[TrimArguments(), *outside.between],
    )  # fmt: skip
    long = Worker(temporal.client, task_queue=ids.watch_queue(environment), activities=outside.activities)
    async with short, long:
        pages = Pages(temporal.client, environment)
        yield pages
    # Tests of holds alone invent the run that scaled out.
    judged = [run for run in pages.runs if not run.id.startswith("hold/")]
    assert await wrong_of(temporal.client, judged, signers=outside.signers) == []
    recorder = request.config.pluginmanager.get_plugin("recorder")
    ending = request.node.get_closest_marker("ending")
    if recorder and ending:
        await recorder.record(ending.args[0], pages.runs[-1])
