"""A database that a service has trouble with: look into it, plan the one remedy of its cause, on RDS or in its container, see that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from temporalio import workflow

from activities.autoscaling.activities import ScalingActivities
from activities.ecs.activities import EcsActivities
from activities.postgres.activities import DatabaseActivities, TerminateSessions
from activities.rds.activities import AwaitedInstance, RdsActivities, Reboot
from runbook_model.catalog.service_policies import Database
from runbook_model.measured.database import AVAILABLE, DatabaseRead
from runbook_model.measured.readings import Sample
from runbook_model.plans import Plan
from runbook_model.releases.history import ReleaseHistory
from runbook_model.reports import Ending, Outcome, Task, Undone, Verdict
from runbook_model.sizes import TaskSize
from runbook_model.text.sentences import count_of
from workflows.decisions.database import Cause, Diagnosis, TerminatePlan, classify, plan_terminate
from workflows.decisions.database_remedies import (
    NoReboot,
    RebootPlan,
    Room,
    fit_pool,
    plan_reboot,
    raise_max_connections,
    release_lock,
    restart_database,
    room_for,
    used_up,
)
from workflows.decisions.recovery import Judged
from workflows.decisions.sizing import Reasons, SizePlan, bigger_pool
from workflows.decisions.tasks import would_ask
from workflows.page.run import Part, Run
from workflows.platforms.choice import platform_of
from workflows.platforms.platform import Running
from workflows.remedies.restart import restart_and_verify, verify_restarted
from workflows.remedies.task_size import Resized, plan_size, read_size
from workflows.remedies.verification import Before, measure, verified_or_handed_over, verify

Remedy = TerminatePlan | SizePlan | RebootPlan | NoReboot | Task

RESTART = "restart-database"


@dataclass(frozen=True)
class Pooled:
    """The service's connection pool, as far as the catalog names one."""

    size: TaskSize
    room: Room


@dataclass(frozen=True)
class Found:
    """What was found about a database and the service that uses it."""

    policy: Database
    diagnosis: Diagnosis
    history: ReleaseHistory
    pooled: Pooled | None


@dataclass(frozen=True)
class Done:
    """What was done about it; a pool that was raised has a new release of the service, which runs since a moment."""

    headline: str
    resized: Resized | None = None
    since: datetime | None = None


async def read_database(run: Run) -> DatabaseRead:
    """Read who holds connections and who waits."""
    words = "Read who holds its connections and who waits"
    return await run.page.read(words, DatabaseActivities.read_database, run.target)


async def look_further(run: Run, policy: Database, read: DatabaseRead) -> Found:
    """Name the cause; with a pool in the catalog that takes a look at how big it is, and for how many tasks."""
    page, target, diagnosis = run.page, run.target, classify(read, policy)
    history = await page.read("Read what runs and what ran before", EcsActivities.read_history, target)
    if policy.pool is None or diagnosis.cause not in {Cause.LOAD, Cause.HEALTHY}:
        return Found(policy, diagnosis, history, None)
    size = await read_size(run, history)
    capacity = await page.read("Read how many tasks there are", ScalingActivities.read_capacity, target)
    pooled = Pooled(size, room_for(target, policy, policy.pool, read, capacity))
    return Found(policy, used_up(target, diagnosis, read, size, capacity), history, pooled)


async def plan_remedy(run: Run, found: Found) -> Remedy | Ending:
    """Plan the one remedy of the cause; what no program should do is a task for people."""
    target, diagnosis = run.target, found.diagnosis
    if sessions := plan_terminate(target, diagnosis):
        return sessions
    match diagnosis.cause:
        case Cause.DOWN if found.policy.rds_instance:
            return await _plan_reboot(run, diagnosis)
        case Cause.DOWN:
            return restart_database(target, diagnosis)
        case Cause.LOCKS:
            return release_lock(target, diagnosis)
        case Cause.LOAD | Cause.POOL if found.pooled:
            return await _plan_pool(run, found, found.pooled)
        case Cause.LOAD | Cause.POOL:
            return fit_pool(target, diagnosis)
        case _:
            return Ending(outcome=Outcome.INCONCLUSIVE, summary=diagnosis.left_to_person)


async def look_again(run: Run, found: Found) -> Remedy | Ending:
    """Look into the database once more, and plan what its remedy is now."""
    return await plan_remedy(run, await look_further(run, found.policy, await read_database(run)))


def no_longer(remedy: str) -> Ending:
    """End without a change, as a fresh look asks for something else than was planned."""
    summary = f"{remedy} is no longer what helps; nothing was changed. A person must check."
    return Ending(outcome=Outcome.INCONCLUSIVE, summary=summary)


async def plan_sessions_again(run: Run, found: Found, plan: TerminatePlan) -> TerminatePlan:
    """Plan the end of those sessions that are still there; ends the page where none is."""
    diagnosis = classify(await read_database(run), found.policy)
    again = plan_terminate(run.target, diagnosis, plan.sessions)
    if again is None:
        summary = f"The forgotten sessions are gone; nothing was changed: {diagnosis.summary}."
        run.page.end(Outcome.INCONCLUSIVE, f"{summary} A person must check.")
    run.page.record.planned(again)
    return again


def only_planned(run: Run, found: Found, remedy: Remedy | Ending) -> Ending:
    """End a run that was asked only for a plan."""
    if isinstance(remedy, Ending) and remedy.outcome is Outcome.REFUSED:
        return remedy
    summary = f"This procedure would change nothing: {found.diagnosis.summary}."
    if isinstance(remedy, Task):
        summary = would_ask(remedy, found.diagnosis.summary)
    if isinstance(remedy, Plan):
        run.page.record.planned(remedy)
        summary = f"{remedy.headline}: planned, nothing was changed."
    return Ending(outcome=Outcome.PLANNED, summary=summary)


