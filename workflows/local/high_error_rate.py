"""High error rate, where it runs by compose: errors by type, logs and dependencies; restart the one that is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.measuring.diagnosis import DiagnosisActivities
    from workflows.decisions.diagnosis import Cause
    from workflows.decisions.local import LocalDiagnosis, classify_local_errors
    from workflows.local.containers import look
    from workflows.local.remedies import ask_person_to_choose, restart
    from workflows.remedies.remedies import note_cause, repair_dependency

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.reports import Ending, ProcedureRequest
    from workflows.page.page import Page


async def high_error_rate(page: Page, target: Target, request: ProcedureRequest) -> Ending:
    """Bring a service back below its error rate."""
    diagnosis = await _diagnose(page, target)

    page.heading("Name the cause")
    note_cause(page, target, diagnosis)
    if diagnosis.restart:
        return await restart(page, target, request, diagnosis, *diagnosis.restart)
    if diagnosis.cause is Cause.DEPENDENCY and target.database:
        return await repair_dependency(page, target, request, diagnosis)
    return await ask_person_to_choose(page, target, request, diagnosis)


async def _diagnose(page: Page, target: Target) -> LocalDiagnosis:
    project = await look(page, target)
    errors = await page.read(
        "Read which requests fail, and since when", DiagnosisActivities.read_errors, target
    )
    load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
    logs = await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    found = classify_local_errors(target, project, errors, load, logs)
    lines = (errors.told, project.told, load.told, logs.told, *logs.newest)
    return found.model_copy(update={"look_at": lines})
