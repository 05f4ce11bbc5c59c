"""What a remedy leaves to others: to a page of its own, run as a child under this page's lock, or to people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from runbook_model.catalog.target import Target
from runbook_model.measured.readings import STANDARD_LOOKS, Reading
from runbook_model.messages import ProcedureRequest, RollbackRequest
from runbook_model.reports import Ending, Outcome, Report, Task
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.tasks import bring_dependency_back, find_the_cause, see_more, would_ask
from workflows.page.run import DiagnosedRun, Part
from workflows.platforms.choice import platform_of
from workflows.remedies.restart import restart
from workflows.remedies.verification import Before, as_it_is, verified_since

Way = Callable[[], Awaitable[Ending]]
"""How the page continues where a person chooses it."""


async def roll_back(run: DiagnosedRun[Diagnosis]) -> Ending:
    """Run the rollback; its gate is shown here, and its end is this page's, unless this page measures more than it does."""
    if why := platform_of(run).no_rollback:
        run.page.record.found(why)
        return await ask_person_to_choose(run)
    before = None if run.looks == STANDARD_LOOKS else await as_it_is(run)

    run.begin(Part.PUT_RIGHT)
    wanted = RollbackRequest(**_asked_by(run), suspect=run.diagnosis.release)
    report = await run.page.child("Roll the release back", "rollback", wanted)
    return await _ending_of(run, before, report, "The release was rolled back")


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
    return await _ending_of(run, before, report, "The database was repaired")


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


async def _ending_of(run: DiagnosedRun[Diagnosis], before: Before | None, child: Report, done: str) -> Ending:
    """End as the child did, whose last word is this page's; what was measured before and the child does not see is verified."""
    if before and child.outcome is Outcome.RECOVERED:
        run.begin(Part.VERIFY)
        return await verified_since(run, before, child.plan.headline if child.plan else done)
    outcome = child.outcome or Outcome.INCONCLUSIVE
    return Ending(outcome=outcome, summary=child.summary, verdict=child.verdict, error=child.error)


def note_cause(run: DiagnosedRun[Diagnosis]) -> None:
    """Note what was found, and leave it to people to make readable what was not."""
    run.page.record.found(run.diagnosis.summary)
    if task := see_more(run.target, run.diagnosis):
        run.page.add_follow_up(task)


def handed_over(run: DiagnosedRun[Diagnosis]) -> Ending:
    """End without having changed anything: a person continues, with what was found."""
    summary = f"Left to a person, nothing was changed: {run.diagnosis.summary}."
    return Ending(outcome=Outcome.INCONCLUSIVE, summary=summary)


async def ask_person_to_choose(
    run: DiagnosedRun[Diagnosis], ways: Mapping[str, Way] = MappingProxyType({})
) -> Ending:
    """Change nothing by a guess, and do not end by good readings alone what a person asked for: ask which way to go."""
    return await ask_person_to_act(run, find_the_cause, ways)


async def ask_person_to_act(
    run: DiagnosedRun[Diagnosis],
    asking: Callable[[Target, Diagnosis, Sequence[Reading]], Task],
    ways: Mapping[str, Way] = MappingProxyType({}),
) -> Ending:
    """Ask people to put it right, or to choose a way; what they say is done is verified.

    Where services can be restarted one by one, as on a single machine, these restarts are the ways.
    """
    page, target, diagnosis = run.page, run.target, run.diagnosis
    run.begin(Part.ASK)
    before = await as_it_is(run)
    task = asking(target, diagnosis, before.sample.readings)
    if run.request.plan_only:
        page.end(Outcome.PLANNED, would_ask(task, diagnosis.summary))
    restarts = {f"restart-{name}": partial(restart, run, name) for name in before.running.restartable}
    ways = restarts or ways
    answer = await page.task(task, target, tuple(ways))
    if answer in ways:
        return await ways[answer]()

    run.begin(Part.VERIFY)
    return await verified_since(run, before, f"A person says that it is done ({task.what})")
