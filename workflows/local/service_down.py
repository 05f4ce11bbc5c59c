"""Service down, where it runs by compose: containers, statistics and logs; restart what is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.docker.activities import ComposeActivities
from activities.measuring.diagnosis import DiagnosisActivities
from workflows.decisions.local import LocalDiagnosis, classify_local_outage, release_of
from workflows.local.containers import look
from workflows.local.restart import ask_person_to_choose, restart
from workflows.remedies.verification import measure

if TYPE_CHECKING:
    from runbook_model.reports import Ending
    from workflows.page.run import DiagnosedRun, Run


async def diagnose(run: Run) -> LocalDiagnosis:
    """Find out why it does not answer."""
    page, target = run.page, run.target
    project = await look(run)
    uses = await page.read("Read what its containers use", ComposeActivities.read_statistics, target)
    logs = await page.read("Read the recent errors in the logs", DiagnosisActivities.read_recent_logs, target)
    sample = await measure(run, release_of(project))
    found = classify_local_outage(target, project, logs, sample)
    return found.model_copy(update={"look_at": (project.told, uses.told, logs.told, *logs.newest)})


async def put_right(run: DiagnosedRun[LocalDiagnosis]) -> Ending:
    """Bring it back."""
    if run.diagnosis.restart:
        return await restart(run, *run.diagnosis.restart)
    return await ask_person_to_choose(run)
