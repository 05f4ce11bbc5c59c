"""How many tasks a service runs: by Application Auto Scaling where it manages the service, else by the desired count.

Scaling out only raises. Autoscaling moves counts between its bounds all the time, so there a moved count is not drift;
bounds that somebody else set are, and so is a count that nothing but people moves.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from temporalio import activity

from activities.ecs.tasks import describe_service
from activities.runtime.fence import decisions_acted_on, fenced, may_send, sending
from runbook_model.catalog.target import Target
from runbook_model.errors import DriftedError, NotWarrantedError, PolicyError
from runbook_model.fact import Fact
from runbook_model.releases.capacity import Capacity
from runbook_model.sizes import RestoreCapacity, ScaleOut

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling.type_defs import ScalableTargetTypeDef

    from activities.aws.clients import AwsClients

DIMENSION: Final = "ecs:service:DesiredCount"
SPENT_TAG: Final = "runbook:decisions"
"""Tag of a service that holds the newest decisions by which it was scaled out."""
SPENT_KEPT: Final = 9
"""More do not fit into a tag; older ones have expired."""


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
        service = describe_service(self._clients, target)
        found = describe_scaling(self._clients, target)
        return Capacity(
            desired=service.desired,
            running=service.running,
            deploying=service.counts if service.two_revisions else None,
            minimum=found[0]["MinCapacity"] if found else None,
            maximum=found[0]["MaxCapacity"] if found else None,
        )

    @activity.defn
    def scale_out(self, change: ScaleOut) -> Capacity:
        """Raise the capacity, once, unless somebody else changed it since the plan was made.

        What they set is not raised further, and a hold must not take it back either.
        """
        with fenced():
            now, wanted = self.read_capacity(change.target), change.was.raised_to(change.to)
            if activity.info().attempt > 1 and now.setting == wanted.setting:
                return now
            if now.setting != change.was.setting:
                raise DriftedError(
                    f"somebody else changed the capacity after the plan was made: {now.summary}; this run leaves it as it is"
                )
            _allow(change)
            self._spend(change.target)
            if wanted.minimum is None or wanted.maximum is None:
                return self._set_desired(change.target, now, wanted.desired)
            return self._set_bounds(change.target, now, wanted.minimum, wanted.maximum)

    @activity.defn
    def restore_capacity(self, change: RestoreCapacity) -> CapacityRestored:
        """Put the capacity back, unless somebody changed it since; theirs stays.

        What was before is what the scale-out's own history says, and never less than the catalog's minimum.
        """
        if change.found is None:
            return _left("no history says any more what was before; set it by hand")
        with fenced():
            ours, now = change.found.ours, self.read_capacity(change.target)
            was = change.found.was.taken_back(ours, change.target.scale.min)
            if now.managed and was.minimum is not None and was.maximum is not None:
                return self._restore_bounds(change.target, now, (was.minimum, was.maximum), ours)
            if now.managed or was.managed:
                return _left("autoscaling was set up or taken away meanwhile")
            if now.desired == was.desired:
                return CapacityRestored(done=True, detail=f"{was.desired} tasks are wanted, as before")
            if now.desired != ours.desired:
                return _left(f"{now.desired} tasks are wanted now")
            self._set_desired(change.target, now, was.desired)
            return CapacityRestored(done=True, detail=f"{was.desired} tasks are wanted again")

    def _restore_bounds(
        self, target: Target, now: Capacity, bounds: tuple[int, int], ours: Capacity
    ) -> CapacityRestored:
        if (now.minimum, now.maximum) == bounds:
            return CapacityRestored(done=True, detail="autoscaling's bounds are as they were")
        if (now.minimum, now.maximum) != (ours.minimum, ours.maximum):
            return _left(f"autoscaling is {now.minimum}-{now.maximum} now")
        self._set_bounds(target, now, *bounds)
        return CapacityRestored(done=True, detail=f"autoscaling is between {bounds[0]} and {bounds[1]} again")

    def _spend(self, target: Target) -> None:
        """Leave the ids of the signed decisions as a tag of the service: a count may come again, a yes counts once.

        Raises:
            NotWarrantedError: one of them was used for a scale-out before.
        """
        decisions = decisions_acted_on()
        if not decisions:
            return
        may_send()
        ecs, arn = self._clients.ecs(target.account), describe_service(self._clients, target).arn
        with self._clients.naming_errors(f"read the tags of {target.ecs_service}"):
            tags = ecs.list_tags_for_resource(resourceArn=arn)["tags"]
        spent = next((tag["value"].split() for tag in tags if tag["key"] == SPENT_TAG), [])
        ours = [_spent(decision) for decision in decisions]
        if activity.info().attempt > 1 and set(ours) <= set(spent):
            return  # an earlier attempt left them, and sent nothing that arrived
        used = {entry.partition(".")[0] for entry in spent}
        if any(entry.partition(".")[0] in used for entry in ours):
            raise NotWarrantedError(
                "this yes was used for a scale-out before", fix="answer the question again"
            )
        value = " ".join([*ours, *spent][:SPENT_KEPT])
        with self._clients.naming_errors(f"tag {target.ecs_service}"):
            ecs.tag_resource(resourceArn=arn, tags=[{"key": SPENT_TAG, "value": value}])

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


def _allow(change: ScaleOut) -> None:
    """Refuse what no plan of the product asks for, whoever asks.

    Raises:
        PolicyError: it is not more than there is, or more than the catalog allows.
    """
    most, has = change.target.scale.max, change.was.setting[0] or 0
    if not has < change.to <= most:
        raise PolicyError(
            f"{change.target.key} is not scaled from {has} to {change.to} tasks: only to more, and to {most} at most",
            fix="correct scale.max in the catalog, or start the procedure again",
            certainly_not_made=True,
        )


def _spent(decision: str) -> str:
    """Name a decision and the change that it was spent on, in characters that AWS takes."""
    when = round(activity.info().scheduled_time.timestamp())
    return f"{hashlib.sha256(decision.encode()).hexdigest()[:16]}.{when}"


def _left(why: str) -> CapacityRestored:
    return CapacityRestored(done=False, detail=f"not changed: {why}")


def describe_scaling(clients: AwsClients, target: Target) -> list[ScalableTargetTypeDef]:
    """Read how autoscaling manages the service; empty where it does not."""
    with clients.naming_errors("describe the service's autoscaling"):
        return clients.autoscaling(target.account).describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=[_resource(target)], ScalableDimension=DIMENSION
        )["ScalableTargets"]


def _resource(target: Target) -> str:
    return f"service/{target.cluster}/{target.ecs_service}"
