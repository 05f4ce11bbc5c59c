"""Restart services of a compose project, from the plan to the verdict; or ask a person which one to restart."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from temporalio import workflow

from runbook_model.reports import Ending, Outcome
from workflows.decisions.local import (
    RestartContainersPlan,
    down_dependencies,
    plan_restart_of,
    release_of,
)
from workflows.decisions.releases import refused
from workflows.decisions.tasks import find_the_cause
from workflows.local.containers import await_up, look, restart_service, restart_what_is_still_down
from workflows.page.run import Part
from workflows.remedies.verification import measure, verified_or_handed_over, verify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from runbook_model.readings import Sample
    from workflows.decisions.diagnosis import Diagnosis
    from workflows.decisions.recovery import Judged
    from workflows.page.run import DiagnosedRun, Run

    Verify = Callable[[Run, datetime, Sample], Awaitable[Judged]]
    """Verifies what happened since a moment, against how it was measured before."""


async def measure_until_known(run: Run, since: datetime, baseline: Sample) -> Judged:
    """Verify by measuring until it is known."""
    release = release_of(await look(run))
    return await verify(run, release, since, baseline, same_release_before=True)


async def restart(run: DiagnosedRun[Diagnosis], *services: str) -> Ending:
    """Restart services, what others depend on first, and verify by what was wrong."""
    return await restart_and_verify(run, services, run.diagnosis.because)


async def restart_and_verify(
    run: Run, services: Sequence[str], because: tuple[str, ...], verified: Verify = measure_until_known
) -> Ending:
    """Restart services in their order, wait until they run, and verify the service that the page is about."""
    page, target = run.page, run.target

    async def plan_again() -> RestartContainersPlan | Ending:
        plan = plan_restart_of(target, await look(run), services, because)
        gone = " or ".join(services)
        return plan or refused(
            "input", f"{gone} has no container any more", "docker compose up -d creates them again"
        )

    run.begin(Part.ASK)
    plan = page.unless_ending(await plan_again())
    run.end_if_only_planned(plan)
    baseline = await measure(run, release_of(await look(run)))
    agreed = await page.checkpoint(plan, target, "Restart?", plan_again)

    run.begin(Part.PUT_RIGHT)
    first, *others = agreed.restarts
    restarted = await restart_service(run, first)

    run.begin(Part.WAIT)
    settled = await await_up(run, first, restarted)
    settled = await restart_what_is_still_down(run, others, settled)
    if not settled.ok:
        summary = f"Not recovered: {settled.detail.rstrip('.')}. A person must look now."
        page.end(Outcome.NOT_RECOVERED, summary)

    run.begin(Part.VERIFY)
    look_again = partial(verified, run, settled.at, baseline)
    return await verified_or_handed_over(run, look_again, agreed.headline)


async def ask_person_to_choose(run: DiagnosedRun[Diagnosis]) -> Ending:
    """Change nothing by a guess: a person lets the page restart something, or puts it right; either is verified."""
    page, target, diagnosis = run.page, run.target, run.diagnosis
    run.begin(Part.ASK)
    project = await look(run)
    baseline = await measure(run, release_of(project))
    task = find_the_cause(target, diagnosis, baseline.readings)
    if run.request.plan_only:
        page.end(Outcome.PLANNED, f"A person would be asked: {task.what}. {diagnosis.told}.")
    names = (project.service, *down_dependencies(target, project))
    ways = {f"restart-{name}": partial(restart, run, name) for name in names}
    answer = await page.task(task, target, tuple(ways))
    if answer in ways:
        return await ways[answer]()

    run.begin(Part.VERIFY)
    look_again = partial(measure_until_known, run, workflow.now(), baseline)
    return await verified_or_handed_over(run, look_again, f"A person says that it is done ({task.what})")
