"""Database issues, where it runs by compose: is it ready, how many connections are used; restart it when it is down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from temporalio import workflow

from activities.measuring.diagnosis import DiagnosisActivities
from runbook_model.reports import Ending, Outcome, Verdict
from workflows.decisions.database import Cause, Diagnosis
from workflows.decisions.database_remedies import fit_pool, release_lock, restart_database
from workflows.decisions.local import release_of
from workflows.decisions.recovery import Judged
from workflows.local.containers import look
from workflows.local.databases import connects, diagnose_database
from workflows.local.restart import measure_until_known, restart_and_verify
from workflows.page.run import Part
from workflows.remedies.verification import measure, verified_or_handed_over

if TYPE_CHECKING:
    from datetime import datetime

    from runbook_model.containers import ProjectRead
    from runbook_model.readings import Sample
    from workflows.page.run import Run

RESTART = "restart-database"


@dataclass(frozen=True)
class Checked:
    """The containers, and what is wrong with the database."""

    project: ProjectRead
    diagnosis: Diagnosis


async def check(run: Run) -> Checked:
    """Look at the containers, and ask the database; the page has looked that there is one."""
    return Checked(await look(run), await diagnose_database(run))


async def put_right(run: Run, checked: Checked) -> Ending:
    """Give a service its database back: restart what is down, ask people for the rest."""
    page, target, diagnosis = run.page, run.target, checked.diagnosis
    page.record.found(diagnosis.told)
    await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    baseline = await measure(run, release_of(checked.project))
    service = target.database.compose_service if target.database else None
    if diagnosis.cause is Cause.DOWN and service:
        return await _restart(run, diagnosis, service)
    if diagnosis.cause in {Cause.HEALTHY, Cause.UNKNOWN} or run.request.plan_only:
        outcome = Outcome.PLANNED if run.request.plan_only else Outcome.INCONCLUSIVE
        page.end(outcome, f"Left to a person, nothing was changed: {diagnosis.told}.")

    asking = {Cause.DOWN: restart_database, Cause.LOCKS: release_lock}.get(diagnosis.cause, fit_pool)
    task = asking(target, diagnosis)
    answer = await page.task(task, target, (RESTART,) if service else ())
    if answer == RESTART and service:
        return await _restart(run, diagnosis, service)

    run.begin(Part.VERIFY)
    look_again = partial(_connect_and_measure, run, workflow.now(), baseline)
    return await verified_or_handed_over(run, look_again, f"A person says that it is done ({task.what})")


async def _restart(run: Run, diagnosis: Diagnosis, service: str) -> Ending:
    services = tuple(dict.fromkeys((service, run.target.compose_service)))
    return await restart_and_verify(run, services, diagnosis.because, _connect_and_measure)


async def _connect_and_measure(run: Run, since: datetime, baseline: Sample) -> Judged:
    connected, told = await connects(run)
    if not connected:
        return Judged(verdict=Verdict.NOT_RECOVERED, why=told)
    return await measure_until_known(run, since, baseline)
