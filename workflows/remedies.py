"""What several pages do to put a service right: restart it, roll it back, scale it out. Each ends the page that said it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ecs import EcsActivities
    from activities.ecs_changes import EcsChanges, ForceDeployment
    from activities.readings import STANDARD_LOOKS
    from activities.rollout import Phase, Rollout
    from activities.scaling import ScalingActivities
    from workflows.database_issues import DatabaseIssues
    from workflows.decisions.restarting import RestartPlan, plan_restart
    from workflows.decisions.scaling import ScalePlan, plan_scale_out
    from workflows.decisions.tasks import bring_dependency_back, find_the_cause, see_more
    from workflows.messages import Ending, Outcome, ProcedureRequest, Report, RollbackRequest
    from workflows.rollback import Rollback
    from workflows.steps.deploying import (
        as_it_is,
        await_steady,
        hand_over,
        measure,
        verified_or_handed_over,
        verified_since,
        verify,
    )
    from workflows.steps.scaling import await_tasks, scale_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from activities.catalog import Target
    from activities.readings import Kind, Reading
    from workflows.decisions.diagnosis import Diagnosis
    from workflows.messages import Plan, Task
    from workflows.steps.page import Page

ASK = "Ask before changing anything"
PUT_RIGHT = "Put it right"
STEADY = "Wait for steady state"
VERIFY = "Verify"
HEADINGS = (ASK, PUT_RIGHT, STEADY, VERIFY)
"""The parts that every page ends with that leaves the doing to this module."""


@dataclass(frozen=True)
class Then:
    """The way on where more tasks are not enough: a person may choose it once they did not help."""

    name: str
    go: Callable[[], Awaitable[Ending]]
    at_once: bool
    """Whether it is gone without a question where more tasks cannot be had."""


def note_cause(page: Page, target: Target, diagnosis: Diagnosis) -> None:
    """Note what was found, and leave it to people to make readable what was not."""
    page.record.found(diagnosis.told)
    if task := see_more(target, diagnosis):
        page.leave(task)


async def roll_back(page: Page, request: ProcedureRequest, diagnosis: Diagnosis) -> Ending:
    """Run the rollback procedure as a child; its gate is shown here, and its end is this page's."""
    page.heading(PUT_RIGHT)
    wanted = RollbackRequest(
        service=request.service,
        environment=request.environment,
        requested_by=request.requested_by,
        reason=f"{page.report.procedure}: {diagnosis.because[0] if diagnosis.because else diagnosis.cause}",
        plan_only=request.plan_only,
        trace_id=request.trace_id,
    )
    report = await page.child("Roll the release back", "rollback", Rollback.run, wanted)
    return _ending_of(report)


async def restart(page: Page, target: Target, request: ProcedureRequest, diagnosis: Diagnosis) -> Ending:
    """Start fresh tasks of what runs, wait for them, and verify."""

    async def plan_again() -> RestartPlan | Ending:
        history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
        return plan_restart(target, history, diagnosis.because)

    page.heading(ASK)
    plan = await plan_again()
    if isinstance(plan, Ending) or request.plan_only:
        return plan if isinstance(plan, Ending) else planned(page, plan)
    baseline = await measure(page, target, plan.before)
    plan = await page.checkpoint(plan, target, "Restart the service?", plan_again)
    if isinstance(plan, Ending):
        return plan

    page.heading(PUT_RIGHT)
    deployed = await page.change(
        f"Force a new deployment of {plan.before.name}",
        EcsChanges.force_deployment,
        ForceDeployment(target=target, fence=plan.fence),
        action="UpdateService",
        before=plan.before.name,
        after=f"{plan.before.name}, fresh tasks",
        undo=_nothing_to_put_back,
    )
    page.heading(STEADY)
    rollout = await await_steady(page, target, "Wait until only fresh tasks run", deployed)
    if rollout.phase is not Phase.STEADY:
        return await hand_over(page, target, rollout)
    page.heading(VERIFY)
    release = plan.before
    return await verified_or_handed_over(
        page,
        target,
        lambda: verify(page, target, release, rollout, baseline, same_release_before=True),
        plan.headline,
    )


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


def planned(page: Page, plan: Plan) -> Ending:
    """End a run that only plans."""
    page.record.planned(plan)
    return page.ended(Outcome.PLANNED, f"{plan.headline}: planned, nothing was changed.")


def handed_over(page: Page, diagnosis: Diagnosis) -> Ending:
    """End without having changed anything: a person goes on, with what was found."""
    return page.ended(Outcome.INCONCLUSIVE, f"Left to a person, nothing was changed: {diagnosis.told}.")


async def repair_dependency(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    *,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
) -> Ending:
    """Run database-issues as a child where the catalog names a database; any other dependency is a person's task.

    The child verifies the database and what users see of errors; what else was wrong is verified here.
    """
    if target.database is None:
        return await a_person_does(page, target, request, diagnosis, bring_dependency_back, looks=looks)
    before = await as_it_is(page, target, looks) if looks != STANDARD_LOOKS else None
    page.heading(PUT_RIGHT)
    wanted = ProcedureRequest(
        service=request.service,
        environment=request.environment,
        requested_by=request.requested_by,
        reason=f"{page.report.procedure}: {diagnosis.because[0] if diagnosis.because else diagnosis.cause}",
        plan_only=request.plan_only,
        trace_id=request.trace_id,
    )
    report = await page.child("Repair the database", "database-issues", DatabaseIssues.run, wanted)
    if before is None or report.outcome is not Outcome.RECOVERED:
        return _ending_of(report)
    page.heading(VERIFY)
    headline = report.plan.headline if report.plan else "The database was repaired"
    return await verified_since(page, target, before, headline, looks)


async def a_person_chooses(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    ways: dict[str, Callable[[], Awaitable[Ending]]],
    *,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
) -> Ending:
    """Change nothing by a guess, and do not end by good readings alone what a person asked for: ask which way to go."""
    return await a_person_does(page, target, request, diagnosis, find_the_cause, ways, looks=looks)


async def a_person_does(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    asking: Callable[[Target, Diagnosis, Sequence[Reading]], Task],
    ways: Mapping[str, Callable[[], Awaitable[Ending]]] = MappingProxyType({}),
    *,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
) -> Ending:
    """Ask people to put it right, or to choose a way; what they say is done is verified."""
    page.heading(ASK)
    before = await as_it_is(page, target, looks)
    task = asking(target, diagnosis, before.sample.readings)
    if request.plan_only:
        return page.ended(Outcome.PLANNED, f"A person would be asked: {task.what}. {diagnosis.told}.")
    answer = await page.task(task, target, tuple(ways))
    if isinstance(answer, Ending):
        return answer
    if answer in ways:
        return await ways[answer]()
    page.heading(VERIFY)
    return await verified_since(page, target, before, f"A person says that it is done ({task.what})", looks)


def _ending_of(child: Report) -> Ending:
    """End as the child did: its last word is this page's."""
    outcome = child.outcome or Outcome.INCONCLUSIVE
    return Ending(outcome=outcome, summary=child.summary, verdict=child.verdict, error=child.error)


async def _nothing_to_put_back() -> str:
    return "nothing to undo: fresh tasks of the same release run"
