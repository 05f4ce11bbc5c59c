"""A whole deployment of the same release, where deployments shift traffic: fresh tasks, or bigger ones.

It goes the way of a rollback's update: it has arrived once it has all traffic, is verified from then on, is followed through its
bake time, and is undone by a stop while the old tasks run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.ecs.activities import EcsActivities
from runbook_model.releases.rollout import Phase, Rollout
from runbook_model.reports import Ending, Outcome, Undone
from workflows.decisions.rollback.plan import RollbackPlan, moved_tag
from workflows.decisions.rollback.shifting import still_serves
from workflows.decisions.scaling import RestartPlan
from workflows.page.run import Run
from workflows.platforms.deployment import also_said, force_deployment, hand_over
from workflows.platforms.shifting import await_end, still_under_way, undo_shift

if TYPE_CHECKING:
    from activities.ecs.orders import Deployed


async def restart_whole(run: Run, plan: RestartPlan) -> Deployed:
    """Start a deployment of fresh tasks, which a stop undoes while the old ones run."""
    made: list[Deployed] = []

    async def undo() -> Undone:
        return await undo_shift(run, plan, plan.after, made[0] if made else None)

    made.append(await force_deployment(run, plan.before, plan.fence, undo))
    return made[0]


async def follow(
    run: Run, plan: RollbackPlan, deployed: Deployed, arrived: Rollout | None, ending: Ending
) -> Ending:
    """Look whether what was verified still has the traffic, and follow its deployment to the end.

    Returns:
        the ending, which says what is still under way and whether a tag was moved; another one where the deployment was taken
        back or deployed over.
    """
    if ending.verdict is None or arrived is None:
        return ending
    history = await run.page.read("Check that it still runs", EcsActivities.read_history, run.target)
    runs = still_serves(history, arrived.service_deployment, plan)
    if isinstance(runs, Ending):
        return runs
    ending = also_said(ending, moved_tag(plan.before, runs))
    if ending.outcome is not Outcome.RECOVERED:
        return ending
    ended = await await_end(run, plan, deployed, arrived)
    if ended.phase in {Phase.FAILED, Phase.SUPERSEDED}:
        return await hand_over(run, ended)
    return also_said(ending, still_under_way(plan) if ended.phase is Phase.STUCK else None)
