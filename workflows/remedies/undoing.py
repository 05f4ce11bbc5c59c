"""Words for the end of an undo: whether what was put back runs, and what stands in its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.ecs.activities import EcsActivities
    from runbook_model.rollout import Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from runbook_model.catalog.catalog import Target
    from runbook_model.rollout import Rollout
    from workflows.page.page import Page


async def fate_of(page: Page, target: Target, waiting: Awaitable[Rollout]) -> str:
    """Wait for the deployment that an undo made; returns ``undone``, or why not and what ECS says stands in its way."""
    try:
        rollout = await waiting
    except (asyncio.CancelledError, ActivityError):
        if not page.inbox.undo_stop:
            raise
        return f"could not undo: stopped before it ran again{await _in_the_way(page, target)}"
    if rollout.phase is Phase.STEADY:
        return "undone"
    return f"could not undo: {rollout.detail.rstrip('.')}{await _in_the_way(page, target)}"


async def _in_the_way(page: Page, target: Target) -> str:
    why = await page.last_look("Read why it does not run", EcsActivities.explain_rollout, target)
    causes = "; ".join(said.rstrip(".") for said in (*why.stopped[:2], *why.events[:1])) if why else ""
    return f": {causes}" if causes else ""
