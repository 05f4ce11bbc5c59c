"""The worker's catalog, read again each time: names become targets, targets have policies; and which procedures it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from temporalio import activity

from runbook_model.catalog.catalog import LOG, Catalog, load_catalog
from runbook_model.catalog.incident_policy import IncidentPolicy, TargetNames, matrix_of
from runbook_model.catalog.policies import AlertRule, Approvals, Brake, Contact
from runbook_model.catalog.target import Target
from runbook_model.errors import PolicyError, UnknownTargetError
from runbook_model.fact import Fact
from runbook_model.names.procedures import KnownProcedures
from runbook_model.reports import Problem

if TYPE_CHECKING:
    from activities.runtime.interceptors import EnvironmentGuard


class CatalogActivities:
    """The catalog of this worker; read again each time, so that an edit counts for the next run."""

    def __init__(self, path: Path, served: EnvironmentGuard) -> None:
        self._path = path
        self._served = served

    @activity.defn
    def resolve_target(self, names: TargetNames) -> Target:
        """Resolve names to a target with its thresholds and policies.

        Raises:
            PolicyError: the environment is not that of the queue.
            UnknownTargetError: the catalog has no such target.
        """
        self._served.check(names.environment)
        return load_catalog(self._path).target(names.service, names.environment)


class IncidentPolicies:
    """The catalog of this worker, as incidents need it; read again each time."""

    def __init__(self, path: Path, served: EnvironmentGuard, own_rows: tuple[AlertRule, ...] = ()) -> None:
        """Read this catalog; one without an alert matrix gets the rows of installed packages too."""
        self._path = path
        self._served = served
        self._own_rows = own_rows

    @activity.defn
    def incident_policy(self, names: TargetNames) -> IncidentPolicy:
        """Look up what holds for a target's incidents; for one that is not in the catalog what holds everywhere."""
        catalog = load_catalog(self._path)
        where = catalog.environments.get(names.environment)
        return IncidentPolicy(
            problem=self._problem(catalog, names),
            matrix=matrix_of(catalog, self._own_rows),
            contacts=tuple(_reachable(catalog, contact) for contact in catalog.contacts),
            channels=catalog.channels_of(names.environment),
            links=catalog.links,
            checkpoint_escalate=(where.approvals if where else Approvals()).escalate,
            signed=where.approvals.signed if where else False,
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


class Wanted(Fact):
    """A procedure that somebody started."""

    procedure: str


class ProcedureActivities:
    """Knows which procedures this worker has."""

    def __init__(self, known: KnownProcedures) -> None:
        self._known = known

    @activity.defn
    async def explain_unknown(self, wanted: Wanted) -> Problem:
        """Say why this worker does not have a procedure, and how to fix that."""
        message, fix = self._known.why_not(wanted.procedure)
        return Problem(kind="input", message=message, fix=fix)
