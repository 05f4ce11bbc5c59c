"""Deployments of a service on ECS: wait until one is steady, hand over one that is not, undo one, and mark releases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.ecs.activities import EcsActivities
from activities.ecs.changes import EcsChanges
from activities.ecs.orders import Deployed, DeployRelease, ForceDeployment, MarkRelease
from activities.ecs.waits import Waits
from runbook_model.releases.release import ROLLING_BACK, Fence, Judgement, Mark, Release
from runbook_model.releases.rollout import Awaited, Phase, Rollout
from runbook_model.reports import Ending, Outcome, Undone, not_undone
from runbook_model.text.sentences import sentence
from workflows.decisions.rollback.plan import moved_tag
from workflows.page.run import Run

OF_TROUBLE = ("unable", "unhealthy", "fail")
"""An event of ECS that says one of these says what is wrong; the others say what it did."""
NOT_MADE = Undone(detail="nothing to undo: the change was not made")


async def force_deployment(
    run: Run, release: Release, fence: Fence, undo: Callable[[], Awaitable[Undone]] | None = None
) -> Deployed:
    """Start fresh tasks of the release that runs; without an undo they stay."""
    return await run.page.change(
        f"Force a new deployment of {release.name}",
        EcsChanges.force_deployment,
        ForceDeployment(target=run.target, fence=fence),
        action="UpdateService",
        before=release.name,
        after=f"{release.name}, fresh tasks",
        undo=undo or _fresh_tasks_stay,
    )


async def _fresh_tasks_stay() -> Undone:
    return Undone(detail="nothing to undo: fresh tasks of the same release run")


async def await_steady(run: Run, words: str, deployed: Deployed) -> Rollout:
    """Wait until our deployment is all that runs, or is known not to get there."""
    awaited = Awaited(
        target=run.target,
        deployment=deployed.deployment,
        task_definition=deployed.task_definition,
        service_deployment=deployed.service_deployment,
        deadline=workflow.now() + run.target.rollback.steady,
    )
    return await run.page.watch(words, Waits.await_steady_state, awaited)


async def await_own_rollback(run: Run, words: str, service_deployment: str | None) -> Rollout:
    """Wait until ECS has rolled a service deployment back."""
    awaited = Awaited(
        target=run.target,
        kind="rollback",
        service_deployment=service_deployment,
        until="end",
        deadline=workflow.now() + run.target.rollback.steady,
    )
    return await run.page.watch(words, Waits.await_steady_state, awaited)


async def hand_over(run: Run, rollout: Rollout) -> Ending:
    """End without recovery, with everything that a person needs to continue."""
    why = await run.page.read("Read why tasks stopped", EcsActivities.explain_rollout, run.target)
    said = [item.rstrip(".") for item in (*why.stopped[:3], *why.events[:2])]
    causes = "; ".join(said) or "ECS names no cause"
    outcome = Outcome.SUPERSEDED if rollout.phase is Phase.SUPERSEDED else Outcome.NOT_RECOVERED
    summary = f"Not recovered: {rollout.detail.rstrip('.')}. {causes}. A person must check now."
    return Ending(outcome=outcome, summary=summary)


async def undo_stop(run: Run, stopped: str, before: Release, landing: Release) -> Undone:
    """Deploy again what was stopped, once ECS has put back what ran before it."""
    words = "Read the result of the deployment"
    history = await run.page.read(words, EcsActivities.read_history, run.target)
    found = next((deployment for deployment in history.deployments if deployment.arn == stopped), None)
    if found and found.under_way:
        return NOT_MADE
    if found and found.status in ROLLING_BACK:
        await await_own_rollback(run, "Wait until ECS has finished the deployment's rollback", stopped)
    return await undo_release(run, None, before, landing)


async def undo_release(run: Run, fence: Fence | None, before: Release, ours: Release) -> Undone:
    """Put back what ran before, from a fresh reading; somebody else's deployment is left alone."""
    service = await run.page.read("Read what runs now", EcsActivities.read_service, run.target)
    if service.fence == fence:
        return NOT_MADE
    if service.task_definition == before.task_definition:
        return Undone(detail=f"nothing to undo: {before.revision} runs already")
    if service.task_definition != ours.task_definition:
        return not_undone(f"{service.task_definition.rpartition('/')[2]} was deployed meanwhile")
    back = DeployRelease(target=run.target, release=before, fence=service.fence)
    deployed = await run.page.restore(f"Put {before.name} back", EcsChanges.deploy_release, back)
    return await await_undone(run, deployed)


async def await_undone(run: Run, deployed: Deployed) -> Undone:
    """Wait for the deployment that an undo made; where it did not come up, say what stands in its way."""
    try:
        rollout = await await_steady(run, "Wait until it runs again", deployed)
    except (asyncio.CancelledError, ActivityError):
        if not run.page.orders.undo_stop:
            raise
        return not_undone(f"stopped before it ran again{await _in_the_way(run)}")
    if rollout.phase is Phase.STEADY:
        return Undone()
    return not_undone(f"{rollout.detail.rstrip('.')}{await _in_the_way(run)}")


async def _in_the_way(run: Run) -> str:
    why = await run.page.last_look("Read why it does not run", EcsActivities.explain_rollout, run.target)
    troubles = [event for event in why.events if any(word in event for word in OF_TROUBLE)] if why else []
    causes = "; ".join(said.rstrip(".") for said in (*why.stopped[:2], *troubles[:1])) if why else ""
    return f": {causes}" if causes else ""


async def unless_replaced(run: Run, release: Release, ending: Ending) -> Ending:
    """Look once more that what recovered is what runs, for readings do not distinguish releases everywhere.

    Returns:
        the ending, which says so where the release's tag was moved; another one where somebody deployed over the release
        while it was verified.
    """
    if ending.verdict is None:
        return ending
    history = await run.page.read("Check that it still runs", EcsActivities.read_history, run.target)
    now = history.current
    if ending.outcome is Outcome.RECOVERED and now.task_definition != release.task_definition:
        summary = f"{release.revision} was steady, but {now.revision} was deployed over it meanwhile. This run does not touch it."
        return Ending(outcome=Outcome.SUPERSEDED, summary=summary)
    return also_said(ending, moved_tag(release, now))


def also_said(ending: Ending, more: str | None) -> Ending:
    """Return an ending whose summary says one thing more, if there is one."""
    if more is None:
        return ending
    return ending.model_copy(update={"summary": f"{sentence(ending.summary)} {more}"})


async def mark(run: Run, release: Release, judgement: Judgement, *, registered: bool = False) -> None:
    """Write into the ledger what was found out about a release."""
    entry = Mark(
        verdict=judgement,
        digest=release.fingerprint,
        source=workflow.info().workflow_id,
        at=workflow.now(),
    )
    change = MarkRelease(target=run.target, release=release, mark=entry, registered=registered)
    await run.page.note(f"Mark {release.revision} {judgement}", EcsChanges.mark_release, change)
