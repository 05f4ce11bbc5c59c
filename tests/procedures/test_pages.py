"""Service down, high error rate, high latency, resource issues: every way that a diagnosis may lead, and who decides."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

import pytest
from temporalio import activity
from temporalio.worker import Worker

from activities.catalog import Approvals, Target
from activities.holds import HoldRequest
from activities.models import ServiceState
from activities.readings import Quality
from activities.scaling import Capacity, ScaleOut, TakeBack, TakenBack
from activities.symptoms import (
    ErrorsRead,
    LatencyRead,
    LoadRead,
    LogsRead,
    ResourcesRead,
    TasksRead,
    UtilizationRead,
)
from activities.waits import AwaitedTasks
from tests.procedures.outside import Outside
from tests.symptoms import (
    a_service,
    errors_read,
    latency_read,
    load_read,
    logs_read,
    resources_read,
    tasks_read,
    utilization_read,
)
from worker import WORKFLOWS
from workflows import ids
from workflows.hold import Hold
from workflows.interceptor import TrimArguments
from workflows.messages import Outcome, ProcedureRequest, Report, State

SOON = 20


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
    taken_back: list[Capacity] = field(default_factory=list)

    @activity.defn
    async def read_errors(self, _target: Target) -> ErrorsRead:
        return self.errors

    @activity.defn
    async def read_load(self, _target: Target) -> LoadRead:
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
        self.desired = change.to
        if self.bounds:
            self.bounds = change.to, max(change.to, self.bounds[1])
        return self.capacity

    @activity.defn
    async def take_back(self, change: TakeBack) -> TakenBack:
        await self._called("take_back")
        self.taken_back.append(change.was)
        self.desired = change.was.desired
        return TakenBack(done=True, told=f"{change.was.desired} tasks are wanted again")

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


@pytest.fixture
def outside() -> Sick:
    return Sick()


class Pages:
    """Starts procedures by name, against the outside of this test."""

    def __init__(self, client, environment: str) -> None:
        self.client = client
        self.environment = environment

    async def start(self, procedure: str, **fields: object):
        request = ProcedureRequest(
            service="shop", environment=self.environment, requested_by="alice", **fields
        )
        return await self.client.start_workflow(
            ids.PROCEDURES[procedure],
            request,
            id=f"remediation/{self.environment}/shop",
            task_queue=ids.task_queue(self.environment),
            result_type=Report,
        )

    async def run(self, procedure: str, **fields: object) -> Report:
        return await asyncio.wait_for((await self.start(procedure, **fields)).result(), SOON)

    async def asked(self, run) -> Report:
        """The report once somebody is asked."""
        async with asyncio.timeout(SOON):
            while True:
                report = await run.query("status", result_type=Report)
                if report.state is State.AWAITING_APPROVAL and report.checkpoint:
                    return report
                await asyncio.sleep(0.01)

    async def answer(self, run, **answer: object) -> Report:
        """Answer what is asked as bob does, and wait for the end."""
        gate = (await self.asked(run)).checkpoint
        await run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash, **answer})
        return await asyncio.wait_for(run.result(), SOON)


@pytest.fixture
async def pages(temporal, outside):
    environment = f"e{uuid.uuid4().hex[:12]}"
    short = Worker(
        temporal.client, task_queue=ids.task_queue(environment), workflows=WORKFLOWS,
        activities=outside.activities, interceptors=[TrimArguments()],
    )  # fmt: skip
    long = Worker(temporal.client, task_queue=ids.watch_queue(environment), activities=outside.activities)
    async with short, long:
        yield Pages(temporal.client, environment)


BAD_SINCE_RELEASE = errors_read(0.0, 0.4, 0.4)
SURGE = load_read(rate=300.0, usual=25.0, cpu=0.95, usual_cpu=0.2)
BUSY = resources_read(cpu=0.97)


async def test_errors_that_began_with_a_release_are_rolled_back_by_a_child(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    report = await pages.run("high-error-rate")
    assert report.outcome is Outcome.RECOVERED
    assert outside.calls.count("deploy_release") == 1
    assert outside.marks == [("shop:1", "good"), ("shop:2", "bad")]
    assert [change.action for change in report.changes] == ["UpdateService"]
    assert "bad-release" in report.findings[0]


async def test_the_childs_question_is_shown_by_the_parent_and_answered_through_it(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    outside.approvals = Approvals()
    run = await pages.start("high-error-rate")
    seen = await pages.asked(run)
    assert seen.checkpoint.plan.headline.startswith("Put shop in")
    report = await pages.answer(run)
    assert report.outcome is Outcome.RECOVERED


async def test_an_abort_reaches_the_child_first_and_its_changes_are_told(pages, outside):
    outside.errors = BAD_SINCE_RELEASE
    outside.approvals = Approvals()
    outside.watchable = False  # this server never skips time again after a wait that a child's abort cut off
    run = await pages.start("high-error-rate")
    await pages.asked(run)
    await run.execute_update("abort_run", {"by": "carol", "reason": "wrong alarm"})
    report = await asyncio.wait_for(run.result(), SOON)
    assert report.outcome is Outcome.ABORTED
    assert "deploy_release" not in outside.calls
    child = pages.client.get_workflow_handle(f"{run.id}/rollback", result_type=Report)
    assert (await child.result()).outcome is Outcome.ABORTED


async def test_load_is_answered_by_more_tasks_and_a_hold_that_takes_them_back(pages, outside):
    outside.errors, outside.load = errors_read(0.3, 0.3, 0.3), SURGE
    report = await pages.run("high-error-rate")
    assert report.outcome is Outcome.RECOVERED
    assert outside.desired == 5
    assert [(hold.was.desired, hold.ours.desired) for hold in outside.holds_started] == [(2, 5)]


async def test_where_autoscaling_rules_its_bounds_are_raised(pages, outside):
    outside.errors, outside.load, outside.bounds = errors_read(0.3, 0.3, 0.3), SURGE, (2, 4)
    report = await pages.run("high-error-rate")
    assert report.plan.calls[0].action == "RegisterScalableTarget"
    assert outside.bounds == (5, 5)


async def test_an_abort_after_scaling_out_takes_the_capacity_back(pages, outside):
    outside.errors, outside.load = errors_read(0.3, 0.3, 0.3), SURGE
    outside.quality = Quality.BAD
    run = await pages.start("high-error-rate")
    await pages.asked(run)
    await run.execute_update("abort_run", {"by": "carol", "reason": "enough"})
    report = await asyncio.wait_for(run.result(), SOON)
    assert report.outcome is Outcome.ABORTED
    assert [change.undone for change in report.changes] == ["undone"]
    assert outside.desired == 2


@pytest.mark.parametrize(
    ("procedure", "symptoms"),
    [
        ("high-error-rate", {"errors": errors_read(0.3, 0.3, 0.3), "logs": logs_read(away=True)}),
        ("high-error-rate", {}),
        ("high-latency", {"latency": latency_read(now=None)}),
        ("high-latency", {}),
        ("resource-issues", {"resources": resources_read(cpu=None, memory=None)}),
        ("resource-issues", {}),
        ("service-down", {}),
    ],
)
async def test_what_is_ambiguous_or_fine_is_a_persons_choice_and_nothing_is_changed(
    pages, outside, procedure, symptoms
):
    for name, value in symptoms.items():
        setattr(outside, name, value)
    run = await pages.start(procedure)
    seen = await pages.asked(run)
    assert "hand-over" in seen.checkpoint.options
    report = await pages.answer(run, option="hand-over")
    assert report.outcome is Outcome.INCONCLUSIVE
    assert report.changes == ()
    assert not {"deploy_release", "force_deployment", "scale_out"} & set(outside.calls)


async def test_a_person_may_choose_what_the_evidence_does_not_settle(pages, outside):
    run = await pages.start("service-down")
    report = await pages.answer(run, option="restart")
    assert report.outcome is Outcome.RECOVERED
    assert outside.calls.count("force_deployment") == 1


@pytest.mark.parametrize(
    ("procedure", "symptoms"),
    [
        ("service-down", {}),
        ("high-error-rate", {"errors": BAD_SINCE_RELEASE}),
        ("high-error-rate", {"errors": errors_read(0.3, 0.3, 0.3), "load": SURGE}),
        ("high-latency", {}),
        ("resource-issues", {"resources": BUSY}),
    ],
)
async def test_a_run_that_only_plans_changes_nothing(pages, outside, procedure, symptoms):
    for name, value in symptoms.items():
        setattr(outside, name, value)
    report = await pages.run(procedure, plan_only=True)
    assert report.outcome is Outcome.PLANNED
    changes = {"deploy_release", "force_deployment", "scale_out", "mark_release", "start_hold", "take_back"}
    assert not changes & set(outside.calls)


async def test_slow_answers_under_load_get_more_tasks(pages, outside):
    outside.latency, outside.load = latency_read(2.0, 2.0, 2.0), SURGE
    outside.resources = BUSY
    report = await pages.run("high-latency")
    assert report.outcome is Outcome.RECOVERED
    assert outside.desired == 4


async def test_cpu_that_runs_out_gets_more_tasks_and_work_for_people(pages, outside):
    outside.resources, outside.load = BUSY, load_read(cpu=0.97)
    outside.utilization = utilization_read(cpu=0.97)
    report = await pages.run("resource-issues")
    assert report.outcome is Outcome.RECOVERED
    assert outside.desired == 5
    assert report.actions


async def test_tasks_that_do_not_come_up_are_not_recovery(pages, outside):
    outside.errors, outside.load = errors_read(0.3, 0.3, 0.3), SURGE
    outside.holds("await_tasks")
    run = await pages.start("high-error-rate")
    async with asyncio.timeout(SOON):
        while "await_tasks" not in outside.calls:
            await asyncio.sleep(0.01)
    outside.desired = 3
    outside.holds("await_tasks").set()
    report = await asyncio.wait_for(run.result(), SOON)
    assert report.outcome is Outcome.NOT_RECOVERED
    assert "Only 3 of 5 tasks run" in report.summary


async def test_a_cluster_without_room_is_left_to_a_person(pages, outside):
    events = (
        "(service shop) was unable to place a task because no container instance met its requirements.",
    )
    outside.tasks = tasks_read(service=a_service(running=0, desired=2, events=events))
    outside.quality = Quality.BAD
    report = await pages.run("service-down")
    if report.outcome is Outcome.INCONCLUSIVE:
        assert report.actions or "Left to a person" in report.summary
    assert report.changes == ()


class TestHold:
    async def start(self, pages, **fields):
        was, ours = Capacity(desired=2, running=2), Capacity(desired=5, running=5)
        request = HoldRequest(
            service="shop", environment=pages.environment, requested_by="alice", run_id="r1",
            was=was, ours=ours, hold="1h",
        )  # fmt: skip
        return await pages.client.start_workflow(
            Hold.run,
            request.model_copy(update=fields),
            id=f"hold/{pages.environment}/shop",
            task_queue=ids.task_queue(pages.environment),
        ), request

    async def test_takes_the_capacity_back_when_the_time_is_up(self, pages, outside):
        outside.desired = 5
        hold, _ = await self.start(pages)
        report = await asyncio.wait_for(hold.result(), SOON)
        assert outside.desired == 2
        assert "2 tasks are wanted again" in report.summary

    async def test_an_abort_takes_it_back_at_once(self, pages, outside):
        outside.desired = 5
        hold, _ = await self.start(pages)
        await hold.signal("abort", {"by": "bob", "reason": "the peak is over"})
        report = await asyncio.wait_for(hold.result(), SOON)
        assert report.outcome is Outcome.ABORTED
        assert outside.taken_back
        assert outside.desired == 2

    async def test_a_second_scale_out_prolongs_it_and_still_goes_back_to_the_first_state(
        self, pages, outside
    ):
        hold, request = await self.start(pages)
        more = request.model_copy(
            update={"run_id": "r2", "was": request.ours, "ours": Capacity(desired=8, running=8)}
        )
        await hold.signal("prolong", more)
        await asyncio.wait_for(hold.result(), SOON)
        assert [was.desired for was in outside.taken_back] == [2]

    async def test_a_message_that_is_none_is_kept_and_does_not_stop_it(self, pages):
        hold, _ = await self.start(pages)
        await hold.signal("prolong", "forever")
        report = await asyncio.wait_for(hold.result(), SOON)
        assert [one.message for one in report.rejected] == ["prolong"]
