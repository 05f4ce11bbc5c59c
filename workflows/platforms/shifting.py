"""Deployments on ECS that shift traffic: wait until it has arrived, follow them to their end, and undo one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.ecs.activities import EcsActivities
from activities.ecs.changes import EcsChanges
from activities.ecs.configuring import EcsConfiguration, PutSettingsBack
from activities.ecs.orders import Deployed, StopDeployment
from activities.ecs.pausing import ContinueDeployment, EcsPauses
from activities.ecs.waits import Waits
from runbook_model.releases.history import ReleaseHistory, ServiceDeployment
from runbook_model.releases.release import ROLLING_BACK, Release
from runbook_model.releases.rollout import Awaited, Phase, Rollout
from runbook_model.releases.shifting import WaitingHook
from runbook_model.reports import Outcome, Task, Undone, not_undone
from runbook_model.text.durations import format_duration
from workflows.decisions.endings import problem_of
from workflows.decisions.rollback.choices import not_put_back
from workflows.decisions.rollback.plan import RollbackPlan
from workflows.decisions.rollback.shifting import FOLLOWED, paused_at
from workflows.page.run import Run
from workflows.platforms.deployment import NOT_MADE, hand_over, undo_release

R = TypeVar("R")


async def await_traffic(run: Run, plan: RollbackPlan, deployed: Deployed) -> Rollout:
    """Wait until all production traffic is on the release that is put back, or is known not to get there."""
    words = f"Wait until {plan.after.name} has all traffic"
    deadline = workflow.now() + run.target.rollback.steady
    if plan.way == "stop":
        return await run.page.watch(words, Waits.await_steady_state, _rollback(run, plan.stops, deadline))
    return await _watch_ours(run, plan, words, _deployment(run, deployed, deadline))


async def _watch_ours(run: Run, plan: RollbackPlan, words: str, awaited: Awaited) -> Rollout:
    """Watch a deployment of our own; people hear at once of each pause hook that it waits at."""
    awaited = awaited.model_copy(update={"announced": awaited.announced or ()})
    while True:
        rollout = await run.page.watch(words, Waits.await_steady_state, awaited)
        if rollout.phase is not Phase.PAUSED:
            return rollout
        for hook in rollout.paused:
            await _answer(run, plan, rollout, hook, awaited.task_definition)
        known = (*rollout.announced, *(hook.id for hook in rollout.paused))
        awaited = awaited.model_copy(
            update={"announced": known, "service_deployment": rollout.service_deployment}
        )


async def _answer(
    run: Run, plan: RollbackPlan, rollout: Rollout, hook: WaitingHook, task_definition: str
) -> None:
    """Continue at a pause hook where the yes says so; otherwise, or where that fails, people hear how to answer it."""
    failed = None
    if plan.answers_pauses and rollout.service_deployment:
        change = ContinueDeployment(
            target=run.target,
            service_deployment=rollout.service_deployment,
            hook=hook.id,
            brings=plan.after.model_copy(update={"task_definition": task_definition}),
            registered=plan.way == "register",
            planned_on=plan.fence,
        )
        try:
            await run.page.change(
                f"Continue at the pause hook of {rollout.stage or 'the deployment'}",
                EcsPauses.continue_deployment,
                change,
                action="ContinueServiceDeployment",
                before=f"paused at {rollout.stage or hook.id}",
                after="continued",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            failed = problem_of(error)
        else:
            return
    text = paused_at(run.target, plan, rollout, hook, failed)
    run.page.announce(text, "Announce that the rollback is paused")


def settling(run: Run, plan: RollbackPlan) -> Callable[[], Awaitable[str | None]] | None:
    """Return what puts the deployment configuration back however the run ends; None where it is not changed."""
    settings = plan.settings
    if settings is None:
        return None

    async def settle() -> str | None:
        problem = await run.page.follow_up(
            "Put the deployment configuration back",
            EcsConfiguration.put_settings_back,
            PutSettingsBack(target=run.target, settings=settings),
            action="UpdateService",
            before=settings.words(quick=True),
            after=settings.words(quick=False),
        )
        if problem is None:
            return None
        left = not_put_back(settings, problem)
        run.page.add_follow_up(Task(what="Put the deployment configuration back", kind="immediate", why=left))
        return left

    return settle


async def await_end(run: Run, plan: RollbackPlan, deployed: Deployed, rollout: Rollout) -> Rollout:
    """Follow the deployment to its end: the bake time, or the end of the release that was taken back."""
    words = f"Follow the deployment of {plan.after.name} to its end"
    end: dict[str, object] = {"until": "end", "service_deployment": rollout.service_deployment}
    deadline = workflow.now() + run.target.rollback.steady
    if plan.way == "stop":
        stopped = _rollback(run, plan.stops, deadline).model_copy(update=end)
        return await run.page.watch(words, Waits.await_steady_state, stopped)
    bake = timedelta(minutes=plan.shifting.bake_minutes if plan.shifting else 0)
    ours = _deployment(run, deployed, deadline + min(bake, FOLLOWED))
    known = {**end, "announced": rollout.announced}
    return await _watch_ours(run, plan, words, ours.model_copy(update=known))


def still_under_way(plan: RollbackPlan) -> str:
    """Say that a deployment had not ended when the run did."""
    if plan.way == "stop":
        return "ECS still ends the tasks of the release that was taken back."
    bake = timedelta(minutes=plan.shifting.bake_minutes if plan.shifting else 0)
    return f"The deployment had not ended yet (its bake time is {format_duration(bake)}): ECS may still take it back."


async def read_once_ended(run: Run, latest: ServiceDeployment) -> ReleaseHistory:
    """Wait for the end of what is rolled back, or can no longer be stopped quickly, and read what runs then."""
    page, target = run.page, run.target
    rolls_back = latest.status in ROLLING_BACK
    if run.request.plan_only:
        doing = "is rolling back" if rolls_back else "ends the old tasks after deploying"
        said = f"ECS {doing} {latest.release.name}: a rollback would wait for the end and look again."
        page.end(Outcome.PLANNED, said)
    deadline = workflow.now() + target.rollback.steady
    awaited = Awaited(
        target=target,
        kind="rollback" if rolls_back else "deployment",
        service_deployment=latest.arn,
        until="end",
        deadline=deadline,
    )
    words = "Let ECS finish its own rollback" if rolls_back else "Let ECS end the old tasks"
    rollout = await page.watch(words, Waits.await_steady_state, awaited)
    if rollout.phase in {Phase.STUCK, Phase.SUPERSEDED}:
        page.unless_ending(await hand_over(run, rollout))
    return await page.read("Read what runs after it", EcsActivities.read_history, target)


async def unless_ended(stop: Awaitable[R]) -> R | None:
    """Return what a stop came to; None where the deployment was past it, and nothing was sent."""
    try:
        return await stop
    except ActivityError as error:
        if problem_of(error).kind == "EndedError":
            return None
        raise


async def undo_shift(run: Run, plan: RollbackPlan, ours: Release, made: Deployed | None = None) -> Undone:
    """Take an update back: a stop while its old tasks run, else another update; somebody else's is left alone.

    Args:
        run: whose update it is.
        plan: what it was planned as.
        ours: the release that it brings.
        made: the deployment that it came to, where another one of the same release may have been started since.
    """
    page, registered = run.page, plan.way == "register"
    words = "Read how far the deployment is"
    history = await page.read(words, EcsActivities.read_history, run.target)
    latest = history.latest
    if history.service.fence == plan.fence:
        return NOT_MADE
    if latest is None or latest.release.task_definition != ours.task_definition:
        return not_undone("another release was deployed meanwhile")
    if made and made.service_deployment not in {None, latest.arn}:
        return not_undone("another deployment was started meanwhile")
    if latest.under_way and not latest.cleaning_up:
        stop = StopDeployment(
            target=run.target,
            service_deployment=latest.arn,
            fence=history.service.fence,
            brings=ours,
            registered=registered,
        )
        what = f"Stop the deployment of {ours.name}: ECS puts {plan.before.name} back"
        if await unless_ended(page.restore(what, EcsChanges.stop_deployment, stop)):
            return await _await_back(run, latest.arn)
    elif latest.status in ROLLING_BACK:
        return await _await_back(run, latest.arn)
    if latest.under_way:
        deadline = workflow.now() + run.target.rollback.steady
        end = Awaited(target=run.target, service_deployment=latest.arn, until="end", deadline=deadline)
        await page.watch("Let ECS end the old tasks", Waits.await_steady_state, end)
    return await undo_release(run, plan.fence, plan.before, ours)


async def _await_back(run: Run, service_deployment: str) -> Undone:
    awaited = _rollback(run, service_deployment, workflow.now() + run.target.rollback.steady)
    words = "Wait until the traffic is back"
    rollout = await run.page.watch(words, Waits.await_steady_state, awaited)
    return Undone() if rollout.phase is Phase.STEADY else not_undone(rollout.detail.rstrip("."))


def _rollback(run: Run, service_deployment: str | None, deadline: datetime) -> Awaited:
    return Awaited(
        target=run.target, kind="rollback", service_deployment=service_deployment, deadline=deadline
    )


def _deployment(run: Run, deployed: Deployed, deadline: datetime) -> Awaited:
    return Awaited(
        target=run.target,
        deployment=deployed.deployment,
        task_definition=deployed.task_definition,
        service_deployment=deployed.service_deployment,
        replaces=deployed.replaces,
        deadline=deadline,
    )
