"""Restart services of a compose project, from the plan to the verdict; its headings are those of the page that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from runbook_model.readings import STANDARD_LOOKS
    from runbook_model.reports import Ending, Outcome
    from workflows.decisions.local import RestartContainersPlan, plan_restart_of, release_of
    from workflows.decisions.releases import refused
    from workflows.local.containers import await_up, look, restart, restart_what_is_still_down
    from workflows.remedies.deploying import measure, verified_or_handed_over, verify_since

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from runbook_model.catalog.catalog import Target
    from runbook_model.readings import Kind, Sample
    from runbook_model.reports import ProcedureRequest
    from workflows.decisions.recovery import Judged
    from workflows.page.page import Page

    Verify = Callable[[datetime, Sample], Awaitable[Judged]]
    """Verifies what happened since a moment, against how it was measured before."""


@dataclass(frozen=True)
class Headings:
    """Under which headings of its page a restart is told; what has none goes on under the one before."""

    ask: str
    put_right: str
    steady: str | None
    verify: str


@dataclass(frozen=True)
class Restarting:
    """What is restarted, why, and how it is seen that it helped."""

    services: Sequence[str]
    because: tuple[str, ...]
    headings: Headings
    looks: tuple[Kind, ...] = STANDARD_LOOKS
    verify: Verify | None = None


async def restart_and_verify(
    page: Page, target: Target, request: ProcedureRequest, what: Restarting
) -> Ending:
    """Restart services in their order, wait until they run, and verify the service that the page is about."""

    async def plan_again() -> RestartContainersPlan | Ending:
        project = await look(page, target)
        plan = plan_restart_of(target, project, what.services, what.because)
        gone = " or ".join(what.services)
        return plan or refused(
            "input", f"{gone} has no container any more", "docker compose up -d creates them again"
        )

    page.heading(what.headings.ask)
    plan = await plan_again()
    if isinstance(plan, Ending):
        return plan
    if request.plan_only:
        page.record.planned(plan)
        return page.ended(Outcome.PLANNED, f"{plan.headline}: planned, nothing was changed.")
    baseline = await measure(page, target, release_of(await look(page, target)), what.looks)
    agreed = await page.checkpoint(plan, target, "Restart?", plan_again)
    if isinstance(agreed, Ending):
        return agreed

    page.heading(what.headings.put_right)
    first, *others = agreed.restarts
    restarted = await restart(page, target, first)
    if what.headings.steady:
        page.heading(what.headings.steady)
    settled = await await_up(page, target, first, restarted)
    settled = await restart_what_is_still_down(page, target, others, settled)
    if not settled.ok:
        summary = f"Not recovered: {settled.detail.rstrip('.')}. A person must look now."
        return page.ended(Outcome.NOT_RECOVERED, summary)

    page.heading(what.headings.verify)
    verify = what.verify or verifying(page, target, what.looks)
    return await verified_or_handed_over(page, target, lambda: verify(settled.at, baseline), agreed.headline)


def verifying(page: Page, target: Target, looks: tuple[Kind, ...]) -> Verify:
    """Verify by measuring until it is known."""

    async def verify(since: datetime, baseline: Sample) -> Judged:
        release = release_of(await look(page, target))
        return await verify_since(
            page, target, release, since, baseline, same_release_before=True, looks=looks
        )

    return verify
