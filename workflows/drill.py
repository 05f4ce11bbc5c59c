"""Would it work tonight: doctor's checks, and a plan of every procedure. Changes nothing and takes no lock."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ChildWorkflowError

from activities.chat.activities import ChatActivities
from activities.doctor.activities import DrillActivities
from runbook_model.catalog.target import Target
from runbook_model.checks import Check, DoctorRequest, Drilled, DrillRequest
from runbook_model.incident.announcements import Notice
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from runbook_model.names.procedures import workflow_type
from runbook_model.reports import Report
from workflows.decisions import checkup
from workflows.decisions.endings import problem_of
from workflows.doctor import examine, find_targets
from workflows.page.options import BEST_EFFORT, PLANNED_WITHIN, TASK_TIMEOUT

AT_ONCE = 2
"""Services that are read together, and plans made: a remediation must find AWS's rates as if there were no drill."""
DRILL = "drill"


@workflow.defn
class Drill:
    """Finds out for every service of an environment whether procedures would work now, and what changed since the last drill."""

    @workflow.run
    async def run(self, request: DrillRequest) -> Drilled:
        """Check, plan, compare, and notify people of what changed."""
        environment = request.environment
        found = await find_targets(DoctorRequest(environment=environment))
        services: tuple[str, ...] = ()
        if isinstance(found, Check):
            checks = [found]
        else:
            services = tuple(target.service for target in found.targets)
            checks = [*await examine(found, AT_ONCE)]
            gate = asyncio.Semaphore(AT_ONCE)
            plans = (
                _plan(target, name, checks, gate) for target in found.targets for name in found.procedures
            )
            checks += await asyncio.gather(*plans)
        last = await workflow.execute_activity_method(
            DrillActivities.read_last_drill, request, summary="Read what the last drill found", **BEST_EFFORT
        )
        drill = checkup.conclude(environment, workflow.now(), services, checkup.settle(checks), last.drill)
        return await _notify(drill, last.drill)


async def _plan(target: Target, procedure: str, checks: list[Check], gate: asyncio.Semaphore) -> Check:
    """Have the procedure itself plan, as it would if it were needed now."""
    if reason := checkup.unplanned(target, procedure, checks):
        return reason
    request = ProcedureRequest(
        service=target.service, environment=target.environment, requested_by=DRILL, plan_only=True
    )
    unique = f"{DRILL}-{workflow.uuid4().hex[:8]}"
    async with gate:
        try:
            report: Report = await workflow.execute_child_workflow(
                workflow_type(procedure),
                request,
                id=ids.plan_id(target.environment, target.service, procedure, unique),
                result_type=Report,
                execution_timeout=PLANNED_WITHIN,
                task_timeout=TASK_TIMEOUT,
                memo={"request": request},
                search_attributes=_search_attributes(target, procedure),
                static_summary=f"Plan {procedure} of {target.service}",
            )
        except ChildWorkflowError as error:
            problem = problem_of(error)
            why = f"it did not end with a plan: {problem.message}"
            return checkup.no_plan(target, procedure, why, problem.fix)
    return checkup.with_time(checkup.judge_plan(target, procedure, report), checks)


async def _notify(drill: Drilled, before: Drilled | None) -> Drilled:
    text = checkup.words(drill)
    if text is None:
        return drill
    notice = Notice(
        target=drill.environment, text=text, run=workflow.info().workflow_id, urgent=bool(drill.broke)
    )
    try:
        await workflow.execute_activity_method(
            ChatActivities.notify,
            notice,
            summary="Notify people of what changed since the last drill",
            **BEST_EFFORT,
        )
    except ActivityError as error:
        return checkup.notify_later(drill, before, problem_of(error).line)
    return drill


def _search_attributes(target: Target, procedure: str) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(ids.SERVICE, target.service),
            SearchAttributePair(ids.ENVIRONMENT, target.environment),
            SearchAttributePair(ids.PROCEDURE, procedure),
        ]
    )
