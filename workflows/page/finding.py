"""The first word of every page: names become a target, if the page can work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.catalog.activities import CatalogActivities
    from runbook_model.catalog.incident_policy import TargetNames
    from runbook_model.catalog.trace_links import TRACES, with_trace
    from workflows.decisions.releases import refused

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.reports import Ending, ProcedureRequest
    from workflows.page.page import Page


async def find_target(page: Page, request: ProcedureRequest, *, by_compose: bool = False) -> Target | Ending:
    """Look the target up in the worker's catalog.

    Args:
        page: the page that begins.
        request: whose names are looked up.
        by_compose: whether the page can also work on what runs by compose; otherwise that is refused.
    """
    names = TargetNames(service=request.service, environment=request.environment)
    found = await page.read("Look the target up in the catalog", CatalogActivities.resolve_target, names)
    target = found.model_copy(update={"links": with_trace(found.links, request.trace_id)})
    page.record.traced(target.links.get(TRACES))
    if target.platform != "ecs" and not by_compose:
        return refused(
            "policy",
            f"{target.key} runs by compose, which keeps no history of releases: {page.report.procedure} needs ECS",
            "name the earlier image in the compose file and run "
            f"docker compose up -d {target.compose_service}",
        )
    return target
