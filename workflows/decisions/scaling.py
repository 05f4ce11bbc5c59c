"""How many more tasks, and by which call. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.durations import format_duration
from activities.scaling import Capacity
from workflows.messages import Ending, Outcome, Plan, PlannedCall

if TYPE_CHECKING:
    from activities.catalog import Target


class ScalePlan(Plan):
    """How a service is scaled out, for a while."""

    was: Capacity
    to: int


def plan_scale_out(
    target: Target, capacity: Capacity, wanted: int, because: tuple[str, ...]
) -> ScalePlan | Ending:
    """Decide on more tasks, up to the catalog's maximum; a service that has them already needs none."""
    to = min(wanted, target.scale.max)
    enough = capacity.minimum if capacity.minimum is not None else capacity.desired
    if enough >= to:
        summary = (
            f"{target.key} has {capacity.desired} tasks already: scaling out to {to} would change nothing."
        )
        return Ending(outcome=Outcome.INCONCLUSIVE, summary=f"{summary} A person must look.")
    hold = format_duration(target.scale.hold)
    was = f"{capacity.minimum}-{capacity.maximum}" if capacity.managed else str(capacity.desired)
    return ScalePlan(
        headline=f"Scale {target.service} in {target.environment} out from {was} to {to} tasks for {hold}",
        calls=(_call(target, capacity, to),),
        because=because,
        not_restored=("The cause of the load stays; this buys time.",),
        afterwards=(f"After {hold} it is taken back, where it still is as we set it.",),
        # The counts themselves are left out: autoscaling moves them, and that is not another plan.
        essence=f"bounds {capacity.minimum}-{capacity.maximum}",
        was=capacity,
        to=to,
    )


def _call(target: Target, capacity: Capacity, to: int) -> PlannedCall:
    if capacity.maximum is None:
        parameters = {"cluster": target.cluster, "service": target.ecs_service, "desiredCount": to}
        return PlannedCall(service="ecs", action="UpdateService", parameters=parameters)
    resource = f"service/{target.cluster}/{target.ecs_service}"
    bounds = {"MinCapacity": to, "MaxCapacity": max(to, capacity.maximum)}
    return PlannedCall(
        service="application-autoscaling",
        action="RegisterScalableTarget",
        parameters={"ResourceId": resource, **bounds},
    )
