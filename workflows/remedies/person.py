"""What is left to people: a cause noted for them, a task that the page waits for, a choice between ways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from runbook_model.catalog.catalog import Target
from runbook_model.measured.readings import Reading
from runbook_model.reports import Ending, Outcome, Task
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.tasks import find_the_cause, see_more
from workflows.page.run import DiagnosedRun, Part
from workflows.remedies.restart import restart
from workflows.remedies.verification import as_it_is, verified_since

Way = Callable[[], Awaitable[Ending]]
"""How the page continues where a person chooses it."""


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
        page.end(Outcome.PLANNED, f"A person would be asked: {task.what}. {diagnosis.summary}.")
    restarts = {f"restart-{name}": partial(restart, run, name) for name in before.running.restartable}
    ways = restarts or ways
    answer = await page.task(task, target, tuple(ways))
    if answer in ways:
        return await ways[answer]()

    run.begin(Part.VERIFY)
    return await verified_since(run, before, f"A person says that it is done ({task.what})")
