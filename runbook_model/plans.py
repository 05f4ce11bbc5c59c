"""What a change will do, before it does it."""

from __future__ import annotations

from typing import Any

from runbook_model.messages import Message
from runbook_model.release import Fence, Release


class PlannedCall(Message):
    """One call that a plan will make."""

    service: str
    """The boto3 client's name."""
    action: str
    parameters: dict[str, Any]


class Plan(Message):
    """What a change will do, before it does it."""

    headline: str
    """One sentence: what, from where to where."""
    calls: tuple[PlannedCall, ...]
    before: Release | None = None
    """The release that runs, where the plan is about releases."""
    after: Release | None = None
    because: tuple[str, ...] = ()
    """Why this and nothing else: the evidence."""
    not_restored: tuple[str, ...] = ()
    """What the change does not bring back."""
    afterwards: tuple[str, ...] = ()
    """What is written down once it is verified."""
    needs_yes: str | None = None
    """Why a person must agree even where the policy asks nobody."""
    fence: Fence | None = None
    """The state of the ECS service that the plan was made on, where it depends on that."""
    essence: str = ""
    """What else the approval is bound to, such as the hash of a Terraform plan."""

    @property
    def under_way(self) -> str | None:
        """ARN of the service deployment that must still be under way for the plan to make sense, if any."""
        return None
