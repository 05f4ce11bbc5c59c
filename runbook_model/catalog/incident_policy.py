"""What the catalog says of a target's incidents: which alert leads where, whom to call, when to hold back."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from runbook_model.catalog.catalog import LOG
from runbook_model.catalog.policies import AlertRule, Approvals, Brake, Contact, Incidents
from runbook_model.fact import Fact
from runbook_model.text.sentences import count_of


class TargetNames(Fact):
    """A service in an environment, by name."""

    service: str
    environment: str


class IncidentPolicy(Fact):
    """Everything that an incident relies on, as it was when it was looked up."""

    problem: str | None = None
    """Why no procedure may be started: there is no such target, or the catalog cannot be read."""
    unreadable: bool = False
    """Whether the problem is the catalog itself; then it is looked up again soon."""
    matrix: tuple[AlertRule, ...] = ()
    contacts: tuple[Contact, ...] = ()
    """Whom to call, in order; each by a channel that there is."""
    channels: tuple[str, ...] = (LOG,)
    links: dict[str, str] = Field(default_factory=dict)
    checkpoint_escalate: timedelta = Approvals().escalate
    """How long a checkpoint may stand before somebody is called, also where a person has the incident."""
    signed: bool = False
    """Whether decisions are signed."""
    brake: Brake = Brake()
    rhythm: Incidents = Incidents()

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return (
            self.problem
            or f"{count_of(len(self.matrix), 'alert')} in the matrix, {count_of(len(self.contacts), 'contact')}"
        )
