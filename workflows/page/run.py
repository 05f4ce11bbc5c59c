"""A run of a page: its verbs, the service that it is about, what was asked, and what was found. Pages pass it to remedies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Generic, TypeVar

from activities.catalog.activities import CatalogActivities
from activities.ecs.activities import EcsActivities
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.catalog.target import TRACES, Target, with_trace
from runbook_model.locks import ecs_lock
from runbook_model.measured.readings import STANDARD_LOOKS, Kind
from runbook_model.messages import ProcedureRequest
from runbook_model.plans import Plan
from runbook_model.reports import Outcome
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.rollback.releases import refused
from workflows.page.deciding.child_relay import procedure_above
from workflows.page.page import Page

D_co = TypeVar("D_co", bound=Diagnosis, covariant=True)


class Part(StrEnum):
    """A part that remedies of several pages have; each page has its own heading for it."""

    ASK = "ask"
    PUT_RIGHT = "put-right"
    WAIT = "wait"
    VERIFY = "verify"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a page on one service."""

    page: Page
    target: Target
    request: ProcedureRequest
    headings: Mapping[Part, str] = field(default_factory=dict)
    """The page's headings of the parts that remedies go through."""
    looks: tuple[Kind, ...] = STANDARD_LOOKS
    """What is measured, before a change and after it."""

    @property
    def by_compose(self) -> bool:
        """Whether the service runs by compose on one machine."""
        return self.target.platform == "compose"

    def begin(self, part: Part) -> None:
        """Continue to a part of the page; a part without a heading continues under the one before."""
        if heading := self.headings.get(part):
            self.page.heading(heading)

    def end_if_only_planned(self, plan: Plan) -> None:
        """End the page with a plan where no more was asked for."""
        if self.request.plan_only:
            self.page.record.planned(plan)
            self.page.end(Outcome.PLANNED, f"{plan.headline}: planned, nothing was changed.")

    def diagnosed(self, diagnosis: D_co) -> DiagnosedRun[D_co]:  # type: ignore[misc] # a covariant parameter of a frozen class
        """Return the run with what was found."""
        known = {item.name: getattr(self, item.name) for item in fields(Run)}
        return DiagnosedRun(**known, diagnosis=diagnosis)


@dataclass(frozen=True, kw_only=True)
class DiagnosedRun(Run, Generic[D_co]):
    """A run whose page has named the cause."""

    diagnosis: D_co


async def open_run(
    page: Page,
    request: ProcedureRequest,
    *,
    headings: Mapping[Part, str] | None = None,
    looks: tuple[Kind, ...] = STANDARD_LOOKS,
    by_compose: bool = False,
) -> Run:
    """Look the target up in the worker's catalog, and take the lock of its ECS service: the first steps of every page.

    Args:
        page: the page that starts.
        request: whose names are looked up.
        headings: the page's headings of the parts that remedies go through.
        looks: what is measured.
        by_compose: whether the page can also work on what runs by compose; otherwise the page ends here.
    """
    names = TargetNames(service=request.service, environment=request.environment)
    found = await page.read("Look up the target in the catalog", CatalogActivities.resolve_target, names)
    target = found.model_copy(update={"links": with_trace(found.links, request.trace_id)})
    page.orders.signing.follow(target.approvals)
    page.record.traced(target.links.get(TRACES))
    run = Run(page=page, target=target, request=request, headings=headings or {}, looks=looks)
    if target.platform == "ecs":
        await _lock_service(run)
    elif not by_compose:
        _refuse_compose(run)
    page.record.admitted()
    return run


def _refuse_compose(run: Run) -> None:
    procedure, target = run.page.report.procedure, run.target
    why, fix = f"{target.key} runs by compose: {procedure} needs ECS", None
    if procedure == "rollback":
        why = f"{target.key} runs by compose, which keeps no history of releases: rollback needs ECS"
        fix = f"name the earlier image in the compose file and run docker compose up -d {target.compose_service}"
    run.page.unless_ending(refused("policy", why, fix))


async def _lock_service(run: Run) -> None:
    """Hold the ECS service that the target is, whatever other catalogs call it; a child works under its parent's lock."""
    if run.request.plan_only or procedure_above():
        return
    service = await run.page.read("Look which ECS service it is", EcsActivities.read_service, run.target)
    lock = ecs_lock(run.target, service.arn)
    what = f"ECS service {run.target.cluster}/{run.target.ecs_service}"
    run.page.unless_ending(await run.page.locks.hold(lock, what, replaces=True))
