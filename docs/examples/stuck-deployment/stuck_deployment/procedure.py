"""The procedure as one object: what worker, command line, doctor and reviews know of it."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

from runbook_model.catalog.policies import AlertRule
from starter.paper import commands
from stuck_deployment.workflow import StuckDeployment
from workflows.procedures import Procedure

if TYPE_CHECKING:
    from runbook_model.catalog.target import Target
    from workflows.procedures.procedure import Part


def on_paper(target: Target) -> list[Part]:
    """Say what to type for a target, where there is neither Temporal nor a worker."""
    stop = commands.aws(
        target, "ecs", "stop-service-deployment", "--stop-type", "ROLLBACK", "--service-deployment-arn", "ARN"
    )
    return [
        ("Is one under way, and for how long?", (commands.list_deployments(target),)),
        ("Stop it, once. ECS puts back what ran before it.", (stop,)),
        ("Wait until only the release before it runs.", (commands.wait_for_our_deployment(target),)),
        ("Verify.", (commands.health(target), commands.error_rate(target), commands.error_logs(target))),
    ]


PROCEDURE = Procedure(
    name="stuck-deployment",
    workflow=StuckDeployment,
    page=files("stuck_deployment") / "stuck-deployment.md",
    paper=on_paper,
    alerts=(
        AlertRule(
            name="DeploymentStuck",
            severity="warning",
            respond_within=timedelta(minutes=15),
            procedure="stuck-deployment",
        ),
    ),
)
