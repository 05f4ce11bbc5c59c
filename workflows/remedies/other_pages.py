"""Remedies that are pages of their own, run as a child under this page's lock: the rollback, and the database's."""

from __future__ import annotations

from typing import Any

from runbook_model.measured.readings import STANDARD_LOOKS
from runbook_model.messages import ProcedureRequest, RollbackRequest
from runbook_model.reports import Ending, Outcome, Report
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.tasks import bring_dependency_back
from workflows.page.run import DiagnosedRun, Part
from workflows.platforms.choice import platform_of
from workflows.remedies.person import ask_person_to_act, ask_person_to_choose
from workflows.remedies.restart import restart
from workflows.remedies.verification import as_it_is, verified_since


async def roll_back(run: DiagnosedRun[Diagnosis]) -> Ending:
    """Run the rollback; its gate is shown here, and its end is this page's."""
    if why := platform_of(run).no_rollback:
        run.page.record.found(why)
        return await ask_person_to_choose(run)
    run.begin(Part.PUT_RIGHT)
    wanted = RollbackRequest(**_asked_by(run), suspect=run.diagnosis.release)
    return _ending_of(await run.page.child("Roll the release back", "rollback", wanted))


async def repair_dependency(run: DiagnosedRun[Diagnosis]) -> Ending:
    """Restart what is down, or run database-issues where the catalog names a database; the rest is a person's task.

    The child verifies the database and what users see of errors; what else was wrong is verified here.
    """
    if run.diagnosis.restart:
        return await restart(run)
    if run.target.database is None:
        return await ask_person_to_act(run, bring_dependency_back)
    child_sees_all = run.by_compose or run.looks == STANDARD_LOOKS
    before = None if child_sees_all else await as_it_is(run)

    run.begin(Part.PUT_RIGHT)
    wanted = ProcedureRequest(**_asked_by(run))
    report = await run.page.child("Repair the database", "database-issues", wanted)
    if before is None or report.outcome is not Outcome.RECOVERED:
        return _ending_of(report)

    run.begin(Part.VERIFY)
    headline = report.plan.headline if report.plan else "The database was repaired"
    return await verified_since(run, before, headline)


def _asked_by(run: DiagnosedRun[Diagnosis]) -> dict[str, Any]:
    """Return what a child is asked for, by the page and for the cause that it named."""
    request, diagnosis = run.request, run.diagnosis
    return {
        "service": request.service,
        "environment": request.environment,
        "requested_by": request.requested_by,
        "reason": f"{run.page.report.procedure}: {diagnosis.because[0] if diagnosis.because else diagnosis.cause}",
        "plan_only": request.plan_only,
        "trace_id": request.trace_id,
    }


def _ending_of(child: Report) -> Ending:
    """End as the child did: its last word is this page's."""
    outcome = child.outcome or Outcome.INCONCLUSIVE
    return Ending(outcome=outcome, summary=child.summary, verdict=child.verdict, error=child.error)
