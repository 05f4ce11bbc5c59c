"""Scale out: run more tasks for a while, and go on from there where that is not enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.autoscaling.activities import ScalingActivities
    from activities.ecs.activities import EcsActivities
    from runbook_model.readings import STANDARD_LOOKS
    from runbook_model.reports import Ending, Outcome, ProcedureRequest
    from runbook_model.rollout import Phase, Rollout
    from workflows.decisions.scaling import ScalePlan, plan_scale_out
    from workflows.remedies.deploying import measure, verified_or_handed_over, verify
    from workflows.remedies.remedies import ASK, PUT_RIGHT, STEADY, VERIFY, planned
    from workflows.remedies.scaling import await_tasks, scale_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runbook_model.catalog.catalog import Target
    from runbook_model.readings import Kind
    from workflows.decisions.diagnosis import Diagnosis
    from workflows.page.page import Page


@dataclass(frozen=True)
class Then:
    """The way on where more tasks are not enough: a person may choose it once they did not help."""

    name: str
    go: Callable[[], Awaitable[Ending]]
    at_once: bool
    """Whether it is gone without a question where more tasks cannot be had."""


async def scale(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    *,
    count: int,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
    then: Then | None = None,
) -> Ending:
    """Run more tasks for a while, wait for them, and verify by what was wrong; ``then`` is where that is not enough."""

    async def plan_again() -> ScalePlan | Ending:
        capacity = await page.read("Read how many tasks there are", ScalingActivities.read_capacity, target)
        return plan_scale_out(target, capacity, count, diagnosis.because)

    page.heading(ASK)
    plan = await plan_again()
    if isinstance(plan, Ending) and then and then.at_once:
        page.record.found(plan.summary)
        return await then.go()
    if isinstance(plan, Ending) or request.plan_only:
        return plan if isinstance(plan, Ending) else planned(page, plan)
    history = await page.read("Read what runs", EcsActivities.read_history, target)
    baseline = await measure(page, target, history.current, looks)
    plan = await page.checkpoint(plan, target, "Scale out?", plan_again)
    if isinstance(plan, Ending):
        return plan

    page.heading(PUT_RIGHT)
    await scale_out(page, target, plan)
    page.heading(STEADY)
    service = await await_tasks(page, target, plan)
    if service.running < plan.to:
        causes = "; ".join(service.events[:2]) or "ECS names no cause"
        summary = f"Only {service.running} of {plan.to} tasks run: {causes}. A person must look now."
        return page.ended(Outcome.NOT_RECOVERED, summary)
    page.heading(VERIFY)
    release, rollout = (
        history.current,
        Rollout(phase=Phase.STEADY, detail="", service=service, at=workflow.now()),
    )
    return await verified_or_handed_over(
        page,
        target,
        lambda: verify(page, target, release, rollout, baseline, same_release_before=True, looks=looks),
        plan.headline,
        {then.name: then.go} if then else {},
    )
