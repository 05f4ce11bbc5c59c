"""High latency, where it runs by compose: latency, statistics and the database; a restart is a person's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.measuring.diagnosis import DiagnosisActivities
from workflows.decisions.database import signs_from
from workflows.decisions.diagnosis import Cause, classify_latency
from workflows.decisions.local import NOT_OFFERED, LocalDiagnosis, with_dependencies
from workflows.decisions.tasks import make_faster
from workflows.local.containers import look
from workflows.local.databases import diagnose_database
from workflows.local.restart import ask_person_to_choose, restart
from workflows.remedies.other_pages import repair_dependency

if TYPE_CHECKING:
    from runbook_model.reports import Ending
    from workflows.page.run import DiagnosedRun, Run


async def diagnose(run: Run) -> LocalDiagnosis:
    """Find out what is slow, and why."""
    page, target = run.page, run.target
    project = await look(run)
    latency = await page.read("Read what is slow", DiagnosisActivities.read_latency, target)
    load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
    resources = await page.read("Read CPU and memory", DiagnosisActivities.read_resources, target)
    logs = await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    database = await diagnose_database(run) if target.database else None
    signs = signs_from(database) if database else None
    found = classify_latency(target, latency, load, resources, logs, signs)
    lines = (latency.told, resources.told, load.told, project.told, logs.told)
    seen = (*lines, f"database: {database.told}") if database else lines
    return with_dependencies(target, project, found).model_copy(update={"look_at": seen})


async def put_right(run: DiagnosedRun[LocalDiagnosis]) -> Ending:
    """Bring a service back below its response time."""
    page, target, diagnosis = run.page, run.target, run.diagnosis
    if diagnosis.restart:
        return await restart(run, *diagnosis.restart)
    match diagnosis.cause:
        case Cause.DEPENDENCY | Cause.DATABASE if target.database:
            return await repair_dependency(run)
        case Cause.CODE_PATH:
            page.add_follow_up(make_faster(target, diagnosis))
        case Cause.LOAD | Cause.RESOURCES:
            page.record.found(NOT_OFFERED)
    return await ask_person_to_choose(run)
