"""Scale up: give each task more CPU and memory, where more tasks do not help or cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities
    from runbook_model.reports import Ending, ProcedureRequest
    from workflows.decisions.scaling import GROWS, grows_first, saturated
    from workflows.decisions.sizing import Reasons, SizePlan, bigger
    from workflows.remedies.deploying import measure, verify
    from workflows.remedies.remedies import ASK, PUT_RIGHT, STEADY, VERIFY, planned
    from workflows.remedies.scaling_out import Then, scale
    from workflows.remedies.sizing import (
        await_size,
        plan_size,
        put_in_place,
        read_size,
        verified_or_put_back,
    )

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runbook_model.catalog.catalog import Target
    from runbook_model.readings import Kind
    from runbook_model.symptoms import ResourcesRead
    from workflows.decisions.diagnosis import Diagnosis
    from workflows.page.page import Page


async def scale_out_or_up(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    resources: ResourcesRead,
    *,
    count: int,
    looks: tuple[Kind, ...],
) -> Ending:
    """Run more tasks; bigger ones where single tasks are too small, or where there are as many as there may be."""

    async def up() -> Ending:
        return await scale_up(page, target, request, diagnosis, looks=looks)

    if grows_first(diagnosis, resources):
        return await up()
    then = Then(GROWS, up, at_once=saturated(target, resources) is not None)
    return await scale(page, target, request, diagnosis, count=count, looks=looks, then=then)


def ways_to_scale(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    *,
    count: int,
    looks: tuple[Kind, ...],
) -> dict[str, Callable[[], Awaitable[Ending]]]:
    """List what a person may choose where the evidence does not settle it."""

    async def up() -> Ending:
        return await scale_up(page, target, request, diagnosis, looks=looks)

    async def out() -> Ending:
        then = Then(GROWS, up, at_once=False)
        return await scale(page, target, request, diagnosis, count=count, looks=looks, then=then)

    return {"scale-out": out, GROWS: up}


async def scale_up(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    *,
    looks: tuple[Kind, ...],
) -> Ending:
    """Give each task what the catalog says, once a person agrees; a plan that was stale is made again."""
    seen: tuple[Kind, ...] = tuple(dict.fromkeys((*looks, "cpu", "memory")))
    while True:
        ending = await _scale_up_once(page, target, request, diagnosis, seen)
        if ending is not None:
            return ending


async def _scale_up_once(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    looks: tuple[Kind, ...],
) -> Ending | None:
    async def plan_again() -> SizePlan | Ending:
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        size = await read_size(page, target, history)
        reasons = Reasons(because=diagnosis.because)
        return await plan_size(page, target, history, size, bigger(target, size), reasons)

    page.heading(ASK)
    plan = await plan_again()
    if isinstance(plan, Ending) or request.plan_only:
        return plan if isinstance(plan, Ending) else planned(page, plan)
    baseline = await measure(page, target, plan.before, looks)
    plan = await page.checkpoint(plan, target, "Scale up?", plan_again)
    if isinstance(plan, Ending):
        return plan

    page.heading(PUT_RIGHT)
    resized = await put_in_place(page, target, plan)
    if resized is None or isinstance(resized, Ending):
        return resized

    page.heading(STEADY)
    rollout = await await_size(page, target, resized)
    if isinstance(rollout, Ending):
        return rollout

    page.heading(VERIFY)
    return await verified_or_put_back(
        page,
        target,
        lambda: verify(page, target, resized.release, rollout, baseline, looks=looks),
        plan.headline,
        resized,
    )
