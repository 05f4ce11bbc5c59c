"""Restart a service, from the plan to the verdict: fresh tasks of what runs, or the containers of what is down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from runbook_model.measured.readings import Sample
from runbook_model.plans import Plan
from runbook_model.reports import Ending
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.recovery import Judged
from workflows.page.run import DiagnosedRun, Part, Run
from workflows.platforms.choice import platform_of
from workflows.remedies.verification import measure, verified_or_handed_over, verify

Verify = Callable[[Run, Plan, datetime, Sample], Awaitable[Judged]]
"""Verifies what a plan restarted, from a moment on, against how it was measured before."""


async def verify_restarted(run: Run, plan: Plan, since: datetime, baseline: Sample) -> Judged:
    """Verify by measuring until it is known."""
    release = await platform_of(run).release_of(plan)
    return await verify(run, release, since, baseline, same_release_before=True)


async def restart(run: DiagnosedRun[Diagnosis], *services: str) -> Ending:
    """Restart what the diagnosis found, or the services that are named, and verify by what was wrong."""
    return await restart_and_verify(run, services or run.diagnosis.restart, run.diagnosis.because)


async def restart_and_verify(
    run: Run, services: Sequence[str], because: tuple[str, ...], verified: Verify = verify_restarted
) -> Ending:
    """Restart, wait until it runs, and verify the service that the page is about."""
    page, target, platform = run.page, run.target, platform_of(run)

    async def plan_again() -> Plan | Ending:
        return await platform.plan_restart(services, because)

    run.begin(Part.ASK)
    plan = page.unless_ending(await plan_again())
    run.end_if_only_planned(plan)
    baseline = await measure(run, await platform.release_of(plan))
    agreed = await page.checkpoint(plan, target, "Restart?", plan_again)

    run.begin(Part.PUT_RIGHT)
    made = await platform.restart(agreed)

    run.begin(Part.WAIT)
    since = page.unless_ending(await platform.await_restarted(agreed, made))

    run.begin(Part.VERIFY)
    ending = await verified_or_handed_over(
        run, lambda: verified(run, agreed, since, baseline), agreed.headline
    )
    return await platform.unless_replaced(agreed, made, ending)
