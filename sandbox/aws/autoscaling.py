"""Simulated Application Auto Scaling for ECS services: bounds that hold at once, policies that are kept."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.ecs import SimulatedEcs
from sandbox.ecs.names import ApiError, Fields, Names
from sandbox.ecs.protocol import checked, operation, page

Key = tuple[str, str, str]
"""Service namespace, resource id and scalable dimension."""

_KEY_MEMBERS = ("ServiceNamespace", "ResourceId", "ScalableDimension")

_SUSPENDABLE = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")

_ROLE = (
    "arn:aws:iam::{account}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_ECSService"
)


def key_of(parameters: Fields) -> Key:
    """Return the key that a request's members name."""
    namespace, resource, dimension = (str(parameters[member]) for member in _KEY_MEMBERS)
    return namespace, resource, dimension


@dataclass
class ScalableTarget:
    """What is registered for one service."""

    key: Key
    arn: str
    role: str
    minimum: int = 0
    maximum: int = 0
    created_at: float = field(default_factory=time.time)
    suspended: Fields = field(default_factory=lambda: dict.fromkeys(_SUSPENDABLE, False))
    tags: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Fields] = field(default_factory=dict)
    activities: list[Fields] = field(default_factory=list)
    """The newest first."""

    @classmethod
    def new(cls, key: Key, names: Names) -> ScalableTarget:
        """Return a target with an ARN of its own."""
        scope = f"arn:aws:application-autoscaling:{names.region}:{names.account}"
        return cls(key, f"{scope}:scalable-target/{uuid.uuid4().hex}", _ROLE.format(account=names.account))

    @property
    def _key_fields(self) -> Fields:
        return dict(zip(_KEY_MEMBERS, self.key, strict=True))

    def fields(self) -> Fields:
        """Return a ``ScalableTarget``."""
        return self._key_fields | {
            "MinCapacity": self.minimum,
            "MaxCapacity": self.maximum,
            "RoleARN": self.role,
            "CreationTime": self.created_at,
            "SuspendedState": self.suspended,
            "ScalableTargetARN": self.arn,
        }

    def put_policy(self, parameters: Fields) -> str:
        """Add or replace a policy and return its ARN."""
        name = parameters["PolicyName"]
        old = self.policies.get(name, {})
        scope, _, target_id = self.arn.partition(":scalable-target/")
        policy = {
            "PolicyARN": f"{scope}:scalingPolicy:{target_id}:policyName/{name}",
            "PolicyName": name,
            "PolicyType": parameters.get("PolicyType", old.get("PolicyType", "StepScaling")),
            "Alarms": [],
            "CreationTime": old.get("CreationTime", time.time()),
        }
        settings = {key: value for key, value in parameters.items() if key.endswith("Configuration")}
        self.policies[name] = self._key_fields | settings | policy
        return str(policy["PolicyARN"])

    def note_change(self, count: int) -> None:
        """Remember that the desired count was brought into the bounds."""
        now = time.time()
        activity = {
            "ActivityId": str(uuid.uuid4()),
            "Description": f"Setting desired count to {count}.",
            "Cause": "the current capacity was outside of the minimum and maximum capacity",
            "StartTime": now,
            "EndTime": now,
            "StatusCode": "Successful",
            "StatusMessage": f"Successfully set desired count to {count}. Change successfully fulfilled by ecs.",
        }
        self.activities.insert(0, self._key_fields | activity)


SERVICE = "application-autoscaling"


