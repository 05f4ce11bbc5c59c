"""The product's own procedures, described as a package describes its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from runbook_model.catalog.policies import RUNBOOK_MATRIX
from runbook_model.catalog.target import Target
from runbook_model.names.procedures import procedure_of
from starter.paper import local, pages
from workflows.database_issues import DatabaseIssues
from workflows.high_error_rate import HighErrorRate
from workflows.high_latency import HighLatency
from workflows.procedures import Procedure
from workflows.resource_issues import ResourceIssues
from workflows.rollback import Rollback
from workflows.service_down import ServiceDown

if TYPE_CHECKING:
    from workflows.page.procedure import ProcedureWorkflow
    from workflows.procedures.procedure import Part

PAGES = Path(__file__).parents[1] / "docs" / "runbooks"
"""Only a checkout has them."""


def _built_in(workflow: type[ProcedureWorkflow]) -> Procedure:
    name = procedure_of(workflow.__name__)
    return Procedure(
        name=name,
        workflow=workflow,
        page=PAGES / f"{name}.md",
        paper=_on_paper(name),
        alerts=tuple(row for row in RUNBOOK_MATRIX if row.procedure == name),
    )


def _on_paper(name: str) -> Callable[[Target], list[Part]]:
    """Write a page for the platform of the target."""
    return lambda target: (local.PAGES if target.platform == "compose" else pages.PAGES)[name](target)


BUILT_IN = tuple(
    _built_in(workflow)
    for workflow in (Rollback, ServiceDown, HighErrorRate, HighLatency, ResourceIssues, DatabaseIssues)
)
