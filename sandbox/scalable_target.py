"""A scalable target: the bounds, policies and history of one ECS service's desired count."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from sandbox.ecs.names import Fields, Names

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
