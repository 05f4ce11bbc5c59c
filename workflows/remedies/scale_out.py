"""Scale out: more tasks for a while, with a hold that takes them back; scale up where that cannot help: more CPU and memory for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from temporalio import workflow

from activities.autoscaling.activities import ScalingActivities
from activities.ecs.activities import EcsActivities
from activities.ecs.waits import AwaitedTasks, Waits
from activities.temporal.holds import HoldActivities, HoldRequest
from runbook_model.measured.symptoms import ResourcesRead
from runbook_model.releases.release import ServiceState
from runbook_model.reports import Ending, Outcome, Undone, not_undone
from runbook_model.sizes import RestoreCapacity, ScaleOut, ScaleOutRun
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.scaling import GROWS, ScalePlan, grows_first, no_hold, plan_scale_out, saturated
from workflows.decisions.sizing import Reasons, SizePlan, bigger
from workflows.page.run import DiagnosedRun, Part, Run
from workflows.platforms.choice import platform_of
from workflows.remedies.other_pages import Way, ask_person_to_choose
from workflows.remedies.task_size import await_size, plan_size, put_in_place, read_size, verified_or_put_back
from workflows.remedies.verification import measure, verified_or_handed_over, verify


@dataclass(frozen=True)
class Then:
    """The way on where more tasks are not enough: a person may choose it once they did not help."""

    name: str
    go: Callable[[], Awaitable[Ending]]
    at_once: bool
    """Whether it is gone without a question where more tasks cannot be had."""


async def scale_out(run: DiagnosedRun[Diagnosis], count: int, then: Then | None = None) -> Ending:
    """Run more tasks for a while, wait for them, and verify by what was wrong; ``then`` is where that is not enough."""
    page, target = run.page, run.target
    if why := platform_of(run).no_scaling:
        page.record.found(why)
        return await ask_person_to_choose(run)

    async def plan_again() -> ScalePlan | Ending:
        capacity = await page.read("Read how many tasks there are", ScalingActivities.read_capacity, target)
        return plan_scale_out(target, capacity, count, run.diagnosis.because)

    run.begin(Part.ASK)
    first = await plan_again()
    if isinstance(first, Ending) and then and then.at_once:
        page.record.found(first.summary)
        return await then.go()
    plan = page.unless_ending(first)
    run.end_if_only_planned(plan)
    history = await page.read("Read what runs", EcsActivities.read_history, target)
    baseline = await measure(run, history.current)
    plan = await page.checkpoint(plan, target, "Scale out?", plan_again)

    run.begin(Part.PUT_RIGHT)
    await _raise_capacity(run, plan)

    run.begin(Part.WAIT)
    service = await _await_tasks(run, plan)
    runs = service.running if service.serving is None else service.serving
    if runs < plan.to:
        causes = "; ".join(service.events[:2]) or "ECS names no cause"
        summary = f"Only {runs} of {plan.to} tasks run: {causes}. A person must check now."
        page.end(Outcome.NOT_RECOVERED, summary)

    run.begin(Part.VERIFY)
    since = workflow.now()
    return await verified_or_handed_over(
        run,
        lambda: verify(run, history.current, since, baseline, same_release_before=True),
        plan.headline,
        {then.name: then.go} if then else {},
    )


async def _raise_capacity(run: Run, plan: ScalePlan) -> None:
    """Raise the capacity and start the hold that takes it back."""
    page, target = run.page, run.target
    await page.change(
        f"Scale out to {plan.to} tasks",
        ScalingActivities.scale_out,
        ScaleOut(target=target, was=plan.was, to=plan.to),
        action=plan.calls[0].action,
        before=plan.was.summary,
        after=f"{plan.to} tasks for a while",
        undo=lambda: _take_back(run),
    )
    hold = HoldRequest(
        service=target.service,
        environment=target.environment,
        requested_by=page.report.requested_by,
        run=_this_run(),
        hold=target.scale.hold,
        authorities=page.authorities,
        incident=page.incident_link.incident,
        lapses_after=page.orders.signing.lapses_after,
        automatic=page.automatic,
    )
    if not await page.note("Start a hold that removes it later", HoldActivities.start_hold, hold):
        page.add_follow_up(no_hold(plan.was))


async def _await_tasks(run: Run, plan: ScalePlan) -> ServiceState:
    """Wait until the tasks run."""
    target = run.target
    awaited = AwaitedTasks(target=target, count=plan.to, deadline=workflow.now() + target.rollback.steady)
    return await run.page.watch(f"Wait until {plan.to} tasks run", Waits.await_tasks, awaited)


async def _take_back(run: Run) -> Undone:
    change = RestoreCapacity(target=run.target, runs=(_this_run(),))
    taken = await run.page.restore("Remove the extra capacity", ScalingActivities.restore_capacity, change)
    return Undone() if taken.done else not_undone(taken.detail)


def _this_run() -> ScaleOutRun:
    info = workflow.info()
    return ScaleOutRun(workflow_id=info.workflow_id, run_id=info.run_id)


async def scale_out_or_up(run: DiagnosedRun[Diagnosis], resources: ResourcesRead, count: int) -> Ending:
    """Run more tasks; bigger ones where single tasks are too small, or where there are as many as there may be."""
    if not platform_of(run).no_scaling and grows_first(run.diagnosis, resources):
        return await scale_up(run)
    at_once = saturated(run.target, resources) is not None
    return await scale_out(run, count, Then(GROWS, partial(scale_up, run), at_once=at_once))


def ways_to_scale(run: DiagnosedRun[Diagnosis], count: int) -> dict[str, Way]:
    """List what a person may choose where the evidence does not settle it."""
    up = partial(scale_up, run)
    return {"scale-out": partial(scale_out, run, count, Then(GROWS, up, at_once=False)), GROWS: up}


async def scale_up(run: DiagnosedRun[Diagnosis]) -> Ending:
    """Give each task what the catalog says, once a person agrees; a plan that was stale is made again."""
    run = replace(run, looks=tuple(dict.fromkeys((*run.looks, "cpu", "memory"))))
    while True:
        ending = await _scale_up_once(run)
        if ending is not None:
            return ending


async def _scale_up_once(run: DiagnosedRun[Diagnosis]) -> Ending | None:
    page, target = run.page, run.target

    async def plan_again() -> SizePlan | Ending:
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        size = await read_size(run, history)
        reasons = Reasons(because=run.diagnosis.because)
        return await plan_size(run, history, size, bigger(target, size), reasons)

    run.begin(Part.ASK)
    plan = page.unless_ending(await plan_again())
    run.end_if_only_planned(plan)
    baseline = await measure(run, plan.before)
    plan = await page.checkpoint(plan, target, "Scale up?", plan_again)

    run.begin(Part.PUT_RIGHT)
    resized = await put_in_place(run, plan)
    if resized is None:
        return None

    run.begin(Part.WAIT)
    since = page.unless_ending(await await_size(run, resized))

    run.begin(Part.VERIFY)
    return await verified_or_put_back(
        run, lambda: verify(run, resized.release, since, baseline), plan.headline, resized
    )
