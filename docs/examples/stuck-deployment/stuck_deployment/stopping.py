"""Whether a deployment is stuck, and what stopping it means. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model import calls
from runbook_model.plans import DAY, Follow, Plan, PlannedCall
from runbook_model.releases.release import Fence, Release
from runbook_model.reports import Ending, Outcome, Task
from runbook_model.text.durations import format_duration
from workflows.decisions.rollback.releases import cannot_roll, refuse, refused

if TYPE_CHECKING:
    from runbook_model.catalog.target import Target
    from runbook_model.releases.history import ReleaseHistory


class StopPlan(Plan):
    """How a deployment is stopped."""

    before: Release
    """The release that does not arrive."""
    after: Release
    """The one that ECS puts back."""
    fence: Fence
    stops: str
    """ARN of the service deployment."""


def plan_stop(target: Target, history: ReleaseHistory) -> StopPlan | Ending:
    """Plan to stop the deployment under way, if it has had its time and lands on a release that is not bad."""
    if problem := cannot_roll(history.service):
        return refuse(problem)
    stuck = history.latest
    if stuck is None or not stuck.under_way:
        return Ending(outcome=Outcome.NOT_NEEDED, summary=f"No deployment of {target.key} is under way.")
    since = history.service.read_at - stuck.created_at
    if since < target.rollback.steady:
        patience = f"{format_duration(since)} of {format_duration(target.rollback.steady)}"
        return refused("policy", f"{stuck.release.name} has been under way for {patience}", "let it arrive")
    landing = history.releases.get(stuck.sources[0]) if len(stuck.sources) == 1 else None
    if landing is None or landing.is_bad:
        return refused(
            "policy", "it would land on no release that is known, or on a bad one", "roll back instead"
        )
    return StopPlan(
        headline=f"Stop the deployment of {stuck.release.name}; {landing.name} runs again",
        calls=(
            PlannedCall(
                service="ecs",
                action="StopServiceDeployment",
                parameters={"serviceDeploymentArn": stuck.arn, "stopType": "ROLLBACK"},
            ),
        ),
        before=stuck.release,
        after=landing,
        follows=(
            Follow(
                kind="undo",
                what=f"Deploy {stuck.release.name} again where somebody aborts and undoes",
                calls=(calls.deploy(target, stuck.release),),
                within=DAY,
            ),
        ),
        because=(f"it has been under way for {format_duration(since)}",),
        fence=history.service.fence,
        stops=stuck.arn,
    )


def find_out_why(plan: StopPlan) -> Task:
    """Leave it to people to find out why a release does not arrive."""
    return Task(
        what=f"Find out why {plan.before.name} did not arrive", kind="long-term", why="; ".join(plan.because)
    )
