"""What the catalog says of a target's incidents: which alert leads where, whom to call, where to tell, when to hold back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field
from temporalio import activity

from activities.catalog.activities import TargetNames
from runbook_model.catalog.catalog import LOG, Catalog, load_catalog
from runbook_model.catalog.policies import AlertRule, Approvals, Brake, Contact, Incidents
from runbook_model.errors import PolicyError, UnknownTargetError
from runbook_model.release import Fact

if TYPE_CHECKING:
    from pathlib import Path

    from activities.runtime.environment_guard import Served


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
    brake: Brake = Brake()
    rhythm: Incidents = Incidents()

    @property
    def told(self) -> str:
        """What a person reads beside the step."""
        return self.problem or f"{len(self.matrix)} alerts in the matrix, {len(self.contacts)} contacts"


class IncidentPolicies:
    """The catalog of this worker, as incidents need it; read anew each time."""

    def __init__(self, path: Path, served: Served) -> None:
        self._path = path
        self._served = served

    @activity.defn
    def incident_policy(self, names: TargetNames) -> IncidentPolicy:
        """Look up what holds for a target's incidents; for one that is not in the catalog what holds everywhere."""
        catalog = load_catalog(self._path)
        where = catalog.environments.get(names.environment)
        return IncidentPolicy(
            problem=self._problem(catalog, names),
            matrix=catalog.alerts,
            contacts=tuple(_reachable(catalog, contact) for contact in catalog.contacts),
            channels=catalog.channels_of(names.environment),
            links=catalog.links,
            checkpoint_escalate=(where.approvals if where else Approvals()).escalate,
            brake=where.brake if where else Brake(),
            rhythm=catalog.incidents,
        )

    def _problem(self, catalog: Catalog, names: TargetNames) -> str | None:
        try:
            self._served.check(names.environment)
            catalog.target(names.service, names.environment)
        except (PolicyError, UnknownTargetError) as error:
            return str(error)
        return None


def _reachable(catalog: Catalog, contact: Contact) -> Contact:
    known = catalog.channel(contact.channel)
    return contact if known else contact.model_copy(update={"channel": LOG})
