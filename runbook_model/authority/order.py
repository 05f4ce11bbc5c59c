"""What a change is ordered by: its target, the very call, and the warrants that the run carries. Pure."""

from __future__ import annotations

from runbook_model.authority.statement import Warrant
from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.messages import Message, SignedStart
from runbook_model.plans import PlannedCall
from runbook_model.releases.release import Fence


class Authority(Message):
    """What a run carries from a gate to the changes that it was decided for."""

    workflow_id: str
    run_id: str
    """Of the run that asked."""
    procedure: str
    gate: int
    """Which of the run's questions it was."""
    requester: str
    automatic: bool = False
    start: SignedStart | None = None
    warrant: Warrant


class ChangeOrder(Fact):
    """The input of a change. Where decisions are signed, every change takes one, those of packages too."""

    target: Target
    authorities: tuple[Authority, ...] = ()
    """What the run carries, oldest first; filled in by the page."""

    @property
    def call(self) -> PlannedCall:
        """The call that is about to be made, as the plan showed it."""
        raise NotImplementedError

    @property
    def planned_fence(self) -> Fence | None:
        """The state that it was planned on, where that is a state of an ECS service."""
        fence = getattr(self, "fence", None)
        return fence if isinstance(fence, Fence) else None

    @property
    def planned_essence(self) -> str | None:
        """What else a plan of this change is bound to, where it is."""
        return None
