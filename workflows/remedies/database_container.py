"""A database on the service's own machine: ask it, restart its container when it is down, and put the rest to people."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from temporalio import workflow

from activities.measuring.diagnosis import DiagnosisActivities
from runbook_model.measured.readings import Sample
from runbook_model.plans import Plan
from runbook_model.reports import Ending, Outcome, Verdict
from workflows.decisions.database import Cause, Diagnosis
from workflows.decisions.database_remedies import fit_pool, release_lock, restart_database
from workflows.decisions.recovery import Judged
from workflows.page.run import Part, Run
from workflows.platforms.choice import platform_of
from workflows.platforms.platform import Running
from workflows.remedies.restart import restart_and_verify, verify_restarted
from workflows.remedies.verification import Before, measure, verified_or_handed_over, verify

RESTART = "restart-database"


async def put_right_in_container(run: Run, running: Running, diagnosis: Diagnosis) -> Ending:
    """Give a service its database back: restart what is down, ask people for the rest."""
    page, target = run.page, run.target
    page.record.found(diagnosis.summary)
    await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    before = Before(running, await measure(run, running.release))
    service = target.database.compose_service if target.database else None
    if diagnosis.cause is Cause.DOWN and service:
        return await _restart(run, diagnosis, service)
    if diagnosis.cause in {Cause.HEALTHY, Cause.UNKNOWN} or run.request.plan_only:
        outcome = Outcome.PLANNED if run.request.plan_only else Outcome.INCONCLUSIVE
        page.end(outcome, diagnosis.left_to_person)

    asking = {Cause.DOWN: restart_database, Cause.LOCKS: release_lock}.get(diagnosis.cause, fit_pool)
    task = asking(target, diagnosis)
    answer = await page.task(task, target, (RESTART,) if service else ())
    if answer == RESTART and service:
        return await _restart(run, diagnosis, service)

    run.begin(Part.VERIFY)
    look = partial(_connect_and_measure, run, workflow.now(), before)
    return await verified_or_handed_over(run, look, f"A person says that it is done ({task.what})")


async def _restart(run: Run, diagnosis: Diagnosis, service: str) -> Ending:
    services = tuple(dict.fromkeys((service, run.target.compose_service)))
    return await restart_and_verify(run, services, diagnosis.because, _verify_restarted)


async def _verify_restarted(run: Run, plan: Plan, since: datetime, baseline: Sample) -> Judged:
    serves, why = await platform_of(run).connect_to_database()
    if not serves:
        return Judged(verdict=Verdict.NOT_RECOVERED, why=why)
    return await verify_restarted(run, plan, since, baseline)


async def _connect_and_measure(run: Run, since: datetime, before: Before) -> Judged:
    platform = platform_of(run)
    serves, why = await platform.connect_to_database()
    if not serves:
        return Judged(verdict=Verdict.NOT_RECOVERED, why=why)
    now = await platform.read_running("Read what runs now")
    return await verify(run, now.release, since, before.sample, same_release_before=True)
