"""What the catalog says of a target's incidents: which alert starts which procedure, whom to call, when to hold back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from pydantic import Field

from runbook_model.catalog.catalog import LOG, Catalog
from runbook_model.catalog.policies import RUNBOOK_MATRIX, AlertRule, Approvals, Brake, Contact, Incidents
from runbook_model.fact import Fact
from runbook_model.text.sentences import count_of, did_you_mean


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


def missing(catalog: Catalog, known: Collection[str]) -> list[str]:
    """Name the rows of the alert matrix whose procedure is neither known nor declared by ``procedures``, a line each."""
    names = {*known, *catalog.procedures}
    return [
        f'alerts.{number}.procedure = "{row.procedure}": no such procedure is installed here'
        f"{did_you_mean(row.procedure, names)}; correct the name, install the package that brings it, "
        f'or, where only workers have that, add procedures = ["{row.procedure}"] at the top'
        for number, row in enumerate(catalog.alerts)
        if row.procedure not in names
    ]


def matrix_of(catalog: Catalog, packaged: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
    """Return the alert matrix that counts: the catalog's own rows, else the product's and those of installed packages."""
    has_own = "alerts" in catalog.model_fields_set
    return catalog.alerts if has_own else (*catalog.alerts, *packaged)


def without_a_row(catalog: Catalog) -> list[str]:
    """Name the product's alerts that a catalog with rows of its own has no row for: they go to a person."""
    named = {row.name for row in catalog.alerts}
    return [row.name for row in RUNBOOK_MATRIX if row.name not in named]
