"""Is everything in place in an environment, as a worker of it sees it. Takes no lock, changes nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from activities.doctor.activities import DoctorActivities
from activities.ecs.activities import EcsActivities
from runbook_model.catalog.target import Target
from runbook_model.checks import WORKER_CATALOG, Check, Checks, DoctorRequest, Found, Place
from runbook_model.names.ids import watch_queue
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Release
from runbook_model.text.sentences import count_of
from workflows.decisions import checkup
from workflows.decisions.endings import cause_of, problem_of
from workflows.page.options import ActivityOptions

AT_ONCE = 8
"""Services that are looked at together: more would take the API's rate from those who are in need of it."""
# Once: a check tries again by itself where that helps, and people wait for the answer.
ONCE = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=12),
    schedule_to_close_timeout=timedelta(seconds=20),
    retry_policy=RetryPolicy(maximum_attempts=1),
)


@workflow.defn
class Doctor:
    """Looks whether everything is in place, and says what to fix."""

    @workflow.run
    async def run(self, request: DoctorRequest) -> Checks:
        """Look at everything at once."""
        found = await find_targets(request)
        return Checks(checks=(found,) if isinstance(found, Check) else await examine(found, AT_ONCE))


async def find_targets(request: DoctorRequest) -> Found | Check:
    """Ask the worker's catalog what there is to look at; a check that says why where it cannot tell."""
    try:
        return await workflow.execute_activity_method(
            DoctorActivities.find_targets, request, summary="Read the worker's catalog", **ONCE
        )
    except ActivityError as error:
        return _bad_catalog(request, error)


async def examine(found: Found, at_once: int) -> tuple[Check, ...]:
    """Look at a place and its services, so many of them at once; only what is wrong by itself is red."""
    gate = asyncio.Semaphore(at_once)
    looks = (_examine_target(target, gate) for target in found.targets)
    groups = await asyncio.gather(_examine_place(found.place), *looks)
    checks = (check for group in groups for check in group)
    return (_good_catalog(found), *checkup.settle(checks))


async def _examine_place(place: Place) -> tuple[Check, ...]:
    try:
        found = await workflow.execute_activity_method(
            DoctorActivities.examine_place,
            place,
            summary=f"Look at what the services in {place.environment} share",
            **_on_the_queue_of_waits(place.environment),
        )
    except ActivityError as error:
        return (_unfinished(error, place.environment),)
    return found.checks


async def _examine_target(target: Target, gate: asyncio.Semaphore) -> tuple[Check, ...]:
    async with gate:
        try:
            found = await workflow.execute_activity_method(
                DoctorActivities.examine_target,
                target,
                summary=f"Look at {target.service}",
                **_on_the_queue_of_waits(target.environment),
            )
            good = await _look_for_a_good_one(target, found.history)
        except ActivityError as error:
            return (_unfinished(error, target.environment, target.service),)
    return checkup.in_order((checkup.judge_controller(target, found.service), good, *found.checks))


async def _look_for_a_good_one(target: Target, history: ReleaseHistory | None) -> Check:
    others: tuple[Release, ...] = ()
    if history and checkup.needs_revisions(target, history):
        try:
            found = await workflow.execute_activity_method(
                EcsActivities.list_revisions,
                target,
                summary=f"Look for earlier revisions of {target.service}",
                **ONCE,
            )
        except ActivityError as error:
            return checkup.unread_revisions(target, problem_of(error))
        others = found.releases
    return checkup.judge_last_known_good(target, history, others)


def _on_the_queue_of_waits(environment: str) -> ActivityOptions:
    """Say how a long look is run: on the queue of waits, where it takes no slot from a change."""
    return ActivityOptions(**{**ONCE, "task_queue": watch_queue(environment)})


def _good_catalog(found: Found) -> Check:
    services = count_of(len(found.targets), "service")
    detail = f"{found.catalog} is valid; {services} to look at in {found.place.environment}"
    return Check(environment=found.place.environment, name=WORKER_CATALOG, ok=True, detail=detail)


def _bad_catalog(request: DoctorRequest, error: ActivityError) -> Check:
    if cause_of(error) is None:
        return _unfinished(error, request.environment)
    problem = problem_of(error)
    return Check(
        environment=request.environment,
        name=WORKER_CATALOG,
        ok=False,
        detail=problem.message,
        fix=problem.fix
        or "correct the worker's catalog, where RUNBOOK_CATALOG points: runbook catalog check shows all",
    )


def _unfinished(error: ActivityError, environment: str, service: str | None = None) -> Check:
    problem = problem_of(error)
    return Check(
        environment=environment,
        service=service,
        name="examination",
        ok=False,
        detail=f"the worker did not finish it: {problem.message}",
        fix=problem.fix or "look into the worker's log, and ask again",
    )
