"""Resource issues, where it runs by compose: the engine's statistics and restarts; a restart is a person's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.measuring.diagnosis import DiagnosisActivities
    from runbook_model.evidence import Statistics
    from runbook_model.readings import STANDARD_LOOKS
    from runbook_model.symptoms import UtilizationRead
    from workflows.decisions.diagnosis import Cause, classify_resources
    from workflows.decisions.local import NOT_OFFERED, LocalDiagnosis, with_dependencies
    from workflows.decisions.tasks import find_the_leak, use_less
    from workflows.local.containers import look
    from workflows.local.databases import diagnose_database
    from workflows.local.remedies import ask_person_to_choose, restart
    from workflows.remedies.remedies import note_cause

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.reports import Ending, ProcedureRequest
    from workflows.page.page import Page

LOOKS = (*STANDARD_LOOKS, "cpu", "memory")


async def resource_issues(page: Page, target: Target, request: ProcedureRequest) -> Ending:
    """Give a service room whose CPU or memory runs out."""
    diagnosis = await _diagnose(page, target)

    page.heading("Name the cause")
    note_cause(page, target, diagnosis)
    if diagnosis.restart:
        return await restart(page, target, request, diagnosis, *diagnosis.restart, looks=LOOKS)
    if diagnosis.cause is Cause.LEAK:
        page.add_follow_up(find_the_leak(target, diagnosis))
    if diagnosis.cause in {Cause.CPU, Cause.MEMORY, Cause.LOAD}:
        page.add_follow_up(use_less(target, diagnosis))
    if diagnosis.cause is not Cause.FINE:
        page.record.found(NOT_OFFERED)
    return await ask_person_to_choose(page, target, request, diagnosis, looks=LOOKS)


async def _diagnose(page: Page, target: Target) -> LocalDiagnosis:
    project = await look(page, target)
    resources = await page.read("Read CPU, memory and restarts", DiagnosisActivities.read_resources, target)
    load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
    database = await diagnose_database(page, target) if target.database else None
    found = classify_resources(target, resources, load, _no_cloudwatch())
    lines = (resources.told, load.told, project.told)
    seen = (*lines, f"database: {database.told}") if database else lines
    return with_dependencies(target, project, found).model_copy(update={"look_at": seen})


def _no_cloudwatch() -> UtilizationRead:
    nothing = Statistics(
        quality="no-data",
        why="compose has no CloudWatch",
        source="cloudwatch",
        query="",
        at=workflow.now(),
    )
    return UtilizationRead(cpu=nothing, memory=nothing)