async def _plan_reboot(run: Run, diagnosis: Diagnosis) -> RebootPlan | NoReboot | Task:
    """Read what RDS says of the instance, and plan its reboot if it allows one."""
    words = "Read what RDS says of the instance"
    instance = await run.page.read(words, RdsActivities.read_instance, run.target)
    plan = plan_reboot(run.target, instance, diagnosis.because)
    if isinstance(plan, NoReboot) and not plan.passes:
        return restart_database(run.target, diagnosis, plan.why)
    return plan


async def _plan_pool(run: Run, found: Found, pooled: Pooled) -> SizePlan | Task | Ending:
    """Plan a bigger pool, if the database has room for what all tasks may then ask for."""
    if found.policy.pool is None:
        return fit_pool(run.target, found.diagnosis)
    change = bigger_pool(found.policy.pool, pooled.size)
    if isinstance(change, Ending):
        return change
    if pooled.room.lacks:
        return raise_max_connections(run.target, found.diagnosis, pooled.room.lacks)
    reasons = Reasons(
        because=(*found.diagnosis.because, pooled.room.summary), needs_yes=pooled.room.needs_yes
    )
    return await plan_size(run, found.history, pooled.size, change, reasons)


async def end_sessions(run: Run, plan: TerminatePlan) -> None:
    """End exactly the sessions of the plan."""
    await run.page.change(
        f"End {len(plan.sessions)} forgotten sessions",
        DatabaseActivities.terminate_sessions,
        TerminateSessions(target=run.target, sessions=plan.sessions),
        action="pg_terminate_backend",
        before=f"{count_of(len(plan.sessions), 'session')} of {plan.application}, idle in a transaction",
        after="ended",
        undo=_sessions_stay_ended,
    )


async def reboot(run: Run, plan: RebootPlan) -> None:
    """Reboot the instance, once; after an unknown reply a reboot that is to be seen is taken for ours."""
    instance = plan.instance
    await run.page.change(
        f"Reboot {instance.name}",
        RdsActivities.reboot_instance,
        Reboot(target=run.target, was=instance),
        action="RebootDBInstance",
        before=instance.summary,
        after=f"{instance.name} rebooted",
        undo=_cannot_be_taken_back,
    )


async def await_available(run: Run, found: Found) -> None:
    """Wait until the instance is available; ends the page where it does not get there in time."""
    awaited = AwaitedInstance(target=run.target, deadline=workflow.now() + run.target.rollback.steady)
    words = f"Wait until {found.policy.rds_instance or ''} is available"
    instance = await run.page.watch(words, RdsActivities.await_instance, awaited)
    if instance.status != AVAILABLE:
        summary = f"{instance.summary}, not available in time. A person must check now."
        run.page.end(Outcome.NOT_RECOVERED, summary)


async def connect_and_measure(run: Run, found: Found, baseline: Sample, done: Done) -> Judged:
    """Connect to the database as the service does, then measure the service."""
    if refusal := await _cannot_connect(run):
        return refusal
    if done.resized and done.since:
        return await verify(run, done.resized.release, done.since, baseline)
    return await verify(run, found.history.current, workflow.now(), baseline, same_release_before=True)


async def _cannot_connect(run: Run) -> Judged | None:
    """Connect to the database as the service does; returns the verdict where that fails."""
    serves, why = await platform_of(run).connect_to_database()
    return None if serves else Judged(verdict=Verdict.NOT_RECOVERED, why=why)


async def _sessions_stay_ended() -> Undone:
    return Undone(detail="kept: a session that was ended cannot be brought back")


async def _cannot_be_taken_back() -> Undone:
    return Undone(detail="kept: a reboot cannot be taken back")


async def put_right_in_container(run: Run, running: Running, diagnosis: Diagnosis) -> Ending:
    """Give a service its database back: restart what is down, ask people for the rest."""
    page, target = run.page, run.target
    page.record.found(diagnosis.summary)
    await platform_of(run).read_recent_logs()
    before = Before(running, await measure(run, running.release))
    service = target.database.compose_service if target.database else None
    if diagnosis.cause is Cause.DOWN and service:
        return await _restart(run, diagnosis, service)
    if diagnosis.cause in {Cause.HEALTHY, Cause.UNKNOWN} or run.request.plan_only:
        outcome = Outcome.PLANNED if run.request.plan_only else Outcome.INCONCLUSIVE
        page.end(outcome, diagnosis.left_to_person)

    asking = {Cause.DOWN: restart_database, Cause.LOCKS: release_lock}.get(diagnosis.cause, fit_pool)
    task = asking(target, diagnosis)
    answer = await page.task(task, target, (RESTART,) if service else ())
    if answer == RESTART and service:
        return await _restart(run, diagnosis, service)

    run.begin(Part.VERIFY)
    look = partial(_connect_and_measure, run, workflow.now(), before)
    return await verified_or_handed_over(run, look, f"A person says that it is done ({task.what})")


async def _restart(run: Run, diagnosis: Diagnosis, service: str) -> Ending:
    services = tuple(dict.fromkeys((service, run.target.compose_service)))
    return await restart_and_verify(run, services, diagnosis.because, _verify_restarted)


async def _verify_restarted(run: Run, plan: Plan, since: datetime, baseline: Sample) -> Judged:
    if refusal := await _cannot_connect(run):
        return refusal
    return await verify_restarted(run, plan, since, baseline)


async def _connect_and_measure(run: Run, since: datetime, before: Before) -> Judged:
    if refusal := await _cannot_connect(run):
        return refusal
    now = await platform_of(run).read_running("Read what runs now")
    return await verify(run, now.release, since, before.sample, same_release_before=True)
