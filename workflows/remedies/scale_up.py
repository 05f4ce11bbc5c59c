"""Scale up: give each task more CPU and memory, where more tasks do not help or cannot be had."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from activities.ecs.activities import EcsActivities
from runbook_model.measured.symptoms import ResourcesRead
from runbook_model.reports import Ending
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.scaling import GROWS, grows_first, saturated
from workflows.decisions.sizing import Reasons, SizePlan, bigger
from workflows.page.run import DiagnosedRun, Part
from workflows.platforms.choice import platform_of
from workflows.remedies.person import Way
from workflows.remedies.scale_out import Then, scale_out
from workflows.remedies.task_size import (
    await_size,
    plan_size,
    put_in_place,
    read_size,
    verified_or_put_back,
)
from workflows.remedies.verification import measure, verify


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
