"""What a change will do, before it does it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from runbook_model.measured.revisions import RevisionsRead
from runbook_model.messages import Message
from runbook_model.releases.release import Fence, Release


class PlannedCall(Message):
    """One call that a plan will make."""

    service: str
    """The boto3 client's name."""
    action: str
    parameters: dict[str, Any]


FollowKind = Literal["undo", "put-back", "take-back", "mark", "registration", "settings", "continue"]
"""An abort's undo; what a hold puts back; capacity that is taken back; a release's mark; a release registered again.

``settings``: a deployment configuration that is put back however the run ends. ``continue``: answers to pause hooks.
"""


DAY = timedelta(days=1)
"""How long what follows from a yes may take where nothing else says so."""


class Follow(Message):
    """What may follow from a plan without another yes."""

    kind: FollowKind
    what: str
    """One sentence."""
    calls: tuple[PlannedCall, ...] = ()
    within: timedelta
    """How long after the gate opened."""


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
    follows: tuple[Follow, ...] = ()
    """What the same yes is for besides: undo, put back, take back, marks, registration."""
    needs_yes: str | None = None
    """Why a person must agree even where the policy asks nobody."""
    fence: Fence | None = None
    """The state of the ECS service that the plan was made on, where it depends on that."""
    revisions: RevisionsRead | None = None
    """The figures of both releases, where traffic is being shifted between the two."""
    essence: str = ""
    """What else the approval is bound to, such as the hash of a Terraform plan."""

    @property
    def under_way(self) -> str | None:
        """ARN of the service deployment that must still be under way for the plan to make sense, if any."""
        return None
