"""Words for a database that a service has trouble with: look into it, name the cause, plan the one remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.autoscaling.activities import ScalingActivities
    from activities.ecs.activities import EcsActivities
    from activities.postgres.activities import DatabaseActivities
    from runbook_model.reports import Ending, Outcome
    from workflows.decisions.database import Cause, classify, plan_terminate
    from workflows.decisions.database_remedies import (
        NoReboot,
        Room,
        fit_pool,
        raise_max_connections,
        release_lock,
        restart_database,
        room_for,
        used_up,
    )
    from workflows.decisions.sizing import Reasons, bigger_pool
    from workflows.remedies.rebooting import look_at_instance
    from workflows.remedies.sizing import plan_size, read_size

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.catalog.policies import Database
    from runbook_model.database import DatabaseRead
    from runbook_model.release import ReleaseHistory
    from runbook_model.reports import Task
    from runbook_model.sizes import TaskSize
    from workflows.decisions.database import Diagnosis, TerminatePlan
    from workflows.decisions.database_remedies import RebootPlan
    from workflows.decisions.sizing import SizePlan
    from workflows.page.page import Page

    Remedy = TerminatePlan | SizePlan | RebootPlan | NoReboot | Task | Ending


@dataclass(frozen=True)
class Pooled:
    """The service's connection pool, as far as the catalog names one."""

    size: TaskSize
    room: Room


@dataclass(frozen=True)
class Found:
    """What was found about a database and the service that uses it."""

    target: Target
    policy: Database
    diagnosis: Diagnosis
    history: ReleaseHistory
    pooled: Pooled | None


async def read_database(page: Page, target: Target) -> DatabaseRead:
    """Read who holds connections and who waits."""
    words = "Read who holds its connections and who waits"
    return await page.read(words, DatabaseActivities.read_database, target)


async def look_further(page: Page, target: Target, policy: Database, read: DatabaseRead) -> Found:
    """Name the cause; with a pool in the catalog that takes a look at how big it is, and for how many tasks."""
    diagnosis = classify(read, policy)
    history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
    if policy.pool is None or diagnosis.cause not in {Cause.LOAD, Cause.HEALTHY}:
        return Found(target, policy, diagnosis, history, None)
    size = await read_size(page, target, history)
    capacity = await page.read("Read how many tasks there are", ScalingActivities.read_capacity, target)
    pooled = Pooled(size, room_for(target, policy, policy.pool, read, capacity))
    return Found(target, policy, used_up(target, diagnosis, read, size, capacity), history, pooled)


async def plan_remedy(page: Page, found: Found) -> Remedy:
    """Plan the one remedy of the cause; what no program should do is a task for people."""
    target, diagnosis = found.target, found.diagnosis
    if sessions := plan_terminate(target, diagnosis):
        return sessions
    match diagnosis.cause:
        case Cause.DOWN if found.policy.rds_instance:
            seen = await look_at_instance(page, target, diagnosis.because)
            if isinstance(seen, NoReboot) and not seen.passes:
                return restart_database(target, diagnosis, seen.why)
            return seen
        case Cause.DOWN:
            return restart_database(target, diagnosis)
        case Cause.LOCKS:
            return release_lock(target, diagnosis)
        case Cause.LOAD | Cause.POOL if found.pooled:
            return await _plan_pool(page, found, found.pooled)
        case Cause.LOAD | Cause.POOL:
            return fit_pool(target, diagnosis)
        case _:
            return page.ended(
                Outcome.INCONCLUSIVE, f"Left to a person, nothing was changed: {diagnosis.told}."
            )


async def look_again(page: Page, found: Found) -> Remedy:
    """Look into the database once more, and plan what its remedy is now."""
    read = await read_database(page, found.target)
    return await plan_remedy(page, await look_further(page, found.target, found.policy, read))


async def _plan_pool(page: Page, found: Found, pooled: Pooled) -> SizePlan | Task | Ending:
    """Plan a bigger pool, if the database has room for what all tasks may then ask for."""
    if found.policy.pool is None:
        return fit_pool(found.target, found.diagnosis)
    change = bigger_pool(found.policy.pool, pooled.size)
    if isinstance(change, Ending):
        return change
    if pooled.room.lacks:
        return raise_max_connections(found.target, found.diagnosis, pooled.room.lacks)
    reasons = Reasons(because=(*found.diagnosis.because, pooled.room.told), needs_yes=pooled.room.needs_yes)
    return await plan_size(page, found.target, found.history, pooled.size, change, reasons)
