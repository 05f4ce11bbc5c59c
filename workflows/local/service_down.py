"""Service down, where it runs by compose: containers, statistics and logs; restart what is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.docker.activities import ComposeActivities
    from activities.measuring.diagnosis import DiagnosisActivities
    from workflows.decisions.local import LocalDiagnosis, classify_local_outage, release_of
    from workflows.local.containers import look
    from workflows.local.remedies import ask_person_to_choose, restart
    from workflows.remedies.deploying import measure
    from workflows.remedies.remedies import note_cause

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.reports import Ending, ProcedureRequest
    from workflows.page.page import Page


async def service_down(page: Page, target: Target, request: ProcedureRequest) -> Ending:
    """Bring a service back that does not answer."""
    diagnosis = await _diagnose(page, target)

    page.heading("Name the cause")
    note_cause(page, target, diagnosis)
    if diagnosis.restart:
        return await restart(page, target, request, diagnosis, *diagnosis.restart)
    return await ask_person_to_choose(page, target, request, diagnosis)


async def _diagnose(page: Page, target: Target) -> LocalDiagnosis:
    project = await look(page, target)
    uses = await page.read("Read what its containers use", ComposeActivities.read_statistics, target)
    logs = await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    sample = await measure(page, target, release_of(project))
    found = classify_local_outage(target, project, logs, sample)
    return found.model_copy(update={"look_at": (project.told, uses.told, logs.told, *logs.newest)})
