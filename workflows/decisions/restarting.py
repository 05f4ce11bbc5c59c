"""How a service is restarted: fresh tasks of what runs. Pure."""

from __future__ import annotations

from runbook_model import calls
from runbook_model.catalog.catalog import Target
from runbook_model.plans import Plan
from runbook_model.release import Fence, Release, ReleaseHistory
from runbook_model.reports import Ending, Problem
from workflows.decisions.rollback.plan import may_bring_another_image
from workflows.decisions.rollback.releases import cannot_roll, refuse


class RestartPlan(Plan):
    """How a service is restarted."""

    before: Release
    after: Release
    fence: Fence


def plan_restart(target: Target, history: ReleaseHistory, because: tuple[str, ...]) -> RestartPlan | Ending:
    """Plan to force a new deployment of what runs; a deployment under way is never fought."""
    if problem := cannot_deploy(history):
        return refuse(problem)
    return RestartPlan(
        headline=f"Restart {target.service} in {target.environment} on {history.current.name}",
        calls=(calls.force(target),),
        before=history.current,
        after=history.current,
        because=because,
        not_restored=(
            "The cause is not fixed; fresh tasks may fail again.",
            *may_bring_another_image(history),
        ),
        fence=history.service.fence,
    )


def cannot_deploy(history: ReleaseHistory) -> Problem | None:
    """Say why nothing can be deployed now: no rolling deployments, or one that is under way."""
    latest = history.latest
    if latest and latest.status not in {"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}:
        under_way = Problem(
            kind="policy",
            message=f"{latest.release.name} is being deployed",
            fix="wait for its end, or roll back",
        )
    else:
        under_way = None
    return cannot_roll(history.service) or under_way
