"""High error rate, where it runs by compose: errors by type, logs and dependencies; restart the one that is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.measuring.diagnosis import DiagnosisActivities
from workflows.decisions.diagnosis import Cause
from workflows.decisions.local import LocalDiagnosis, classify_local_errors
from workflows.local.containers import look
from workflows.local.restart import ask_person_to_choose, restart
from workflows.remedies.other_pages import repair_dependency

if TYPE_CHECKING:
    from runbook_model.reports import Ending
    from workflows.page.run import DiagnosedRun, Run


async def diagnose(run: Run) -> LocalDiagnosis:
    """Find out what fails, and since when."""
    page, target = run.page, run.target
    project = await look(run)
    errors = await page.read(
        "Read which requests fail, and since when", DiagnosisActivities.read_errors, target
    )
    load = await page.read("Read how much is asked of it", DiagnosisActivities.read_load, target)
    logs = await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    found = classify_local_errors(target, project, errors, load, logs)
    lines = (errors.told, project.told, load.told, logs.told, *logs.newest)
    return found.model_copy(update={"look_at": lines})


async def put_right(run: DiagnosedRun[LocalDiagnosis]) -> Ending:
    """Bring a service back below its error rate."""
    diagnosis = run.diagnosis
    if diagnosis.restart:
        return await restart(run, *diagnosis.restart)
    if diagnosis.cause is Cause.DEPENDENCY and run.target.database:
        return await repair_dependency(run)
    return await ask_person_to_choose(run)
