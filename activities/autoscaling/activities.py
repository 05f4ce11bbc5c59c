"""How many tasks a service runs: by Application Auto Scaling where it manages the service, else by the desired count.

Scaling out only raises. Autoscaling moves counts between its bounds all the time, so there a moved count is not drift;
bounds that somebody else set are, and so is a count that nothing but people moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from temporalio import activity

from activities.ecs.activities import describe_service
from activities.runtime.fence import fenced, sending
from runbook_model.catalog.catalog import Target
from runbook_model.errors import DriftedError
from runbook_model.fact import Fact
from runbook_model.sizes import Capacity

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling.type_defs import ScalableTargetTypeDef

    from activities.aws.clients import AwsClients

DIMENSION: Final = "ecs:service:DesiredCount"


class ScaleOut(Fact):
    """Raise a service to this many tasks."""

    target: Target
    was: Capacity
    """As it was when the plan was made."""
    to: int


class RestoreCapacity(Fact):
    """Put the capacity back as it was, where it still is as we made it."""

    target: Target
    was: Capacity
    ours: Capacity


class CapacityRestored(Fact):
    """What came of it."""

    done: bool
    detail: str

    @property
    def summary(self) -> str:
        """What a person reads of it."""
        return self.detail


class ScalingActivities:
    """Reads and changes capacity."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    @activity.defn
    def read_capacity(self, target: Target) -> Capacity:
        """Read the counts and, where autoscaling manages the service, its bounds."""
        return self._capacity(target)

    @activity.defn
    def scale_out(self, change: ScaleOut) -> Capacity:
        """Raise the capacity, once, unless somebody else changed it since the plan was made.

        What they set is not raised further, and a hold must not take it back either.
        """
        with fenced():
            now, wanted = self._capacity(change.target), change.was.raised_to(change.to)
            if activity.info().attempt > 1 and now.setting == wanted.setting:
                return now
            if now.setting != change.was.setting:
                raise DriftedError(
                    f"somebody else changed the capacity after the plan was made: {now.summary}; this run leaves it as it is"
                )
            if wanted.minimum is None or wanted.maximum is None:
                return self._set_desired(change.target, now, wanted.desired)
            return self._set_bounds(change.target, now, wanted.minimum, wanted.maximum)

    @activity.defn
    def restore_capacity(self, change: RestoreCapacity) -> CapacityRestored:
        """Put the capacity back, unless somebody changed it since; theirs stays."""
        with fenced():
            was, now = change.was, self._capacity(change.target)
            if now.managed and was.minimum is not None and was.maximum is not None:
                if (now.minimum, now.maximum) == (was.minimum, was.maximum):
                    return CapacityRestored(done=True, detail="autoscaling's bounds are as they were")
                if (now.minimum, now.maximum) != (change.ours.minimum, change.ours.maximum):
                    return CapacityRestored(
                        done=False, detail=f"not changed: autoscaling is {now.minimum}-{now.maximum} now"
                    )
                self._set_bounds(change.target, now, was.minimum, was.maximum)
                return CapacityRestored(
                    done=True, detail=f"autoscaling is between {was.minimum} and {was.maximum} again"
                )
            if now.managed or was.managed:
                return CapacityRestored(
                    done=False, detail="not changed: autoscaling was set up or taken away meanwhile"
                )
            if now.desired == was.desired:
                return CapacityRestored(done=True, detail=f"{was.desired} tasks are wanted, as before")
            if now.desired != change.ours.desired:
                return CapacityRestored(done=False, detail=f"not changed: {now.desired} tasks are wanted now")
            self._set_desired(change.target, now, was.desired)
            return CapacityRestored(done=True, detail=f"{was.desired} tasks are wanted again")

    def _capacity(self, target: Target) -> Capacity:
        service = describe_service(self._clients, target)
        found = describe_scaling(self._clients, target)
        return Capacity(
            desired=service.desired,
            running=service.running,
            minimum=found[0]["MinCapacity"] if found else None,
            maximum=found[0]["MaxCapacity"] if found else None,
        )

    def _set_desired(self, target: Target, now: Capacity, count: int) -> Capacity:
        ecs = self._clients.ecs(target.account)
        with sending(), self._clients.naming_errors(f"set the desired count of {target.ecs_service}"):
            ecs.update_service(cluster=target.cluster, service=target.ecs_service, desiredCount=count)
        return now.model_copy(update={"desired": count})

    def _set_bounds(self, target: Target, now: Capacity, minimum: int, maximum: int) -> Capacity:
        autoscaling = self._clients.autoscaling(target.account)
        with sending(), self._clients.naming_errors(f"set the autoscaling of {target.ecs_service}"):
            autoscaling.register_scalable_target(
                ServiceNamespace="ecs",
                ResourceId=_resource(target),
                ScalableDimension=DIMENSION,
                MinCapacity=minimum,
                MaxCapacity=maximum,
            )
        desired = min(max(now.desired, minimum), maximum)
        return now.model_copy(update={"desired": desired, "minimum": minimum, "maximum": maximum})


def describe_scaling(clients: AwsClients, target: Target) -> list[ScalableTargetTypeDef]:
    """Read how autoscaling manages the service; empty where it does not."""
    with clients.naming_errors("describe the service's autoscaling"):
        return clients.autoscaling(target.account).describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=[_resource(target)], ScalableDimension=DIMENSION
        )["ScalableTargets"]


def _resource(target: Target) -> str:
    return f"service/{target.cluster}/{target.ecs_service}"