class SimulatedAutoscaling:
    """Scalable targets and their policies. Nothing here measures: policies are stored, bounds are enforced."""

    def __init__(self, ecs: SimulatedEcs) -> None:
        self._ecs = ecs
        self._targets: dict[Key, ScalableTarget] = {}
        self._actions: dict[str, Callable[[Fields], Fields]] = {
            "DescribeScalableTargets": self._describe_targets,
            "DeregisterScalableTarget": self._deregister,
            "PutScalingPolicy": self._put_policy,
            "DescribeScalingPolicies": self._describe_policies,
            "DeleteScalingPolicy": self._delete_policy,
            "DescribeScalingActivities": self._describe_activities,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    async def call(self, action: str, parameters: Fields) -> Fields:
        """Do one action of the Application Auto Scaling API.

        Raises:
            ApiError: what AWS would refuse it with.
        """
        if operation(SERVICE, action) is None:
            raise ApiError("UnknownOperationException", f"Application Auto Scaling has no action {action}.")
        cleaned = checked(SERVICE, action, parameters)
        if action == "RegisterScalableTarget":
            return await self._register(cleaned)
        if action not in self._actions:
            raise _invalid(f"{action} is not part of the simulated Application Auto Scaling.")
        return self._actions[action](cleaned)

    async def _register(self, parameters: Fields) -> Fields:
        key = key_of(parameters)
        current = await self._desired_count(key)
        target = self._targets.get(key)
        minimum = parameters.get("MinCapacity", target.minimum if target else None)
        maximum = parameters.get("MaxCapacity", target.maximum if target else None)
        if minimum is None or maximum is None:
            raise _invalid("MinCapacity and MaxCapacity must be given for a new scalable target.")
        if not 0 <= minimum <= maximum:
            raise _invalid(
                "Maximum capacity cannot be less than minimum capacity, and neither can be negative."
            )
        if target is None:
            target = self._targets[key] = ScalableTarget.new(key, self._ecs.names)
        target.minimum, target.maximum = minimum, maximum
        target.role = parameters.get("RoleARN", target.role)
        target.suspended |= parameters.get("SuspendedState", {})
        target.tags |= parameters.get("Tags", {})
        within = min(max(current, minimum), maximum)
        if within != current:
            await self._set_desired_count(target, within)
        return {"ScalableTargetARN": target.arn}

    async def _desired_count(self, key: Key) -> int:
        namespace, resource, dimension = key
        parts = resource.split("/")
        if namespace != "ecs" or dimension != "ecs:service:DesiredCount" or len(parts) != 3:
            raise _invalid(
                "The sandbox scales ECS services only: service/<cluster>/<service>, ecs:service:DesiredCount."
            )
        try:
            answer = await self._ecs.call("DescribeServices", {"cluster": parts[1], "services": [parts[2]]})
        except ApiError as error:
            raise _invalid(f"ECS service doesn't exist: {resource}") from error
        active = [service for service in answer["services"] if service["status"] == "ACTIVE"]
        if not active:
            raise _invalid(f"ECS service doesn't exist: {resource}")
        return int(active[0]["desiredCount"])

    async def _set_desired_count(self, target: ScalableTarget, count: int) -> None:
        _, cluster, service = target.key[1].split("/")
        await self._ecs.call("UpdateService", {"cluster": cluster, "service": service, "desiredCount": count})
        target.note_change(count)

    def _target(self, parameters: Fields) -> ScalableTarget:
        key = key_of(parameters)
        if key not in self._targets:
            raise ApiError(
                "ObjectNotFoundException",
                f"No scalable target registered for service namespace: {key[0]}, resource ID: {key[1]}, "
                f"scalable dimension: {key[2]}",
            )
        return self._targets[key]

    def _matching(self, parameters: Fields) -> list[ScalableTarget]:
        ids = parameters.get("ResourceIds") or (
            [parameters["ResourceId"]] if "ResourceId" in parameters else None
        )
        dimension = parameters.get("ScalableDimension")
        return [
            target
            for key, target in self._targets.items()
            if key[0] == parameters["ServiceNamespace"]
            and (ids is None or key[1] in ids)
            and dimension in {None, key[2]}
        ]

    def _describe_targets(self, parameters: Fields) -> Fields:
        return _page([item.fields() for item in self._matching(parameters)], parameters, "ScalableTargets")

    def _deregister(self, parameters: Fields) -> Fields:
        del self._targets[self._target(parameters).key]
        return {}

    def _put_policy(self, parameters: Fields) -> Fields:
        return {"PolicyARN": self._target(parameters).put_policy(parameters), "Alarms": []}

    def _describe_policies(self, parameters: Fields) -> Fields:
        wanted = parameters.get("PolicyNames")
        found = [
            policy
            for target in self._matching(parameters)
            for name, policy in target.policies.items()
            if not wanted or name in wanted
        ]
        return _page(found, parameters, "ScalingPolicies")

    def _delete_policy(self, parameters: Fields) -> Fields:
        policies = self._target(parameters).policies
        if policies.pop(parameters["PolicyName"], None) is None:
            raise ApiError("ObjectNotFoundException", f"No scaling policy found: {parameters['PolicyName']}")
        return {}

    def _describe_activities(self, parameters: Fields) -> Fields:
        found = [activity for target in self._matching(parameters) for activity in target.activities]
        return _page(found, parameters, "ScalingActivities")

    def _by_arn(self, parameters: Fields) -> dict[str, str]:
        arn = parameters["ResourceARN"]
        for target in self._targets.values():
            if target.arn == arn:
                return target.tags
        raise ApiError("ResourceNotFoundException", f"There is no scalable target {arn}.")

    def _tag(self, parameters: Fields) -> Fields:
        self._by_arn(parameters).update(parameters["Tags"])
        return {}

    def _untag(self, parameters: Fields) -> Fields:
        tags = self._by_arn(parameters)
        for key in parameters["TagKeys"]:
            tags.pop(key, None)
        return {}

    def _list_tags(self, parameters: Fields) -> Fields:
        return {"Tags": dict(self._by_arn(parameters))}


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def _page(found: list[Fields], parameters: Fields, member: str) -> Fields:
    """Page as ECS does, with this API's capital letters."""
    asked = {"maxResults": parameters.get("MaxResults", 50)}
    if "NextToken" in parameters:
        asked["nextToken"] = parameters["NextToken"]
    answer = page(found, asked, member)
    if "nextToken" in answer:
        answer["NextToken"] = answer.pop("nextToken")
    return answer
