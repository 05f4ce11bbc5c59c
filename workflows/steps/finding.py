"""The first word of every page: names become a target, if the page can work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.targets import CatalogActivities, TargetNames
    from workflows.decisions.releases import refused

if TYPE_CHECKING:
    from activities.catalog import Target
    from workflows.messages import Ending, ProcedureRequest
    from workflows.steps.page import Page


async def find_target(page: Page, request: ProcedureRequest) -> Target | Ending:
    """Look the target up in the worker's catalog; one that does not run on ECS is refused."""
    names = TargetNames(service=request.service, environment=request.environment)
    target = await page.read("Look the target up in the catalog", CatalogActivities.resolve_target, names)
    if target.platform != "ecs":
        return refused("policy", f"{target.key} runs on {target.platform}: {page.report.procedure} needs ECS")
    return target
