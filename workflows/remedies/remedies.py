"""What several pages do to put a service right: restart it, roll it back, or leave it to people. Each ends the page that said it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities
    from activities.ecs.changes import EcsChanges, ForceDeployment
    from runbook_model.readings import STANDARD_LOOKS
    from runbook_model.reports import Ending, Outcome, ProcedureRequest, Report, RollbackRequest
    from runbook_model.rollout import Phase
    from workflows.database_issues import DatabaseIssues
    from workflows.decisions.restarting import RestartPlan, plan_restart
    from workflows.decisions.tasks import bring_dependency_back, find_the_cause, see_more
    from workflows.remedies.deploying import (
        as_it_is,
        await_steady,
        hand_over,
        measure,
        unless_replaced,
        verified_or_handed_over,
        verified_since,
        verify,
    )
    from workflows.rollback import Rollback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from runbook_model.catalog.catalog import Target
    from runbook_model.readings import Kind, Reading
    from runbook_model.reports import Plan, Task
    from workflows.decisions.diagnosis import Diagnosis
    from workflows.page.page import Page

ASK = "Ask before changing anything"
PUT_RIGHT = "Put it right"
STEADY = "Wait for steady state"
VERIFY = "Verify"
HEADINGS = (ASK, PUT_RIGHT, STEADY, VERIFY)
"""The parts that every page ends with that leaves the doing to this module."""


def note_cause(page: Page, target: Target, diagnosis: Diagnosis) -> None:
    """Note what was found, and leave it to people to make readable what was not."""
    page.record.found(diagnosis.told)
    if task := see_more(target, diagnosis):
        page.add_follow_up(task)


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
        suspect=diagnosis.release,
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
    ending = await verified_or_handed_over(
        page,
        target,
        lambda: verify(page, target, release, rollout, baseline, same_release_before=True),
        plan.headline,
    )
    return await unless_replaced(page, target, release, ending)


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
        return await ask_person_to_act(page, target, request, diagnosis, bring_dependency_back, looks=looks)
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


async def ask_person_to_choose(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    ways: dict[str, Callable[[], Awaitable[Ending]]],
    *,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
) -> Ending:
    """Change nothing by a guess, and do not end by good readings alone what a person asked for: ask which way to go."""
    return await ask_person_to_act(page, target, request, diagnosis, find_the_cause, ways, looks=looks)


async def ask_person_to_act(
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
