"""Database issues, where it runs by compose: is it ready, how many connections are used; restart it when it is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.measuring.diagnosis import DiagnosisActivities
    from runbook_model.reports import Ending, Outcome, ProcedureRequest, Task, Verdict
    from workflows.decisions.database import Cause, Diagnosis
    from workflows.decisions.database_remedies import fit_pool, release_lock, restart_database
    from workflows.decisions.local import release_of
    from workflows.decisions.recovery import Judged
    from workflows.local.containers import look
    from workflows.local.databases import LOOKS, connects, diagnose_database
    from workflows.local.restarting import Headings, Restarting, restart_and_verify, verifying
    from workflows.remedies.deploying import measure, verified_or_handed_over

if TYPE_CHECKING:
    from datetime import datetime

    from runbook_model.catalog.catalog import Target
    from runbook_model.readings import Sample
    from workflows.local.restarting import Verify
    from workflows.page.page import Page

RESTART = "restart-database"
VERIFY = "Verify by connecting and by the service's health"
HEADINGS = Headings(
    ask="Ask before changing anything", put_right="Restart the database", steady=None, verify=VERIFY
)


async def database_issues(page: Page, target: Target, request: ProcedureRequest) -> Ending:
    """Give a service its database back; the page has looked that there is one."""
    project = await look(page, target)
    diagnosis = await diagnose_database(page, target)

    page.heading("Find who holds the connections")
    page.record.found(diagnosis.told)
    await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    baseline = await measure(page, target, release_of(project), LOOKS)
    service = target.database.compose_service if target.database else None
    if diagnosis.cause is Cause.DOWN and service:
        return await _restart(page, target, request, diagnosis, service)
    if diagnosis.cause in {Cause.HEALTHY, Cause.UNKNOWN} or request.plan_only:
        outcome = Outcome.PLANNED if request.plan_only else Outcome.INCONCLUSIVE
        return page.ended(outcome, f"Left to a person, nothing was changed: {diagnosis.told}.")

    asking = {Cause.DOWN: restart_database, Cause.LOCKS: release_lock}.get(diagnosis.cause, fit_pool)
    answer = await page.task(asking(target, diagnosis), target, (RESTART,) if service else ())
    if isinstance(answer, Ending):
        return answer
    if answer == RESTART and service:
        return await _restart(page, target, request, diagnosis, service)
    return await _done_by_a_person(page, target, asking(target, diagnosis), baseline)


async def _restart(
    page: Page, target: Target, request: ProcedureRequest, diagnosis: Diagnosis, service: str
) -> Ending:
    what = Restarting(
        tuple(dict.fromkeys((service, target.compose_service))),
        diagnosis.because,
        HEADINGS,
        LOOKS,
        _verify(page, target),
    )
    return await restart_and_verify(page, target, request, what)


async def _done_by_a_person(page: Page, target: Target, task: Task, baseline: Sample) -> Ending:
    page.heading(VERIFY)
    since, verify = workflow.now(), _verify(page, target)
    headline = f"A person says that it is done ({task.what})"
    return await verified_or_handed_over(page, target, lambda: verify(since, baseline), headline)


def _verify(page: Page, target: Target) -> Verify:
    measuring = verifying(page, target, LOOKS)

    async def verify(since: datetime, baseline: Sample) -> Judged:
        connected, told = await connects(page, target)
        if not connected:
            return Judged(verdict=Verdict.NOT_RECOVERED, why=told)
        return await measuring(since, baseline)

    return verify
