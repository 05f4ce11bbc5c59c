"""Locks of what runs share next to their targets: an ECS service under several names, a state of Terraform's."""

from __future__ import annotations

from datetime import datetime

from runbook_model.catalog.accounts import ecs_name
from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.names.ids import ecs_lock_id


class LockRequest(Fact):
    """What a lock says of itself to whoever finds it in Temporal."""

    what: str
    """What is locked: ``ECS service staging/shop``."""
    environment: str
    service: str
    requested_by: str


class LockQuestion(Fact):
    """A run that did not get a lock asks who holds it."""

    lock: str
    run_id: str
    """Of the run that asks."""
    by: str = ""
    reason: str = ""
    """Why the holder is to make room, where it is."""


class Holder(Fact):
    """The run that holds a lock."""

    id: str = ""
    """Empty where nobody holds it any more."""
    run_id: str = ""
    workflow_type: str = ""
    since: datetime | None = None
    alone: bool = False
    """Whether the lock belongs to no run: somebody started it by hand."""

    @property
    def summary(self) -> str:
        """What a person reads of it."""
        if not self.id:
            return "nobody holds it any more"
        since = f" since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        what = "started by hand, no run's" if self.alone else self.workflow_type
        return f"held by {self.id} ({what}){since}"


def ecs_lock(target: Target, arn: str) -> str:
    """Return the id of the lock of a target's ECS service; the oldest ARNs name no cluster."""
    _, _, _, region, account, _ = arn.split(":", 5)
    found = ecs_name(arn)
    return ecs_lock_id(account, region, found.cluster or target.cluster or "", found.name)
