"""What the pages do about a service that runs by compose: restart, or leave the choice to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from runbook_model.readings import STANDARD_LOOKS
    from runbook_model.reports import Ending, Outcome
    from workflows.decisions.local import down_dependencies, release_of
    from workflows.decisions.tasks import find_the_cause
    from workflows.local.containers import look
    from workflows.local.restarting import Headings, Restarting, restart_and_verify, verifying
    from workflows.remedies.deploying import measure, verified_or_handed_over
    from workflows.remedies.remedies import ASK, PUT_RIGHT, STEADY, VERIFY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runbook_model.catalog.catalog import Target
    from runbook_model.readings import Kind
    from runbook_model.reports import ProcedureRequest
    from workflows.decisions.diagnosis import Diagnosis
    from workflows.page.page import Page

HEADINGS = Headings(ask=ASK, put_right=PUT_RIGHT, steady=STEADY, verify=VERIFY)


async def restart(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    *services: str,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
) -> Ending:
    """Restart services, what others depend on first, and verify by what was wrong."""
    what = Restarting(services, diagnosis.because, HEADINGS, looks)
    return await restart_and_verify(page, target, request, what)


async def ask_person_to_choose(
    page: Page,
    target: Target,
    request: ProcedureRequest,
    diagnosis: Diagnosis,
    *,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
) -> Ending:
    """Change nothing by a guess: a person lets the page restart something, or puts it right; either is verified."""
    page.heading(ASK)
    project = await look(page, target)
    baseline = await measure(page, target, release_of(project), looks)
    task = find_the_cause(target, diagnosis, baseline.readings)
    if request.plan_only:
        return page.ended(Outcome.PLANNED, f"A person would be asked: {task.what}. {diagnosis.told}.")

    def restarting(service: str) -> Callable[[], Awaitable[Ending]]:
        return lambda: restart(page, target, request, diagnosis, service, looks=looks)

    ways = {
        f"restart-{name}": restarting(name) for name in (project.service, *down_dependencies(target, project))
    }
    answer = await page.task(task, target, tuple(ways))
    if isinstance(answer, Ending):
        return answer
    if answer in ways:
        return await ways[answer]()
    page.heading(VERIFY)
    since, verify = workflow.now(), verifying(page, target, looks)
    headline = f"A person says that it is done ({task.what})"
    return await verified_or_handed_over(page, target, lambda: verify(since, baseline), headline)
