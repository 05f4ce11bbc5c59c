"""Resource issues, where it runs by compose: the engine's statistics and restarts; a restart is a person's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

from activities.measuring.diagnosis import DiagnosisActivities
from runbook_model.evidence import Statistics
from runbook_model.symptoms import UtilizationRead
from workflows.decisions.diagnosis import Cause, classify_resources
from workflows.decisions.local import NOT_OFFERED, LocalDiagnosis, with_dependencies
from workflows.decisions.tasks import find_the_leak, use_less
from workflows.local.containers import look
from workflows.local.databases import diagnose_database
from workflows.local.restart import ask_person_to_choose, restart

if TYPE_CHECKING:
    from runbook_model.reports import Ending
    from workflows.page.run import DiagnosedRun, Run


async def diagnose(run: Run) -> LocalDiagnosis:
    """Find out what runs out, and why."""
    page, target = run.page, run.target
    project = await look(run)
    resources = await page.read("Read CPU, memory and restarts", DiagnosisActivities.read_resources, target)
    load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
    database = await diagnose_database(run) if target.database else None
    found = classify_resources(target, resources, load, _no_cloudwatch())
    lines = (resources.told, load.told, project.told)
    seen = (*lines, f"database: {database.told}") if database else lines
    return with_dependencies(target, project, found).model_copy(update={"look_at": seen})


async def put_right(run: DiagnosedRun[LocalDiagnosis]) -> Ending:
    """Give a service room whose CPU or memory runs out."""
    page, target, diagnosis = run.page, run.target, run.diagnosis
    if diagnosis.restart:
        return await restart(run, *diagnosis.restart)
    if diagnosis.cause is Cause.LEAK:
        page.add_follow_up(find_the_leak(target, diagnosis))
    if diagnosis.cause in {Cause.CPU, Cause.MEMORY, Cause.LOAD}:
        page.add_follow_up(use_less(target, diagnosis))
    if diagnosis.cause is not Cause.FINE:
        page.record.found(NOT_OFFERED)
    return await ask_person_to_choose(run)


def _no_cloudwatch() -> UtilizationRead:
    nothing = Statistics(
        quality="no-data",
        why="compose has no CloudWatch",
        source="cloudwatch",
        query="",
        at=workflow.now(),
    )
    return UtilizationRead(cpu=nothing, memory=nothing)
