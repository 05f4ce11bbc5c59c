"""Would a rollback work tonight: everything that one reads is read, and nothing is changed. Takes no lock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ChildWorkflowError

from activities.chat.activities import ChatActivities
from activities.doctor.drills import DrillActivities
from runbook_model import ids
from runbook_model.checks import Check, DoctorRequest, Drilled, DrillRequest
from runbook_model.incident.announcements import Notice
from runbook_model.reports import Report, RollbackRequest
from workflows.decisions import checkup, drills
from workflows.decisions.endings import problem_of
from workflows.doctor import examine, find_targets
from workflows.page.options import BEST_EFFORT, TASK_TIMEOUT
from workflows.rollback import Rollback

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target

AT_ONCE = 2
"""Services that are read together: a remediation must find AWS's rates as if there were no drill."""
PLANNED_WITHIN = timedelta(minutes=2)
DRILL = "drill"


@workflow.defn
class Drill:
    """Finds out for every service of an environment whether a rollback would work now, and what changed since the last drill."""

    @workflow.run
    async def run(self, request: DrillRequest) -> Drilled:
        """Look, plan, compare, and tell people what changed."""
        environment = request.environment
        found = await find_targets(DoctorRequest(environment=environment))
        services: tuple[str, ...] = ()
        if isinstance(found, Check):
            checks = [found]
        else:
            services = tuple(one.service for one in found.targets)
            checks = [*await examine(found, AT_ONCE)]
            gate = asyncio.Semaphore(AT_ONCE)
            checks += await asyncio.gather(*(_plan(one, checks, gate) for one in found.targets))
        last = await workflow.execute_activity_method(
            DrillActivities.read_last_drill, request, summary="Read what the last drill found", **BEST_EFFORT
        )
        drill = drills.conclude(
            environment, workflow.now(), services, checkup.settle(checks, drills.CAUSES), last.drill
        )
        return await _tell(drill, last.drill)


async def _plan(target: Target, checks: list[Check], gate: asyncio.Semaphore) -> Check:
    """Have the rollback itself plan, as it would if it were needed now."""
    if reason := drills.unplanned(target, checks):
        return reason
    request = RollbackRequest(
        service=target.service, environment=target.environment, requested_by=DRILL, plan_only=True
    )
    unique = f"{DRILL}-{workflow.uuid4().hex[:8]}"
    async with gate:
        try:
            report: Report = await workflow.execute_child_workflow(
                Rollback.run,
                request,
                id=ids.plan_id(target.environment, target.service, "rollback", unique),
                execution_timeout=PLANNED_WITHIN,
                task_timeout=TASK_TIMEOUT,
                memo={"request": request},
                search_attributes=_search_attributes(target),
                static_summary=f"Plan a rollback of {target.service}",
            )
        except ChildWorkflowError as error:
            problem = problem_of(error)
            return drills.no_plan(target, f"it did not end with a plan: {problem.message}", problem.fix)
    return drills.judge_plan(target, report)


async def _tell(drill: Drilled, before: Drilled | None) -> Drilled:
    text = drills.words(drill)
    if text is None:
        return drill
    notice = Notice(
        target=drill.environment, text=text, run=workflow.info().workflow_id, urgent=bool(drill.broke)
    )
    try:
        await workflow.execute_activity_method(
            ChatActivities.notify,
            notice,
            summary="Tell people what changed since the last drill",
            **BEST_EFFORT,
        )
    except ActivityError as error:
        return drills.told_later(drill, before, problem_of(error).line)
    return drill


def _search_attributes(target: Target) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(ids.SERVICE, target.service),
            SearchAttributePair(ids.ENVIRONMENT, target.environment),
            SearchAttributePair(ids.PROCEDURE, "rollback"),
        ]
    )
