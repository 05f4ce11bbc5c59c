"""High latency, where it runs by compose: latency, statistics and the database; a restart is a person's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.measuring.diagnosis import DiagnosisActivities
    from runbook_model.readings import STANDARD_LOOKS
    from workflows.decisions.database import signs_from
    from workflows.decisions.diagnosis import Cause, classify_latency
    from workflows.decisions.local import NOT_OFFERED, LocalDiagnosis, with_dependencies
    from workflows.decisions.tasks import make_faster
    from workflows.local.containers import look
    from workflows.local.databases import diagnose_database
    from workflows.local.remedies import ask_person_to_choose, restart
    from workflows.remedies.remedies import note_cause, repair_dependency

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.reports import Ending, ProcedureRequest
    from workflows.page.page import Page

LOOKS = (*STANDARD_LOOKS, "latency")


async def high_latency(page: Page, target: Target, request: ProcedureRequest) -> Ending:
    """Bring a service back below its response time."""
    diagnosis = await _diagnose(page, target)

    page.heading("Name the cause")
    note_cause(page, target, diagnosis)
    if diagnosis.restart:
        return await restart(page, target, request, diagnosis, *diagnosis.restart, looks=LOOKS)
    match diagnosis.cause:
        case Cause.DEPENDENCY | Cause.DATABASE if target.database:
            return await repair_dependency(page, target, request, diagnosis)
        case Cause.CODE_PATH:
            page.add_follow_up(make_faster(target, diagnosis))
        case Cause.LOAD | Cause.RESOURCES:
            page.record.found(NOT_OFFERED)
    return await ask_person_to_choose(page, target, request, diagnosis, looks=LOOKS)


async def _diagnose(page: Page, target: Target) -> LocalDiagnosis:
    project = await look(page, target)
    latency = await page.read("Read what is slow", DiagnosisActivities.read_latency, target)
    load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
    resources = await page.read("Read CPU and memory", DiagnosisActivities.read_resources, target)
    logs = await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    database = await diagnose_database(page, target) if target.database else None
    signs = signs_from(database) if database else None
    found = classify_latency(target, latency, load, resources, logs, signs)
    lines = (latency.told, resources.told, load.told, project.told, logs.told)
    seen = (*lines, f"database: {database.told}") if database else lines
    return with_dependencies(target, project, found).model_copy(update={"look_at": seen})
